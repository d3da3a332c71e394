// The hosts that people have, each set up by the file in conf/ that is shipped for it; only places and ports are replaced.

import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir, userInfo } from 'node:os';
import { dirname, extname, join, resolve } from 'node:path';
import { after, before, describe } from 'node:test';
import { fileURLToPath } from 'node:url';
import { LIMIT_MS, freePort, htdocs, program, startPollux, until } from './harness.mjs';
import { hostEnv, hostSuite } from './hostsuite.mjs';
import { answers, apacheHead, run, startProgram } from './nginx.mjs';
import { startSnippet } from './snippet.mjs';

const conf = resolve(dirname(fileURLToPath(import.meta.url)), '../../conf');
const root = process.getuid() === 0;

/** What is shipped as conf/NAME, with each key of PLACES, which must be there, replaced by its value. */
export function shipped(name, places) {
    let text = readFileSync(join(conf, name), 'utf8');
    for (const [from, to] of Object.entries(places)) {
        if (!text.includes(from)) throw new Error(`conf/${name} has no ${from}`);
        text = text.replaceAll(from, to);
    }
    return text;
}

function folder(t) {
    const dir = mkdtempSync(join(tmpdir(), 'pollux-host-'));
    t.after(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }));
    chmodSync(dir, 0o755);
    for (const name of ['data', 'run']) {
        mkdirSync(join(dir, name));
        chmodSync(join(dir, name), 0o777);  // Apache's user is another where the tests run as root
    }
    return dir;
}

const logsOf = (dir) => () => readdirSync(dir).filter((name) => name.endsWith('.log')).map((name) => readFileSync(join(dir, name), 'utf8')).join('');

/** The program, of several workers, on a socket of its own. */
async function ownProgram(t, env = {}) {
    const server = await startProgram(t, { procs: 2, env: { ...hostEnv, ...env } });
    chmodSync(server.dir, 0o755);
    chmodSync(server.socket, 0o666);
    return server;
}

const killWorker = (workers) => () => {
    const [first] = workers();
    try {
        if (first) process.kill(first, 'SIGKILL');
    } catch { /* as CGI, it has answered meanwhile */ }
};

/** Kill one of the program's processes whose store is in DIR. */
const killOf = (dir) => () => {
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
        try {
            if (readlinkSync(`/proc/${pid}/exe`) !== program || !readFileSync(`/proc/${pid}/environ`, 'latin1').includes(dir)) continue;
            process.kill(Number(pid), 'SIGKILL');
            return;
        } catch { /* it has ended */ }
    }
};

const where = (port) => ({ url: `http://127.0.0.1:${port}`, path: '/pollux/socket.io/', pages: '/pollux/' });

export const nginxBinary = ['/usr/sbin/nginx', '/usr/local/sbin/nginx'].find(existsSync) ?? 'nginx';

/** An nginx in DIR with BLOCKS in its http block. */
export function nginx(t, dir, name, blocks) {
    writeFileSync(join(dir, `${name}.conf`), `
${root ? `user ${userInfo().username};` : ''}
worker_processes 1;
daemon off;
pid ${dir}/${name}.pid;
error_log ${dir}/${name}.log;
events { worker_connections 1000; }
http {
    access_log off;
    ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((temp) => `${temp}_temp_path ${dir}/${name}-${temp};`).join(' ')}
    ${blocks}
}
`);
    return run(t, nginxBinary, ['-p', dir, '-c', join(dir, `${name}.conf`)], { file: join(dir, `${name}.log`) });
}

async function startNginxHost(t, { env } = {}) {
    const server = await ownProgram(t, env);
    const port = await freePort();
    nginx(t, server.dir, 'nginx', shipped('nginx-pollux.conf', {
        'listen 80': `listen 127.0.0.1:${port}`, '/run/pollux/pollux.socket': server.socket, '/usr/share/pollux/htdocs': htdocs,
    }));
    const host = { ...where(port), kill: killWorker(server.workers), limit: 1 << 20 };
    await answers(host.url, { path: host.path, log: logsOf(server.dir) });
    return host;
}

async function startApache(t, dir, modules, rest, kill, limit = 0) {
    const port = await freePort();
    writeFileSync(join(dir, 'apache.conf'), `${apacheHead(dir, port, ['alias', 'mime', 'dir', 'env', ...modules])}\nTypesConfig /etc/mime.types\n${rest}`);
    run(t, '/usr/sbin/apache2', ['-f', join(dir, 'apache.conf'), '-D', 'FOREGROUND'], { file: join(dir, 'apache.log') });
    const host = { ...where(port), kill, limit };
    await answers(host.url, { path: host.path, log: logsOf(dir) });
    return host;
}

async function startProxyFcgi(t) {
    const server = await ownProgram(t);
    return startApache(t, server.dir, ['proxy', 'proxy_fcgi'],
        shipped('apache-proxy-fcgi.conf', { '/run/pollux/pollux.socket': server.socket, '/usr/share/pollux/htdocs': htdocs }), killWorker(server.workers));
}

/** The settings are in a file, as an operator has them. */
function settings(dir) {
    const file = join(dir, 'pollux.conf');
    writeFileSync(file, Object.entries({ POLLUX_STORE: join(dir, 'data'), ...hostEnv })
        .map(([name, value]) => `${name.replace('POLLUX_', '').toLowerCase()} = ${value}\n`).join(''));
    chmodSync(file, 0o644);
    return file;
}

async function startFcgidHost(t) {
    const dir = folder(t);
    return startApache(t, dir, ['fcgid'], `FcgidIPCDir ${dir}/run\nFcgidProcessTableFile ${dir}/run/table\n${shipped('apache-fcgid.conf', {
        '/etc/pollux.conf': settings(dir), '/usr/sbin/pollux.fcgi': program, '/usr/share/pollux/htdocs': htdocs,
    })}`, killOf(dir), 131072);
}

async function startCgiHost(t) {
    const dir = folder(t);
    return startApache(t, dir, ['cgid'], `ScriptSock ${dir}/run/cgisock\n${shipped('apache-cgi.conf', {
        '/etc/pollux.conf': settings(dir), '/usr/sbin/pollux.fcgi': program, '/usr/share/pollux/htdocs': htdocs,
    })}`, killOf(dir));
}

const types = { '.html': 'text/html', '.js': 'text/javascript', '.mjs': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };

/** The server of the pages that HAProxy wants. */
async function startFiles(t) {
    const server = http.createServer((rq, rs) => {
        const path = new URL(rq.url, 'http://x').pathname.replace(/^\/pollux\//, '/').replace(/\/$/, '/index.html');
        const file = join(htdocs, path);
        if (!existsSync(file)) return rs.writeHead(404).end();
        return rs.writeHead(200, { 'Content-Type': types[extname(file)] ?? 'text/plain' }).end(readFileSync(file));
    }).listen(0, '127.0.0.1');
    await new Promise((done) => server.once('listening', done));
    t.after(() => {
        server.closeAllConnections();
        server.close();
    });
    return server.address().port;
}

async function startHaproxy(t) {
    const server = await ownProgram(t);
    const port = await freePort();
    const files = await startFiles(t);
    const file = join(server.dir, 'haproxy.cfg');
    writeFileSync(file, shipped('haproxy-pollux.cfg', {
        'bind :80': `bind 127.0.0.1:${port}`, '127.0.0.1:8080': `127.0.0.1:${files}`, '/run/pollux/pollux.socket': server.socket,
        '/usr/share/pollux/htdocs': htdocs,
    }));
    run(t, '/usr/sbin/haproxy', ['-db', '-f', file], { file: join(server.dir, 'haproxy.log') });
    const host = { ...where(port), kill: killWorker(server.workers), limit: 0 };
    await answers(host.url, { path: host.path, log: logsOf(server.dir) });
    return host;
}

async function startCaddy(t) {
    const server = await ownProgram(t);
    const port = await freePort();
    const file = join(server.dir, 'Caddyfile');
    writeFileSync(file, `{\n\tadmin off\n\tauto_https off\n}\n${shipped('Caddyfile', {
        ':80 {': `http://127.0.0.1:${port} {`, '/run/pollux/pollux.socket': server.socket, '/usr/share/pollux/htdocs': htdocs,
    })}`);
    run(t, '/usr/bin/caddy', ['run', '--adapter', 'caddyfile', '--config', file],
        { file: join(server.dir, 'caddy.log'), env: { HOME: server.dir, XDG_DATA_HOME: server.dir, XDG_CONFIG_HOME: server.dir } });
    const host = { ...where(port), kill: killWorker(server.workers), limit: 1000000 };
    await answers(host.url, { path: host.path, log: logsOf(server.dir) });
    return host;
}

/** lighttpd as ./serve sets it up. */
const startLighttpd = (cgi) => async (t) => {
    const server = await startPollux({ procs: 2, cgi, env: hostEnv });
    t.after(() => server.stop({ allow: /./ }));
    return { url: server.url, path: '/socket.io/', pages: '/', kill: killWorker(cgi ? server.pids : server.workers), limit: 0 };
};

/** As the package's snippet does. */
async function startPackaged(t) {
    const snippet = await startSnippet(Object.entries(hostEnv).map(([name, value]) => `${name.replace('POLLUX_', '').toLowerCase()} = ${value}\n`).join(''));
    t.after(async () => {
        await snippet.stop();
        snippet.remove();
    });
    return { ...where(snippet.port), kill: killOf(snippet.dir), limit: 0 };
}

export const kinds = {
    lighttpd: startLighttpd(false), 'lighttpd, the snippet that is installed': startPackaged, 'lighttpd, CGI': startLighttpd(true),
    nginx: startNginxHost, 'Apache, mod_proxy_fcgi': startProxyFcgi, 'Apache, mod_fcgid': startFcgidHost, 'Apache, CGI': startCgiHost,
    HAProxy: startHaproxy, Caddy: startCaddy,
};

/** The suite for hosts through each of NAMES. */
export function describeHosts(...names) {
    for (const name of names) {
        describe(name, () => {
            const ends = [];
            let host;
            before(async () => { host = await kinds[name]({ after: (fn) => ends.unshift(fn) }); });
            after(async () => {
                for (const end of ends) await end();
            });

            hostSuite(() => host);
        });
    }
}

/** A certificate for 127.0.0.1 that nobody trusts, in DIR: nginx's two lines. */
function certificate(dir) {
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=127.0.0.1', '-keyout', join(dir, 'key.pem'),
        '-out', join(dir, 'cert.pem')], { stdio: 'ignore' });
    return `ssl_certificate ${dir}/cert.pem; ssl_certificate_key ${dir}/key.pem;`;
}

/** An nginx as a proxy in front of HOST, with LINES in its location; with TLS and HTTP/2 on request. */
export async function startProxy(t, host, { lines = '', name = '$http_host', tls = false } = {}) {
    const dir = folder(t);
    const port = await freePort();
    nginx(t, dir, 'front', `server {
        listen 127.0.0.1:${port}${tls ? ` ssl http2; ${certificate(dir)}` : ';'}
        client_max_body_size 2m;
        location / { proxy_pass ${host.url}; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host ${name}; ${lines} }
    }`);
    const url = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`;
    if (!tls) await answers(url, { path: host.path, log: logsOf(dir) });
    else await until(() => existsSync(join(dir, 'front.pid')) && readFileSync(join(dir, 'front.pid'), 'utf8').trim(), LIMIT_MS, 'the proxy');
    return { ...host, url };
}
