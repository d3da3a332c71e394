// A lighttpd that knows nothing of Pollux but the snippet that is installed, with the files where `make install` puts them.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LIMIT_MS, freePort, htdocs, lighttpdParts, program, request, until, within } from './harness.mjs';

const lighttpd = () => process.env.POLLUX_LIGHTTPD ?? ['/usr/sbin/lighttpd', '/usr/local/sbin/lighttpd'].find(existsSync) ?? 'lighttpd';

/** Start it: {url, port, dir, stop(), remove()}. Below `dir` are etc, sbin, share/pollux/htdocs, www and data. */
export async function startSnippet(settings = '') {
    const dir = mkdtempSync(join(tmpdir(), 'pollux-snippet-'));
    chmodSync(dir, 0o755);
    for (const name of ['etc', 'sbin', 'share/pollux', 'www', 'data']) mkdirSync(join(dir, name), { recursive: true, mode: name === 'data' ? 0o700 : 0o755 });
    symlinkSync(program, join(dir, 'sbin', 'pollux.fcgi'));
    symlinkSync(htdocs, join(dir, 'share/pollux/htdocs'));
    writeFileSync(join(dir, 'etc/pollux.conf'), `store = ${join(dir, 'data')}\n${settings}`);
    const port = await freePort();
    writeFileSync(join(dir, 'lighttpd.conf'), lighttpdParts('server snippet', {
        modules: '', htdocs: join(dir, 'www'), bind: '127.0.0.1', port, uploads: dir, fds: 4096, connections: 1600, keep_alive: 60,
        sysconfdir: join(dir, 'etc'), datadir: join(dir, 'share'), program: join(dir, 'sbin/pollux.fcgi'), max_procs: 1,
        asked: '/socket\\.io/?', path: '/socket.io/', max_request: 1000, socket: join(dir, 'pollux.socket'),
        environment: `"POLLUX_CONFIG" => "${join(dir, 'etc/pollux.conf')}"`,
    }));
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('POLLUX_')));
    const child = spawn(lighttpd(), ['-D', '-f', join(dir, 'lighttpd.conf')], { env, stdio: 'ignore' });
    const closed = once(child, 'close');
    const remove = () => {
        child.kill('SIGKILL');
        rmSync(dir, { recursive: true, force: true });
    };
    const url = `http://127.0.0.1:${port}`;
    const answers = () => request(`${url}/socket.io/?EIO=4&transport=polling`).then(({ status }) => status === 200, () => false);
    try {
        await until(async () => child.exitCode !== null || await answers(), LIMIT_MS, 'a handshake through the snippet');
        assert.equal(child.exitCode, null, 'lighttpd takes the snippet');
    } catch (error) {
        remove();
        throw error;
    }
    return {
        url, port, dir, remove,
        async stop() {
            child.kill('SIGTERM');
            await within(closed, 'the end of lighttpd');
        },
    };
}
