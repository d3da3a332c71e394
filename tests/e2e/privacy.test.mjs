// What is not to be kept is gone: from every file of the store, the write-ahead log included, within a minute. Each test says words that
// stand nowhere else, and looks for them in the bytes of the files.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { LIMIT_MS, channelName, engine, until, withPollux } from './harness.mjs';

const MINUTE_MS = Math.max(60000, 3 * LIMIT_MS);

/** The bytes of FILE; none when it has gone since the folder was read: the last CGI program to end takes the log with it. */
function bytesOf(file) {
    try {
        return readFileSync(file);
    } catch (error) {
        if (error.code === 'ENOENT') return Buffer.alloc(0);
        throw error;
    }
}

/** The words among WORDS that stand in a file of the store of SERVER, as they are or in base64. */
function found(server, words) {
    const bytes = readdirSync(server.dataDir).map((name) => bytesOf(join(server.dataDir, name)));
    const forms = (word) => [word, Buffer.from(word).toString('base64').replace(/=+$/, '').slice(0, -1)];
    return words.filter((word) => bytes.some((file) => forms(word).some((form) => file.includes(form))));
}

/** Run BODY(server, client) with a server of these settings; clients end with it. */
const withClients = (env, options, body) => () => withPollux({ env: { POLLUX_LOG_EVENTS: 'yes', ...env }, ...options }, async (server) => {
    const open = [];
    const client = async () => {
        const raw = engine(server.url);
        open.push(raw);
        await raw.connect();
        return raw;
    };
    try {
        await body(server, client);
    } finally {
        open.forEach((raw) => raw.end());
    }
});

async function until42(raw, event) {
    for (;;) {
        const packet = await raw.next();
        if (packet.includes(`["${event}"`)) return packet;
    }
}

/** A conversation with a word of its own in every role; all of it is heard, and both have left. Returns the words. */
async function conversation(server, client) {
    let count = 0;
    const words = [];
    const word = (role) => {
        words.push(`Mark${process.pid}x${++count}${role}${'z'.repeat(8)}`);
        return words.at(-1);
    };
    const channel = channelName();
    const a = await client();
    await a.send(`42["create or join","${channel}","${word('argument')}"]`);
    await until42(a, 'created');
    await a.send(`42["message",{"channel":"${channel}","message":"${word('unheard')}"}]`);
    await a.send(`42["${word('name')}","${word('nobody')}"]`);
    await a.send(`42["message",{"channel":"elsewhere","message":"${word('refused')}"}]`);
    await until42(a, 'error');
    const b = await client();
    await b.send(`42["create or join","${channel}"]`);
    await until42(b, 'ready');
    await a.send(`42["message",{"channel":"${channel}","message":"${word('heard')}"}]`);
    assert.deepEqual(found(server, words.slice(-1)), words.slice(-1), 'it is there while nobody has heard it');
    await a.send(`427["${word('asked')}","${word('with')}"]`);
    await a.send('451-["file",{"_placeholder":true,"num":0}]', `b${Buffer.from(`bytes ${word('binary')} bytes`).toString('base64')}`);
    await until42(b, 'file');
    const c = await client();
    await c.send(`452-["half","${word('text')}",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`,
        `b${Buffer.from(`${word('attached')}${word('large')}`.repeat(2000)).toString('base64')}`);
    assert.equal((await c.post('42["broken"]')).status, 400);
    const d = await client();
    await d.send(`451-["half","${word('given up')}",{"_placeholder":true,"num":0}]`);
    await d.send('451').catch(() => {});
    await d.post('1');
    await b.send(`42["Bye","${channel}","${word('farewell')}"]`);
    await until42(a, 'Bye');
    for (const one of [a, b]) await one.post('41\x1e1');
    return words;
}

for (const [name, options] of Object.entries({ 'one process': {}, 'two processes': { procs: 2 }, CGI: { cgi: true } })) {
    describe(`what is not to be kept, ${name}`, () => {
        it('payloads_are_gone', withClients({ POLLUX_KEEP_PAYLOADS: 'no' }, options, async (server, client) => {
            const words = [...await conversation(server, client), ...await conversation(server, client)];
            await until(() => found(server, words).length === 0, MINUTE_MS, `${words} to be gone`)
                .catch((error) => assert.fail(`${error.message}; there are still ${found(server, words)}`));
        }));

        it('addresses_are_gone', withClients({ POLLUX_KEEP_ADDRESSES: 'no' }, options, async (server, client) => {
            const channel = channelName();
            const addresses = ['203.0.113.61', '203.0.113.62', '203.0.113.63'];
            const a = await client();
            await a.send(`42["create or join","${channel}"]`);
            await until42(a, 'created');
            await a.send(`42["message",{"channel":"${channel}","message":"candidate:1 1 udp 1 ${addresses[0]} 5000 typ host"}]`);
            await a.send(`42["from ${addresses[1]}"]`);
            const b = await client();
            await b.send(`42["create or join","${channel}"]`);
            await until42(b, 'ready');
            await a.send(`42["message",{"channel":"${channel}","message":"candidate:1 1 udp 1 ${addresses[2]} 5000 typ host"}]`);
            await until42(b, 'message');
            for (const one of [b, a]) await one.post('41\x1e1');
            await until(() => found(server, addresses).length === 0, MINUTE_MS, `${addresses} to be gone`)
                .catch((error) => assert.fail(`${error.message}; there are still ${found(server, addresses)}`));
            assert.equal(server.sql("select count(*) as n from message where body like '%x.x.x.x%'")[0].n >= 2, true, 'the rest of it was kept');
        }));
    });
}

describe('retention', () => {
    it('what_is_removed_is_gone_from_the_files', withClients({ POLLUX_LOG_AGE_DAYS: '0' }, {}, async (server, client) => {
        const channel = channelName();
        const words = Array.from({ length: 300 }, (_, n) => `Mark${process.pid}kept${n}${'z'.repeat(8)}`);
        const a = await client(), b = await client();
        for (const one of [a, b]) await one.send(`42["create or join","${channel}"]`);
        await until42(b, 'ready');
        for (const word of words) await a.send(`42["message",{"channel":"${channel}","message":"${word.padEnd(6000, '.')}"}]`);
        await a.send('42["end"]');
        await until42(b, 'end');
        assert.ok(found(server, words).length > 0, 'they are there first');
        for (const one of [b, a]) await one.post('41\x1e1');
        await client();                 // the newest message always stays: another one
        await until(() => found(server, words).length === 0, MINUTE_MS, 'all to be gone')
            .catch((error) => assert.fail(`${error.message}; ${found(server, words).length} are still there`));
    }));
});
