// The archive of tools/release, uploaded: what is in its web/ lies below the home of a user of its own, behind an Apache that
// starts programs as that user (suEXEC), as hosters have it. Run by tests/release with POLLUX_ARCHIVE, as root: nobody else can
// make a user and let Apache become it.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { LIMIT_MS, freePort, request, until } from './harness.mjs';
import { hostEnv, hostSuite } from './hostsuite.mjs';
import { apacheHead, run } from './nginx.mjs';

const archive = process.env.POLLUX_ARCHIVE;
const user = `pollux${process.pid % 10000}`;
const home = `/home/${user}`;
const folder = join(home, 'public_html/call/socket.io');
const program = join(folder, 'pollux.fcgi');

const apacheConf = (dir, port) => `${apacheHead(dir, port,
    ['authz_host', 'mime', 'dir', 'alias', 'userdir', 'suexec', 'fcgid', 'cgid', 'headers', 'env'])}
TypesConfig /etc/mime.types
ScriptSock ${dir}/run/cgisock
FcgidIPCDir ${dir}/run
FcgidProcessTableFile ${dir}/run/table
UserDir public_html
<Directory />
    AllowOverride None
    Require all denied
</Directory>
<Directory "/home/*/public_html">
    AllowOverride All
    Options SymLinksIfOwnerMatch
    Require all granted
</Directory>
`;

const ends = [];
const t = { after: (fn) => ends.unshift(fn) };
let url, logs;

const edit = (file, change) => writeFileSync(file, change(readFileSync(file, 'utf8')));
const asUser = (...command) => execFileSync('setpriv', ['--reuid', user, '--regid', user, '--clear-groups', '--', ...command],
    { encoding: 'utf8', env: { PATH: process.env.PATH } });

/** The program's processes. */
const ours = () => readdirSync('/proc').filter((pid) => {
    try {
        return /^\d+$/.test(pid) && readlinkSync(`/proc/${pid}/exe`) === program;
    } catch {
        return false;
    }
}).map(Number);

/** One that waits. */
function kill() {
    const [first] = ours();
    try {
        if (first) process.kill(first, 'SIGKILL');
    } catch { /* it has answered meanwhile */ }
}

before(async () => {
    assert.ok(archive, 'POLLUX_ARCHIVE names the archive');
    const dir = mkdtempSync(join(tmpdir(), 'pollux-upload-'));
    chmodSync(dir, 0o755);
    ends.push(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }));
    execFileSync('useradd', ['--create-home', '--home-dir', home, '--shell', '/bin/sh', user]);
    ends.unshift(() => execFileSync('userdel', ['--remove', '--force', user], { stdio: 'ignore' }));
    chmodSync(home, 0o711);
    asUser('sh', '-c', `umask 022; mkdir -p ${home}/public_html/call && cd ${home} && tar xzf '${archive}' --no-same-owner --strip-components=1
        && cp -r web/. public_html/call/ && rm -r web`.replace(/\n\s*/g, ' '));
    mkdirSync(join(dir, 'run'));
    chmodSync(join(dir, 'run'), 0o777);
    edit(join(folder, 'pollux.conf'), (text) => text + Object.entries(hostEnv)
        .map(([name, value]) => `${name.replace('POLLUX_', '').toLowerCase()} = ${value}\n`).join(''));
    const port = await freePort();
    writeFileSync(join(dir, 'apache.conf'), apacheConf(dir, port));
    const apache = run(t, '/usr/sbin/apache2', ['-f', join(dir, 'apache.conf'), '-D', 'FOREGROUND'], { file: join(dir, 'apache.log') });
    ends.push(() => apache.ended);
    url = `http://127.0.0.1:${port}`;
    logs = () => ['apache.log', 'apache-error.log'].map((name) => join(dir, name)).filter(existsSync).map((file) => readFileSync(file, 'utf8')).join('');
    await until(() => request(url).then(() => true, () => false), LIMIT_MS, 'Apache').catch((error) => { throw new Error(`${error.message}\n${logs()}`); });
});

after(async () => {
    for (const end of ends) await end();
});

const handshake = () => request(`${url}/~${user}/call/socket.io/?EIO=4&transport=polling&t=first1`);
const host = (kind) => ({ url, path: `/~${user}/call/socket.io/`, pages: `/~${user}/call/`, limit: kind === 'cgi' ? 0 : 131072, kill });

for (const [kind, handler] of [['fcgid', 'fcgid-script'], ['cgi', 'cgi-script']]) {
    describe(`uploaded, as ${kind}`, () => {
        before(async () => {
            edit(join(folder, '.htaccess'), (text) => text.replace(/AddHandler f?cgid?-script \.fcgi/, `AddHandler ${handler} .fcgi`));
            await until(async () => (await handshake()).status === 200, LIMIT_MS, 'a handshake').catch(async (error) => {
                throw new Error(`${error.message}\n${(await handshake()).text}\n${logs()}`);
            });
        });

        it('its_data_are_at_home_and_the_users_own', () => {
            const { mode, uid } = statSync(join(home, 'pollux-data'));
            assert.equal(mode & 0o777, 0o700);
            assert.equal(uid, statSync(home).uid);
            assert.match(asUser(join(home, 'polluxctl'), 'check'), /is well/);
        });

        it('what_is_nobodys_business_is_not_served', async () => {
            for (const name of ['pollux.conf', '.htaccess']) {
                assert.equal((await request(`${url}/~${user}/call/socket.io/${name}`)).status, 403, name);
            }
            assert.doesNotMatch(logs(), /P006/);
        });

        it('the_client_file_has_all_the_names_that_pages_use', async () => {
            for (const name of ['socket.io.js', 'socket.io.min.js', 'socket.io.slim.js', 'socket.io.mjs', 'socket.io.esm.min.js']) {
                const { status, headers } = await request(`${url}/~${user}/call/socket.io/${name}`);
                assert.equal(status, 200, name);
                assert.match(headers['content-type'], /javascript/, name);
            }
            const page = await request(`${url}/~${user}/call/call.html`);
            assert.match(page.headers['content-security-policy'], /frame-ancestors 'none'/);
        });

        hostSuite(() => host(kind), kind === 'cgi' ? { page: 'the same page as before' } : {});
    });
}

describe('an upload that went wrong', () => {
    before(() => edit(join(folder, '.htaccess'), (text) => text.replace('AddHandler fcgid-script', 'AddHandler cgi-script')));

    it('says_in_the_browser_that_the_program_could_not_be_started', async () => {
        for (const [what, change] of [
            ['no right to run', () => chmodSync(program, 0o644)],
            ['another machine', () => { chmodSync(program, 0o755); edit2(program, 18, 0xb7); }],
        ]) {
            change();
            const answer = await handshake();
            assert.equal(answer.status, 500, what);
            assert.match(answer.text, /could not be started.*mode 755.*uname -m/, what);
        }
        edit2(program, 18, 0x3e);
        await until(async () => (await handshake()).status === 200, LIMIT_MS, 'a handshake');
    });

    it('says_that_the_store_would_be_served', async () => {
        edit(join(folder, 'pollux.conf'), (text) => `${text}store = data\n`);
        const answer = await handshake();
        assert.equal(answer.status, 503);
        assert.match(answer.text, /P004/);
        edit(join(folder, 'pollux.conf'), (text) => text.replace('store = data\n', 'stor = data\n'));
        assert.match((await handshake()).text, /P002/);
        await until(() => /there is no key "stor"; did you mean store/.test(logs()), LIMIT_MS, 'why, in the error log');
    });
});

/** Byte AT of FILE becomes VALUE: of a program, the machine that it is for. */
function edit2(file, at, value) {
    const bytes = readFileSync(file);
    bytes[at] = value;
    rmSync(file);
    writeFileSync(file, bytes);
    execFileSync('chown', [`${user}:${user}`, file]);
    chmodSync(file, 0o755);
}
