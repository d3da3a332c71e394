// The program on a socket of its own, alone or behind nginx or Apache; or started by Apache's mod_fcgid.

import { spawn } from 'node:child_process';
import { chmodSync, closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { LIMIT_MS, engine, freePort, isWorker, program, until } from './harness.mjs';

const nginxBinary = ['/usr/sbin/nginx', '/usr/local/sbin/nginx', '/usr/bin/nginx'].find(existsSync) ?? 'nginx';

/** As the README has it. */
const nginxConf = (dir, port, also) => `
${process.getuid() === 0 ? `user ${userInfo().username};` : ''}
worker_processes 1;
daemon off;
pid ${dir}/nginx.pid;
error_log ${dir}/nginx.log;
events { worker_connections 1000; }
http {
    access_log off;
    client_body_temp_path ${dir}/body;
    proxy_temp_path ${dir}/proxy;
    fastcgi_temp_path ${dir}/fastcgi;
    uwsgi_temp_path ${dir}/uwsgi;
    scgi_temp_path ${dir}/scgi;
    upstream pollux { server unix:${dir}/socket; keepalive 64; }
    server {
        listen 127.0.0.1:${port};
        location ~ ^/socket\\.io/?$ {
            include /etc/nginx/fastcgi_params;
            fastcgi_pass pollux;
            fastcgi_keep_conn on;
            fastcgi_next_upstream off;
            ${also}
            error_page 502 = @again;
        }
        location @again { include /etc/nginx/fastcgi_params; fastcgi_pass unix:${dir}/socket; }
    }
}
`;

export const childrenOf = (pid) => readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ').filter(Boolean).map(Number);

/** A process that ends with the test; its words go to FILE. */
export function run(t, command, args, { env = {}, file, input = 'ignore' }) {
    const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('POLLUX_')));
    const words = openSync(file, 'a');
    const child = spawn(command, args, { env: { ...own, ...env }, stdio: [input, words, words] });
    closeSync(words);
    const ended = new Promise((done) => child.on('exit', done));
    t.after(async () => {
        child.kill('SIGTERM');
        const late = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
        await ended;
        clearTimeout(late);
    });
    return { pid: child.pid, ended };
}

/** A listening TCP socket, as what starts a FastCGI program passes it on. */
export async function listening() {
    const server = net.createServer();
    await new Promise((done) => server.listen(0, '127.0.0.1', done));
    return server;
}

/** The program on a socket, started by itself; again() starts it anew. */
export async function startProgram(t, { procs = 1, tcp = null, env: more = {} } = {}) {
    const dir = mkdtempSync(join(tmpdir(), 'pollux-nginx-'));
    t.after(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }));
    mkdirSync(join(dir, 'data'), { mode: 0o700 });
    writeFileSync(join(dir, 'program.log'), '');
    const socket = tcp ? tcp.address() : join(dir, 'socket');
    const env = { POLLUX_CONFIG: '/dev/null', POLLUX_STORE: join(dir, 'data'), POLLUX_PROCESSES: String(procs), POLLUX_MAX_WORK_PERCENT: '0', ...more };
    const self = {
        dir, socket,
        async again() {
            const file = join(dir, 'program.log');
            self.process = tcp ? run(t, program, [], { env, file, input: tcp._handle.fd }) : run(t, program, ['--socket', socket], { env, file });
            tcp?.close();
            await until(() => new Promise((done) => {
                const attempt = net.connect(socket, () => { attempt.destroy(); done(true); }).on('error', () => done(false));
            }), LIMIT_MS, 'the socket of the program').catch((error) => { throw new Error(`${error.message}\n${self.log()}`); });
            await until(() => self.workers().length === procs, LIMIT_MS, 'its workers');
        },
        workers: () => childrenOf(self.process.pid).filter(isWorker),
        log: () => readFileSync(join(dir, 'program.log'), 'utf8'),
    };
    await self.again();
    return self;
}

/** Wait for a whole session through the web server at URL; what LOG gives stands in the error. */
export async function answers(url, { path = '/socket.io/', log = () => '' } = {}) {
    await until(async () => {
        const first = engine(url, path);
        try {
            const answer = await first.open();
            if (answer.status === 200) await first.post('1');
            return answer.status === 200;
        } catch {
            return false;
        } finally {
            first.end();
        }
    }, LIMIT_MS, `an answer at ${url}${path}`).catch((error) => { throw new Error(`${error.message}\n${log()}`); });
}

/** The beginning of an Apache's configuration: its files in DIR, MODULES besides the least. */
export const apacheHead = (dir, port, modules) => `
ServerRoot ${dir}
ServerName 127.0.0.1
Listen 127.0.0.1:${port}
PidFile ${dir}/apache.pid
DefaultRuntimeDir ${dir}
ErrorLog ${dir}/apache-error.log
${['mpm_event', 'authz_core', ...modules].map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`).join('\n')}
${process.getuid() === 0 ? 'User www-data\nGroup www-data' : ''}`;

/** The same behind nginx; ALSO is for its location. */
export async function startNginx(t, { also = '', ...options } = {}) {
    const server = await startProgram(t, options);
    const port = await freePort();
    const conf = join(server.dir, 'nginx.conf');
    writeFileSync(conf, nginxConf(server.dir, port, also));
    run(t, nginxBinary, ['-p', server.dir, '-c', conf], { file: join(server.dir, 'nginx.log') });
    const url = `http://127.0.0.1:${port}`;
    await answers(url);
    return Object.assign(server, { url, port });
}

/** As the README has it, with no more modules than that needs. */
const apacheConf = (dir, port) => `
${apacheHead(dir, port, ['proxy', 'proxy_fcgi'])}
ProxyPassMatch "^/socket\\.io/?$" "unix:${dir}/socket|fcgi://pollux/"
`;

/** The same behind Apache's mod_proxy_fcgi. */
export async function startApache(t, options) {
    const server = await startProgram(t, options);
    const port = await freePort();
    const conf = join(server.dir, 'apache.conf');
    writeFileSync(conf, apacheConf(server.dir, port));
    chmodSync(server.dir, 0o755);
    chmodSync(server.socket, 0o666);
    run(t, '/usr/sbin/apache2', ['-f', conf, '-D', 'FOREGROUND'], { file: join(server.dir, 'apache.log') });
    const url = `http://127.0.0.1:${port}`;
    await answers(url, { log: () => readFileSync(join(server.dir, 'apache.log'), 'utf8') });
    return Object.assign(server, { url, port });
}

const fcgidConf = (dir, port, env, processes) => `
${apacheHead(dir, port, ['alias', 'fcgid'])}
FcgidIPCDir ${dir}/run
FcgidProcessTableFile ${dir}/run/table
FcgidInitialEnv POLLUX_CONFIG /dev/null
FcgidInitialEnv POLLUX_STORE ${dir}/data
FcgidInitialEnv POLLUX_PING_INTERVAL_MS ${env.POLLUX_PING_INTERVAL_MS ?? 5000}
FcgidMaxProcessesPerClass ${processes}
${Object.entries(env).filter(([name]) => name !== 'POLLUX_PING_INTERVAL_MS').map(([name, value]) => `FcgidInitialEnv ${name} ${value}`).join('\n')}
AliasMatch "^/socket\\.io/?$" ${program}
<Location /socket.io>
    Require all granted
    SetHandler fcgid-script
    Options +ExecCGI
</Location>
`;

/** Started by Apache's mod_fcgid, a process for each request that waits; its limits are those that it comes with. */
export async function startFcgid(t, { env = {}, processes = 100 } = {}) {
    const dir = mkdtempSync(join(tmpdir(), 'pollux-fcgid-'));
    t.after(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }));
    chmodSync(dir, 0o755);
    for (const name of ['data', 'run']) {
        mkdirSync(join(dir, name));
        chmodSync(join(dir, name), 0o777); // Apache's user is another where the tests run as root
    }
    const port = await freePort();
    writeFileSync(join(dir, 'apache.conf'), fcgidConf(dir, port, env, processes));
    run(t, '/usr/sbin/apache2', ['-f', join(dir, 'apache.conf'), '-D', 'FOREGROUND'], { file: join(dir, 'apache.log') });
    const url = `http://127.0.0.1:${port}`;
    const logs = () => ['apache.log', 'apache-error.log'].map((name) => join(dir, name)).filter(existsSync).map((file) => readFileSync(file, 'utf8')).join('');
    await answers(url, { log: logs });
    return { url, dir, logs };
}

const cgiConf = (dir, port, env, slots) => `
${apacheHead(dir, port, ['alias', 'env', 'cgid'])}
ScriptSock ${dir}/run/cgisock
StartServers 1
ServerLimit 1
ThreadLimit ${slots}
ThreadsPerChild ${slots}
MaxRequestWorkers ${slots}
${Object.entries({ POLLUX_CONFIG: '/dev/null', POLLUX_STORE: `${dir}/data`, ...env }).map(([name, value]) => `SetEnv ${name} ${value}`).join('\n')}
ScriptAliasMatch "^/socket\\.io/?$" ${program}
<Location /socket.io>
    Require all granted
</Location>
`;

/** Started by Apache as plain CGI, so many requests at a time. */
export async function startCgi(t, { env = {}, slots = 20 } = {}) {
    const dir = mkdtempSync(join(tmpdir(), 'pollux-cgi-'));
    t.after(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }));
    chmodSync(dir, 0o755);
    for (const name of ['data', 'run']) {
        mkdirSync(join(dir, name));
        chmodSync(join(dir, name), 0o777);
    }
    const port = await freePort();
    writeFileSync(join(dir, 'apache.conf'), cgiConf(dir, port, env, slots));
    run(t, '/usr/sbin/apache2', ['-f', join(dir, 'apache.conf'), '-D', 'FOREGROUND'], { file: join(dir, 'apache.log') });
    const url = `http://127.0.0.1:${port}`;
    const logs = () => ['apache.log', 'apache-error.log'].map((name) => join(dir, name)).filter(existsSync).map((file) => readFileSync(file, 'utf8')).join('');
    await answers(url, { log: logs });
    return { url, dir, logs };
}
