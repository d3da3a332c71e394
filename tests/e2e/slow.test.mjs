// Requests that come slowly, byte by byte, at any place: nobody else waits for them, an honest one is served in the end, and there is an
// end to the patience with one that never comes whole.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { END, GET_VALUES, PARAMS, SESSION, STDIN, connect, fastcgi, join36, mark, record } from './fastcgi.mjs';
import { LIMIT_MS, channelName, engine, program, sleep, startPollux, until, within } from './harness.mjs';
import { listening, startApache, startNginx, startProgram } from './nginx.mjs';

const DRIPS = 5;                        // bytes that come one by one before the rest comes at once
const EVERY_MS = 200;
const LONG = `42["message","${'x'.repeat(400)}"]`;

/** Send BYTES from AT on one by one, by WRITE, while OTHER() is asked again and again; the rest when DRIPS have gone. */
async function drip(write, bytes, at, other) {
    let sent = 0, done = false;
    write(bytes.subarray(0, at));
    const dripping = (async () => {
        while (!done && at < bytes.length - 1) {
            await sleep(EVERY_MS);
            write(bytes.subarray(at, ++at));
            sent++;
        }
    })();
    try {
        let served = 0;
        for (; sent < DRIPS; served++) await within(other(), 'another visitor\'s answer');
        assert.ok(served >= DRIPS, `${served} served meanwhile`);
        assert.ok(at < bytes.length, 'the slow one has not come to its end by itself');
    } finally {
        done = true;
    }
    await dripping;
    write(bytes.subarray(at));
}

/** A session as a visitor's of a web server, and what asks something for it. */
async function visitor(url) {
    const client = engine(url);
    await client.connect();
    return { client, other: () => client.send('42["still","here"]') };
}

/** A POST on SERVER whose body drips; all that is answered. */
async function dripThrough(server) {
    const one = engine(server.url), { client, other } = await visitor(server.url);
    await one.connect();
    const line = net.connect(server.port, '127.0.0.1');
    let text = '';
    line.on('data', (data) => { text += data; });
    line.on('error', () => {});
    try {
        const head = `POST /socket.io/?${SESSION}&sid=${one.sid}&${mark()} HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nOrigin: ${server.url}\r\n`
            + `Content-Type: text/plain;charset=UTF-8\r\nContent-Length: ${LONG.length}\r\n\r\n`;
        await drip((bytes) => line.write(bytes), Buffer.from(head + LONG), head.length + 3, other);
        await until(() => /\r\n\r\n[^]*ok/.test(text), LIMIT_MS, 'the answer to the slow one');
        assert.match(text, /^HTTP\/1\.1 200 /);
    } finally {
        line.destroy();
        one.end();
        client.end();
    }
}

describe('a_slow_request_keeps_nobody_waiting', { concurrency: true }, () => {
    const ways = { 'a Unix socket': () => ({}), TCP: async () => ({ tcp: await listening() }) };
    const places = { 'in the first header': () => 1, 'in its variables': () => 40, 'in its body': (bytes) => bytes.indexOf('42["') + 2 };
    for (const [how, options] of Object.entries(ways))
        for (const [where, place] of Object.entries(places))
            for (const kept of [false, true])
                it(`${where}, on a ${kept ? 'kept' : 'new'} connection through ${how}`, async (t) => {
                    const { socket } = await startProgram(t, await options());
                    const fast = connect(t, socket), slow = connect(t, socket);
                    const client = await join36(fast, channelName());
                    if (kept) assert.match(await slow.ask({ query: `${SESSION}&${mark()}` }), /"sid"/);
                    const bytes = fastcgi({ method: 'POST', query: client.query(), body: LONG });
                    await drip(slow.send, bytes, place(bytes), async () => assert.match(await fast.ask({ query: `${SESSION}&${mark()}` }), /"sid"/));
                    assert.match(await slow.answer(), /\r\n\r\nok$/);
                    assert.match(await slow.ask({ query: `${SESSION}&${mark()}` }), /"sid"/, 'the connection goes on');
                });

    it('through nginx without request buffering', async (t) => dripThrough(await startNginx(t, { also: 'fastcgi_request_buffering off;' })));
    it('through lighttpd that streams request bodies', async () => {
        const server = await startPollux({ lighttpd: { 'server.stream-request-body': 1 } });
        try {
            await dripThrough(server);
        } finally {
            await server.stop();
        }
    });
    it('through Apache with mod_proxy_fcgi', async (t) => dripThrough(await startApache(t)));
});

describe('half a request', { concurrency: true }, () => {
    const env = { POLLUX_REQUEST_TIMEOUT_MS: '1500' };
    const opening = () => ({ query: `${SESSION}&${mark()}` });

    for (const kept of [false, true])
        for (const [cut, what] of [[30, 'variables'], [-12, 'body']])
            it(`has one deadline, however it drips: ${what}, ${kept ? 'kept' : 'new'}`, async (t) => {
                const { socket, log } = await startProgram(t, { env });
                const slow = connect(t, socket), other = connect(t, socket);
                if (kept) assert.match(await slow.ask(opening()), /"sid"/);
                const request = fastcgi({ ...opening(), method: 'POST', body: `42["${'half'.repeat(100)}"]` });
                let at = cut < 0 ? request.length - 400 : cut;
                slow.send(request.subarray(0, at));
                const dripping = setInterval(() => slow.send(request.subarray(at, ++at)), 100);
                t.after(() => clearInterval(dripping));
                if (cut < 0) assert.match(await slow.answer(), /Status: 408 [^]*did not arrive whole in time/);
                await slow.end();
                assert.ok(at < request.length, 'it was not whole');
                assert.match(await other.ask(opening()), /"sid"/);
                assert.match(log(), / P202 host .*came too slowly.*request_timeout_ms/);
                assert.equal(/ P319 core .* 408: /.test(log()), cut < 0);
            });

    it('whose body is too long is read away and answered 413', async (t) => {
        const { socket } = await startProgram(t, { env: { ...env, POLLUX_MAX_PAYLOAD_BYTES: '1000' } });
        const sid = (await join36(connect(t, socket), channelName())).sid;
        const post = { method: 'POST', query: `${SESSION}&sid=${sid}&${mark()}`, body: 'x'.repeat(50000) };
        const whole = connect(t, socket), broken = connect(t, socket), other = connect(t, socket);
        broken.send(fastcgi(post).subarray(0, -100));
        assert.match(await whole.ask(post), /^Status: 413 /);
        assert.match(await other.ask(opening()), /"sid"/);
        assert.match(await broken.answer(), /^Status: 413 /, 'its time is over');
        assert.match(await whole.ask(opening()), /"sid"/, 'the connection goes on');
    });

    it('as plain CGI has the same deadline', async (t) => {
        const dir = mkdtempSync(join(tmpdir(), 'pollux-slow-'));
        const child = spawn(program, [], { stdio: ['pipe', 'pipe', 'ignore'], env: {
            ...env, POLLUX_CONFIG: '/dev/null', POLLUX_STORE: dir, GATEWAY_INTERFACE: 'CGI/1.1', REQUEST_METHOD: 'POST', CONTENT_LENGTH: '1000',
            REQUEST_URI: `/socket.io/?${SESSION}&sid=x`, QUERY_STRING: `${SESSION}&sid=x`, CONTENT_TYPE: 'text/plain', REMOTE_ADDR: '192.0.2.1' } });
        child.stdin.on('error', () => {});
        const dripping = setInterval(() => child.stdin.write('x'), 100);
        t.after(() => { clearInterval(dripping); child.kill('SIGKILL'); rmSync(dir, { recursive: true, force: true }); });
        let text = '';
        child.stdout.on('data', (data) => { text += data; });
        await within(new Promise((done) => child.on('exit', done)), 'the end of the process');
        assert.match(text, /^Status: 408 [^]*did not arrive whole in time/);
    });

    it('of which nothing has come is waited for, and keeps nobody waiting', async (t) => {
        const { socket } = await startProgram(t, { env });
        const silent = connect(t, socket), late = connect(t, socket), other = connect(t, socket);
        for (const line of [silent, late]) line.send('');
        for (let n = 0; n < 20; n++) assert.match(await other.ask(opening()), /"sid"/);
        assert.match(await late.ask(opening()), /"sid"/);
        await silent.end();
        assert.match(await late.ask(opening()), /"sid"/);
    });

    it('of one visitor leaves room for those of others', async (t) => {
        const { socket, log } = await startProgram(t);
        const half = async (address, wait) => {
            const line = connect(t, socket);
            const request = fastcgi({ ...opening(), method: 'POST', body: LONG, variables: { REMOTE_ADDR: address } });
            line.send(request.subarray(0, -20));
            return wait ? { answer: await line.answer() } : { rest: async () => { line.send(request.subarray(-20)); return line.answer(); } };
        };
        const held = [];
        for (let n = 0; n < 64; n++) held.push(await half('192.0.2.1'));
        await until(() => connect(t, socket).ask(opening()), LIMIT_MS, 'that all were read');
        assert.match((await half('192.0.2.1', true)).answer, /Status: 503 [^]*too many requests are coming slowly/);
        const honest = await half('192.0.2.2');
        assert.match(await connect(t, socket).ask(opening()), /"sid"/);
        assert.match(await honest.rest(), /Status: 400 [^]*handshake/, 'it is understood');
        for (const one of held) assert.match(await one.rest(), /Status: 400 [^]*handshake/);
        assert.match(log(), / P203 host .*no room/);
        assert.match(log(), / P325 core .* 503: .*coming slowly/);
    });

    it('that breaks off is answered or dropped, and nobody notices', async (t) => {
        const { socket, log } = await startProgram(t);
        const request = fastcgi({ ...opening(), method: 'POST', body: LONG });
        for (let at = 1; at < request.length; at += 17) {
            const line = connect(t, socket);
            line.send(request.subarray(0, at));
            line.line.end();
            await line.end();
        }
        assert.match(await connect(t, socket).ask(opening()), /"sid"/);
        assert.doesNotMatch(log(), / error /);
    });
});

describe('what no web server says', () => {
    const opening = () => ({ query: `${SESSION}&${mark()}` });

    it('lengths_near_2_31_end_their_connection_alone', async (t) => {
        const { socket, workers } = await startProgram(t);
        const [worker] = workers();
        const start = fastcgi(opening()).subarray(0, 16);
        for (const lengths of [[0x7fffffff, 0x7fffffff], [0x40000000, 0x40000000], [1, 0x7fffffff], [0x7fffffff, 1]]) {
            const line = connect(t, socket);
            const bytes = Buffer.concat(lengths.map((n) => Buffer.from([n >>> 24 | 128, n >> 16 & 255, n >> 8 & 255, n & 255])));
            line.send(Buffer.concat([start, record(PARAMS, Buffer.concat([bytes, Buffer.from('ab')])), record(PARAMS), record(STDIN)]));
            await line.end();
        }
        assert.match(await connect(t, socket).ask(opening()), /"sid"/);
        assert.deepEqual(workers(), [worker], 'the same process');
    });

    it('headers_that_are_too_long_are_431', async (t) => {
        const { socket } = await startProgram(t);
        const variables = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`HTTP_X_${n}`, 'x'.repeat(5000)]));
        const whole = fastcgi({ ...opening(), variables: { HTTP_X: 'x' } });
        const pairs = Object.entries(variables).map(([name, value]) => record(PARAMS, Buffer.concat([
            Buffer.from([name.length, 0x80, 0, value.length >> 8, value.length & 255]), Buffer.from(name + value)])));
        const line = connect(t, socket);
        line.send(Buffer.concat([whole.subarray(0, 16), ...pairs, whole.subarray(16)]));
        assert.match(await line.answer(), /^Status: 431 [^]*headers are too long/);
    });

    it('questions_of_management_are_answered_and_requests_go_on', async (t) => {
        const { socket } = await startProgram(t);
        const line = connect(t, socket);
        line.send(record(GET_VALUES, '\x0f\x00FCGI_MPXS_CONNS', 0));
        assert.match(await line.ask(opening()), /"sid"/);
        line.send(record(GET_VALUES, '\x0f\x00FCGI_MPXS_CONNS', 0));
        assert.match(await line.ask(opening()), /"sid"/);
        line.send(record(END));
        await line.end();
    });

    it('FCGI_WEB_SERVER_ADDRS_tells_who_may_connect', async (t) => {
        for (const [addresses, served] of [['192.0.2.7', false], ['192.0.2.7,127.0.0.1', true], ['127.0.0.11', false], ['', true]]) {
            const { socket } = await startProgram(t, { tcp: await listening(), env: { FCGI_WEB_SERVER_ADDRS: addresses } });
            const line = connect(t, socket);
            const answer = await line.ask(opening());
            if (served) assert.match(answer, /"sid"/, addresses);
            else assert.equal(answer, null, addresses);
        }
    });
});
