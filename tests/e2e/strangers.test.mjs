// Clients that others wrote: what stands for a request's `t` with them, and how they write base64. Everything they say is heard once
// and in order.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { LIMIT_MS, channelName, engine, official, peer, startPollux, until } from './harness.mjs';

let server;
before(async () => { server = await startPollux({ procs: 2, env: { POLLUX_PING_INTERVAL_MS: '1000', POLLUX_LOG_EVENTS: 'no' } }); });
after(() => server?.stop());

/** One of ours in CHANNEL, and what it hears of `n`. */
async function listener(t, channel) {
    const one = await peer(official, server.url);
    t.after(() => one.socket.close());
    const numbers = [];
    one.socket.on('n', (n) => numbers.push(n));
    one.socket.emit('create or join', channel);
    await one.tape.next('created');
    return { ...one, numbers };
}

/** A raw client in CHANNEL whose requests have what T() gives for a t. */
async function stranger(t, channel, tOf) {
    const raw = engine(server.url);
    t.after(() => raw.end());
    const plain = { get: raw.get, post: raw.post };
    let last = '';
    /* the checksum of two polls' times in a row is not the same: a poll with the last one's is that poll again */
    const another = () => {
        for (;;) {
            const next = tOf();
            if (next !== last || !/^[a-zA-Z]...\d/.test(next)) return (last = next);
        }
    };
    raw.get = (one, options) => plain.get(one ?? another(), options);
    raw.post = (body, options) => plain.post(body, { t: tOf(), ...options });
    await raw.open({ t: tOf() });
    await raw.send('40');
    assert.match(await raw.next(), /^40\{/);
    await raw.send(`42["create or join","${channel}"]`);
    assert.match(await raw.next(), /^42\["joined"/);
    return raw;
}

const range = (count) => Array.from({ length: count }, (_, n) => n);

describe('a t that is not the request\'s own', () => {
    const kinds = {
        'milliseconds, many at a time (C#, Dart)': () => String(Date.now()),
        'a checksum that repeats': () => ['a9Kx', 'Zz0-', 'k_3Q'][Math.floor(Math.random() * 3)] + Math.floor(Date.now() / 50),
        'always the same (Java with a query)': () => 'mine',
    };
    for (const [kind, tOf] of Object.entries(kinds)) {
        it(`everything_is_heard_once, ${kind}`, async (t) => {
            const channel = channelName();
            const a = await listener(t, channel);
            const b = await stranger(t, channel, tOf);
            await Promise.all(range(50).map((n) => b.send(`42["n",${n}]`)));
            await until(() => a.numbers.length >= 50, LIMIT_MS, `50 numbers; ${a.numbers.length} came`);
            assert.deepEqual([...a.numbers].sort((x, y) => x - y), range(50));
            for (const n of range(5)) await b.send(`42["n","in order ${n}"]`);
            await until(() => a.numbers.length >= 55);
            assert.deepEqual(a.numbers.slice(50), range(5).map((n) => `in order ${n}`));
        });
    }

    const options = {
        'timestampRequests: false, query: { t }': { timestampRequests: false, query: { t: 'tenant1' } },
        'timestampParam: ts, query: { t }': { timestampParam: 'ts', query: { t: 'tenant1' } },
    };
    for (const [kind, option] of Object.entries(options)) {
        it(`the_official_client_with_a_t_of_its_page, ${kind}`, async (t) => {
            const channel = channelName();
            const a = await listener(t, channel);
            let connects = 0, pings = 0;
            const b = await peer(official, server.url, { ...option, reconnection: false });
            t.after(() => b.socket.close());
            b.socket.on('connect', () => connects++);
            b.socket.io.on('ping', () => pings++);
            const heard = [];
            b.socket.on('n', (n) => heard.push(n));
            b.socket.emit('create or join', channel);
            await b.tape.next('ready');
            for (const n of range(20)) {
                b.socket.emit('n', n);
                a.socket.emit('n', n);
                await until(() => a.numbers.length > n && heard.length > n);
            }
            b.socket.emit('n', 'twice');
            b.socket.emit('n', 'twice');
            await until(() => a.numbers.length >= 22);
            await until(() => pings >= 3, LIMIT_MS, 'three heartbeats');
            assert.deepEqual(a.numbers, [...range(20), 'twice', 'twice']);
            assert.deepEqual(heard, range(20));
            assert.equal(b.socket.connected, true);
            assert.equal(connects, 0, 'greeted once, before this was counted');
        });
    }

    it('two_that_take_turns_are_told_nothing_twice', async (t) => {
        const channel = channelName();
        const a = await listener(t, channel);
        const b = await stranger(t, channel, () => `own${Math.random()}`);
        const said = [];
        for (const [i, one] of ['x', 'y', 'x', 'y', 'x', 'y', 'x', 'y'].entries()) {
            a.socket.emit('n', i);
            const answer = await b.get(one);
            assert.equal(answer.status, 200);
            said.push(...answer.text.split('\x1e').filter((packet) => packet.startsWith('42["n"')));
        }
        const rest = [];
        while (said.length + rest.length < 8) {
            const packet = await b.next();
            if (packet.startsWith('42["n"')) rest.push(packet);
        }
        assert.deepEqual([...said, ...rest], range(8).map((n) => `42["n",${n}]`));
    });
});

describe('base64 as clients write it', () => {
    it('line_breaks_blanks_and_other_alphabets_are_taken, and all that follows', async (t) => {
        const channel = channelName();
        const a = await listener(t, channel);
        const b = await stranger(t, channel, () => `own${Math.random()}`);
        const files = [];
        a.socket.on('file', (file) => files.push(Buffer.from(file)));
        const bytes = Buffer.from(range(300).map((n) => n * 7 & 255));
        const text = bytes.toString('base64');
        const forms = [text, `${text.match(/.{1,76}/g).join('\r\n')}\r\n`, `${text.match(/.{1,76}/g).join('\n')}\n`, bytes.toString('base64url')];
        for (const [i, form] of forms.entries()) await b.send('451-["file",{"_placeholder":true,"num":0}]', `b${form}`, `42["n",${i}]`);
        await until(() => a.numbers.length === forms.length && files.length === forms.length);
        for (const file of files) assert.deepEqual(file, bytes);
        assert.equal((await b.post(`451-["file",{"_placeholder":true,"num":0}]\x1eb${text}*`)).status, 400);
    });
});
