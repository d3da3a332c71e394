// How the program begins where nobody has configured anything, and what those hear who ask one that cannot begin.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
    chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, readlinkSync, renameSync, rmSync, statSync, writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { LIMIT_MS, program, request, sanitizerOptions, until, withPollux, within } from './harness.mjs';
import { SESSION, connect, mark } from './fastcgi.mjs';
import { childrenOf, listening, run, startFcgid } from './nginx.mjs';

const HANDSHAKE = `${SESSION}&t=start1`;
const OPENED = /\r\n\r\n0\{"sid":"/;

let dir;
before(() => {
    dir = mkdtempSync(join(tmpdir(), 'pollux-start-'));
    chmodSync(dir, 0o755);
});
after(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }));

let folders = 0;
function folder(mode = 0o700) {
    const path = join(dir, String(++folders));
    mkdirSync(path);
    chmodSync(path, mode);
    return path;
}

/** The program as CGI with VARIABLES: {code, out, err}. */
async function cgi(variables, { command = [program], path = '/socket.io/' } = {}) {
    const env = {
        ...sanitizerOptions(), PATH: process.env.PATH, GATEWAY_INTERFACE: 'CGI/1.1', REQUEST_METHOD: 'GET', SCRIPT_NAME: path,
        REQUEST_URI: `${path}?${HANDSHAKE}`, QUERY_STRING: HANDSHAKE, REMOTE_ADDR: '192.0.2.1', ...variables,
    };
    const child = spawn(command[0], command.slice(1), { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const result = { out: '', err: '' };
    child.stdout.on('data', (data) => { result.out += data; });
    child.stderr.on('data', (data) => { result.err += data; });
    try {
        const [code, signal] = await within(once(child, 'close'), 'the end of a CGI process');
        assert.doesNotMatch(result.err, /Sanitizer|runtime error/);
        return { ...result, code: code ?? signal };
    } finally {
        child.kill('SIGKILL');
    }
}

function refused(answer, code) {
    assert.match(answer, /^Status: 503 Service Unavailable\r\n/);
    assert.match(answer, /\r\nRetry-After: /);
    const { message } = JSON.parse(answer.split('\r\n\r\n')[1]);
    assert.match(message, new RegExp(`^Service unavailable: .*${code}$`));
}

describe('a program that cannot begin', () => {
    it('as_cgi_answers_503_and_says_the_rest_on_standard_error', async () => {
        const store = folder();
        const cases = [
            ['P002', { POLLUX_STORE: store, POLLUX_CAPACITY: 'many' }, 'POLLUX_CAPACITY is "many"'],
            ['P002', { POLLUX_CONFIG: join(dir, 'nowhere.conf') }, 'nowhere.conf: cannot open'],
            ['P003', { POLLUX_STORE: join(dir, 'not', 'there') }, 'cannot create the store directory'],
        ];
        for (const [code, variables, words] of cases) {
            const answer = await cgi({ POLLUX_CONFIG: '/dev/null', ...variables });
            refused(answer.out, code);
            assert.ok(!answer.out.includes(dir), 'strangers are not told where things are');
            assert.equal(answer.code, 0, 'it has answered');
            assert.ok(answer.err.includes(words) && answer.err.includes(code), `${words} in: ${answer.err}`);
        }
    });

    it('with_a_store_of_a_newer_version_says_so', async () => {
        const store = folder();
        execFileSync('sqlite3', [join(store, 'pollux.db'), 'pragma user_version = 9999; create table future (x);']);
        const { out, err } = await cgi({ POLLUX_CONFIG: '/dev/null', POLLUX_STORE: store });
        refused(out, 'P007');
        assert.match(err, /P007 .*newer version/);
    });

    it('as_fastcgi_answers_503_complains_to_the_web_server_and_begins_when_it_can', async (t) => {
        const conf = join(folder(), 'pollux.conf'), store = folder();
        writeFileSync(conf, `store = ${store}\ncapacty = 3\n`);
        const tcp = await listening();
        const address = tcp.address();
        const file = join(dir, 'words.log');
        const child = run(t, program, ['--config', conf], { file, input: tcp._handle.fd });
        tcp.close();
        const line = connect(t, address);
        const first = await line.ask({ query: HANDSHAKE });
        refused(first, 'P002');
        assert.ok(!first.includes('capacty'));
        assert.match(line.complaints, /P002 .*:2: there is no key "capacty"; did you mean capacity/);
        assert.match(readFileSync(file, 'utf8'), /P002 /);
        assert.equal(childrenOf(child.pid).length, 0, 'it does not fork for that');
        writeFileSync(conf, `store = ${store}\ncapacity = 3\n`);
        await until(async () => OPENED.test(await connect(t, address).ask({ query: `${SESSION}&${mark()}` }) ?? ''), LIMIT_MS, 'a session');
        assert.equal(childrenOf(child.pid).length, 2, 'the same process watches over a worker and a keeper now');
    });

    it('ends_with_a_signal_as_any_other', async (t) => {
        const tcp = await listening();
        const child = run(t, program, [], { env: { POLLUX_CAPACITY: '0' }, file: join(dir, 'signal.log'), input: tcp._handle.fd });
        const address = tcp.address();
        tcp.close();
        refused(await connect(t, address).ask({ query: HANDSHAKE }), 'P002');
        process.kill(child.pid, 'SIGTERM');
        await within(child.ended, 'the end of the program');
    });

    it('behind_lighttpd_which_starts_it_once_more_it_says_why_until_that_is_mended', async () => {
        const conf = join(folder(), 'pollux.conf');
        writeFileSync(conf, '# nothing\n');
        await withPollux({ env: { POLLUX_CONFIG: conf }, allow: / error P002 / }, async (server) => {
            writeFileSync(conf, 'durability = eternal\n');
            for (const pid of server.supervisors()) process.kill(pid, 'SIGTERM');
            const ask = () => request(`${server.url}/socket.io/?${SESSION}&${mark()}`).catch(() => ({ text: '' }));
            await until(async () => (await ask()).text.includes('P002'), LIMIT_MS, 'what is wrong');
            await until(() => server.logText().includes('durability is "eternal"'), LIMIT_MS, 'why, in the log');
            writeFileSync(conf, 'durability = normal\n');
            await until(async () => (await ask()).status === 200, LIMIT_MS, 'a session');
        });
    });

    it('a_worker_whose_store_has_gone_says_so_and_its_place_is_taken_when_it_is_back', async () => {
        await withPollux({ allow: / error P\d+ / }, async (server) => {
            const away = `${server.dataDir}.away`;
            renameSync(server.dataDir, away);
            writeFileSync(server.dataDir, 'in its place');
            for (const pid of server.workers()) process.kill(pid, 'SIGKILL');
            const ask = () => request(`${server.url}/socket.io/?${SESSION}&${mark()}`).catch(() => ({ text: '' }));
            await until(async () => (await ask()).text.includes('P003'), LIMIT_MS, 'what is wrong');
            rmSync(server.dataDir);
            renameSync(away, server.dataDir);
            await until(async () => (await ask()).status === 200, LIMIT_MS, 'a session');
        });
    });
});

describe('what the web server shows to everybody', () => {
    it('may_not_hold_the_store', async () => {
        const root = folder(), store = join(root, 'data');
        const { out, err } = await cgi({ POLLUX_CONFIG: '/dev/null', POLLUX_STORE: store, DOCUMENT_ROOT: root });
        refused(out, 'P004');
        assert.match(err, /P004 .*lies below/);
        const beside = await cgi({ POLLUX_CONFIG: '/dev/null', POLLUX_STORE: folder(), DOCUMENT_ROOT: root });
        assert.match(beside.out, OPENED);
    });

    it('as_apache_says_it_of_a_users_folder_counts', async () => {
        const root = folder();
        const { out } = await cgi({
            POLLUX_CONFIG: '/dev/null', POLLUX_STORE: join(root, 'data'), DOCUMENT_ROOT: folder(), CONTEXT_DOCUMENT_ROOT: root,
        });
        refused(out, 'P004');
    });

    it('of_one_of_several_sites_shuts_that_one_alone', async (t) => {
        const root = folder(), tcp = await listening();
        run(t, program, [], { env: { POLLUX_CONFIG: '/dev/null', POLLUX_STORE: join(root, 'data') }, file: join(dir, 'sites.log'), input: tcp._handle.fd });
        const address = tcp.address();
        tcp.close();
        const ask = (variables) => connect(t, address).ask({ query: `${SESSION}&${mark()}`, variables });
        refused(await ask({ DOCUMENT_ROOT: root }), 'P004');
        assert.match(await ask({ DOCUMENT_ROOT: '/' }), OPENED);    // a server that shows no files says that
        assert.match(await ask({}), OPENED);
        refused(await ask({ DOCUMENT_ROOT: root }), 'P004');
    });

    it('is_said_when_it_holds_the_settings', async () => {
        const root = folder(), store = folder(), conf = join(root, 'pollux.conf');
        writeFileSync(conf, `store = ${store}\n`);
        const ask = (variables) => cgi({ POLLUX_CONFIG: conf, DOCUMENT_ROOT: root, ...variables });
        const { out, err } = await ask({});
        assert.match(out, OPENED);
        assert.match(err, /P006 .*pollux\.conf lie below/);
        writeFileSync(join(root, '.htaccess'), '<Files pollux.conf>\nRequire all denied\n</Files>\n');
        assert.match((await ask({ SERVER_SOFTWARE: 'lighttpd/1.4.69' })).err, /P006/);
        assert.doesNotMatch((await ask({ SERVER_SOFTWARE: 'Apache/2.4.62 (Debian)' })).err, /P006/);
        chmodSync(conf, 0o600);
        assert.doesNotMatch((await ask({})).err, /P006/);
    });
});

describe('nothing configured', () => {
    it('the_file_beside_the_program_counts', async () => {
        const own = folder(), store = join(folder(), 'data');
        copyFileSync(program, join(own, 'pollux.fcgi'));
        writeFileSync(join(own, 'pollux.conf'), `store = ${store}\nping_interval_ms = 7777\n`);
        const { out } = await cgi({}, { command: [join(own, 'pollux.fcgi')] });
        assert.match(out, /"pingInterval":7777/);
        assert.equal(statSync(store).mode & 0o777, 0o700);
    });

    it('the_store_is_in_the_home_of_its_user', { skip: process.getuid() !== 0 && 'only root may become somebody else' }, async () => {
        const own = folder(0o755), home = folder();
        copyFileSync(program, join(own, 'pollux.fcgi'));
        chmodSync(join(own, 'pollux.fcgi'), 0o755);
        writeFileSync(join(own, 'pollux.conf'), 'ping_interval_ms = 7777\n');
        chmodSync(join(own, 'pollux.conf'), 0o644);
        execFileSync('chown', ['54321:54321', home]);
        const command = ['setpriv', '--reuid', '54321', '--regid', '54321', '--clear-groups', '--', join(own, 'pollux.fcgi')];
        const { out, err } = await cgi({ HOME: home }, { command });
        assert.match(out, /"pingInterval":7777/, err);
        assert.equal(statSync(join(home, 'pollux-data')).mode & 0o777, 0o700);
        const nobody = await cgi({}, { command });
        refused(nobody.out, 'P003');
        assert.match(nobody.err, /cannot find a place for the store/);
    });

    it('every_path_that_is_handed_over_is_served_unless_one_is_named', async () => {
        const base = { POLLUX_CONFIG: '/dev/null', POLLUX_STORE: folder() };
        for (const path of ['/socket.io/', '/socket.io', '/~anna/app/socket.io/', '/cgi-bin/pollux.fcgi', '/app/socket.io/pollux.fcgi/']) {
            assert.match((await cgi(base, { path })).out, OPENED, path);
        }
        assert.match((await cgi({ ...base, POLLUX_PATH: '/socket.io/' }, { path: '/app/socket.io/' })).out, /^Status: 404 /);
        assert.match((await cgi({ ...base, POLLUX_PATH: '/app/socket.io/' }, { path: '/app/socket.io/' })).out, OPENED);
    });

    it('under_mod_fcgid_a_request_that_waits_is_one_process', async (t) => {
        const server = await startFcgid(t);
        const sid = /"sid":"([^"]+)"/.exec((await request(`${server.url}/socket.io/?${HANDSHAKE}`)).text)[1];
        assert.match((await request(`${server.url}/socket.io/?${SESSION}&${mark()}`)).text, /"maxPayload":120000/, 'less than mod_fcgid takes');
        const held = request(`${server.url}/socket.io/?${SESSION}&sid=${sid}&${mark()}`);
        held.catch(() => {});
        const ours = () => readdirSync('/proc').filter((pid) => {
            try {
                return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`POLLUX_STORE=${server.dir}/data`)
                    && readlinkSync(`/proc/${pid}/exe`) === program;
            } catch {
                return false;
            }
        });
        await until(() => existsSync(join(server.dir, 'data/pollux.db')) && ours().length > 0, LIMIT_MS, 'a process');
        for (const pid of ours()) {
            assert.equal(childrenOf(pid).length, 0, 'no process below it');
            const files = readdirSync(`/proc/${pid}/fd`).map((fd) => {
                try {
                    return readlinkSync(`/proc/${pid}/fd/${fd}`);
                } catch {
                    return '';
                }
            });
            assert.ok(!files.some((name) => name.includes('inotify')), files.join(' '));
        }
    });
});
