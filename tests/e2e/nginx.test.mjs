// Behind nginx, which keeps connections to the program (fastcgi_keep_conn); and connections spoken to directly.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { talk, verdict } from './conversation.mjs';
import { ABORT, END, SESSION, STDIN, connect, fastcgi, join36, mark, record } from './fastcgi.mjs';
import { LIMIT_MS, ask, channelName, engine, official, peer, request, shim, until } from './harness.mjs';
import { startNginx, startProgram } from './nginx.mjs';

/** The connections that processes PIDS have on SOCKET, by inode. */
function connections(socket) {
    return readFileSync('/proc/net/unix', 'latin1').split('\n').map((line) => line.trim().split(/\s+/))
        .filter((fields) => fields[7] === socket && fields[5] === '03').map((fields) => fields[6]).sort();
}

describe('a connection that is kept', () => {
    it('serves one request after the other; without the flag it is closed', async (t) => {
        const { socket } = await startProgram(t);
        const line = connect(t, socket);
        const channel = channelName();
        const a = await join36(line, channel), b = await join36(line, channel);
        for (let n = 0; n < 50; n++) {
            assert.match(await a.post(line, `42["message",{"channel":${JSON.stringify(channel)},"message":${n}}]`), /ok$/);
            let text = '';
            while (!text.includes(`["message",${n}]`)) text = await b.poll(line);
        }
        assert.equal(line.closed, false);
        assert.match(await line.ask({ query: `${SESSION}&${mark()}`, keep: false }), /"sid"/);
        await line.end();
    });

    it('waits with its poll while others are served, and goes on afterwards', async (t) => {
        const { socket } = await startProgram(t);
        const waiting = connect(t, socket), other = connect(t, socket);
        const channel = channelName();
        const a = await join36(other, channel), b = await join36(waiting, channel);
        const held = (async () => {
            for (;;) {
                const text = await b.poll(waiting);
                if (text.includes('["message"')) return text;
            }
        })();
        for (let i = 0; i < 20; i++) assert.match(await other.ask({ query: `${SESSION}&${mark()}` }), /"sid"/);
        assert.match(await a.post(other, '42["message","over there"]'), /ok$/);
        assert.match(await held, /\["message","over there"\]/);
        assert.match(await b.post(waiting, '42["message","and back"]'), /ok$/);
        assert.equal(waiting.closed || other.closed, false);
    });

    /** Let LEAVE(line) happen to a connection with a poll. The session's next poll is taken, since nobody holds one any more. */
    async function pollThatGoes(t, leave) {
        const { socket } = await startProgram(t);
        const waiting = connect(t, socket), other = connect(t, socket);
        const b = await join36(waiting, channelName());
        waiting.send(fastcgi({ query: b.query() }));
        assert.match(await other.ask({ query: `${SESSION}&${mark()}` }), /"sid"/);
        leave(waiting);
        await waiting.end();
        // Whether it has noticed shows in the answer: that another poll waits ends the session.
        await until(async () => connections(socket).length === 1, LIMIT_MS, 'the end of the program\'s side');
        const poll = b.poll(other);
        await new Promise((done) => setTimeout(done, 50));
        const third = connect(t, socket);
        assert.match(await b.post(third, '42["create or join","another"]'), /ok$/);
        assert.match(await poll, /"created","another"/);
    }

    it('is closed when its client goes while a poll waits', (t) => pollThatGoes(t, (line) => line.line.destroy()));
    it('is closed when the web server gives its poll up', (t) => pollThatGoes(t, (line) => line.send(record(ABORT))));

    it('is closed on what is no request, and nobody else notices', async (t) => {
        const { socket, log } = await startProgram(t);
        const bad = connect(t, socket), good = connect(t, socket);
        for (const garbage of [Buffer.from('GET / HTTP/1.0\r\n\r\n'), record(STDIN, 'x'), record(END), Buffer.alloc(100, 255)]) {
            const line = connect(t, socket);
            assert.match(await line.ask({ query: `${SESSION}&${mark()}` }), /"sid"/);
            line.send(garbage);
            await line.end();
            assert.match(await good.ask({ query: `${SESSION}&${mark()}` }), /"sid"/);
        }
        assert.match(await bad.ask({ query: `${SESSION}&${mark()}` }), /"sid"/);
        assert.doesNotMatch(log(), / error /);
    });

    it('without a request is closed when the program is told to end', async (t) => {
        const { socket, process: child } = await startProgram(t);
        const line = connect(t, socket);
        assert.match(await line.ask({ query: `${SESSION}&${mark()}` }), /"sid"/);
        process.kill(child.pid, 'SIGTERM');
        await line.end();
        assert.equal(await child.ended, 0);
    });
});

describe('a browser\'s POST through nginx', () => {
    it('is_of_the_same_origin_though_the_host_has_no_port', async (t) => {
        const { url } = await startNginx(t);
        const open = await request(`${url}/socket.io/?${SESSION}&${mark()}`);
        const sid = /"sid":"([^"]+)"/.exec(open.text)[1];
        const post = (headers) => request(`${url}/socket.io/?${SESSION}&sid=${sid}&${mark()}`,
            { method: 'POST', body: '1', headers: { 'Content-Type': 'text/plain;charset=UTF-8', ...headers } });
        const evil = await post({ Origin: 'http://evil.example', 'Sec-Fetch-Site': 'cross-site' });
        assert.equal(evil.status, 403);
        assert.match(evil.text, /http:\/\/evil\.example .*127\.0\.0\.1.*allowed_origins/);
        assert.equal((await post({ Origin: url.replace(/:\d+$/, ':1') })).status, 403, 'another port is another origin');
        assert.equal((await post({ Origin: 'https://app.example', 'Sec-Fetch-Site': 'same-origin', Host: 'inner.example' })).status, 200, 'behind a proxy');
        const second = await request(`${url}/socket.io/?${SESSION}&${mark()}`, { headers: { Origin: url } });
        assert.equal(second.status, 200, second.text);
    });
});

describe('nginx that keeps connections', () => {
    it('uses the same few for a whole conversation', async (t) => {
        const { url, socket } = await startNginx(t);
        const channel = channelName();
        for (const factory of [official, shim]) {
            const a = await peer(factory, url), b = await peer(factory, url);
            t.after(() => { a.socket.close(); b.socket.close(); });
            a.socket.emit('create or join', `${channel} ${factory.name}`);
            await a.tape.next('created');
            b.socket.emit('create or join', `${channel} ${factory.name}`);
            await a.tape.next('ready');
            await b.tape.next('ready');
            await ask(a.socket, 'message', -1);
            await b.tape.next('message');
            const before = connections(socket);
            assert.ok(before.length > 0 && before.length <= 12, `${before.length} connections`);
            for (let n = 0; n < 40; n++) {
                assert.equal((await ask(a.socket, 'message', n)).recipients, 1);
                assert.deepEqual(await b.tape.next('message'), [n]);
            }
            const after = connections(socket);
            assert.deepEqual(before.filter((inode) => !after.includes(inode)), [], 'all of them are still in use');
            assert.ok(after.length <= before.length + 4, `${before.length} connections became ${after.length}`);
        }
    });

    const faults = {
        'the only worker is killed': { procs: 1, times: 5, unnoticed: true, fault: (server) => process.kill(server.workers()[0], 'SIGKILL') },
        'a worker is killed': { procs: 2, times: 5, unnoticed: true, fault: (server, n) => process.kill(server.workers()[n % 2], 'SIGKILL') },
        'the program is started anew in place': { procs: 2, times: 3, unnoticed: true, fault: (server) => process.kill(server.process.pid, 'SIGHUP') },
        'the program ends and is started again': {
            procs: 1, times: 3,
            async fault(server) {
                process.kill(server.process.pid, 'SIGTERM');
                await server.process.ended;
                await server.again();
            },
        },
    };
    for (const [name, { procs, times, fault, unnoticed }] of Object.entries(faults))
        it(`loses and doubles nothing while ${name}`, async (t) => {
            const server = await startNginx(t, { procs });
            const talks = [];
            t.after(() => talks.forEach((one) => one.close()));
            for (const factory of [official, shim]) talks.push(await talk(factory, server.url));
            const more = async () => {
                const before = talks.map((one) => one.heard());
                await until(() => talks.every((one, i) => one.heard() >= before[i] + 30), LIMIT_MS, '30 more numbers');
            };
            for (let n = 0; n < times; n++) {
                await more();
                await fault(server, n);
                await until(() => server.workers().length === procs, LIMIT_MS, 'all workers');
            }
            await more();
            for (const one of talks) await one.end();
            for (const { speakers: [a, b] } of talks)
                for (const found of [verdict(a, b), verdict(b, a)])
                    assert.deepEqual(found, { lost: [], doubled: [], reordered: [], unknown: [] });
            if (unnoticed)
                assert.deepEqual(talks.flatMap(({ speakers }) => speakers.map((one) => one.disconnects)), [0, 0, 0, 0], 'nobody noticed');
        });

    it('has the connections that it left idle closed', async (t) => {
        const { url, socket, dir } = await startNginx(t);
        const clients = [];
        for (let i = 0; i < 10; i++) clients.push(engine(url));
        await Promise.all(clients.map((one) => one.open()));
        clients.forEach((one) => one.end());
        assert.ok(connections(socket).length > 0);
        process.kill(Number(readFileSync(join(dir, 'nginx.pid'), 'utf8')), 'SIGQUIT');
        await until(() => connections(socket).length === 0, LIMIT_MS, 'no connection');
    });
});
