// Many pairs at a time through four processes: nothing lost, nothing twice, nothing out of order, nothing to a stranger.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LIMIT_MS, channelName, official, peer, shim, withPollux } from './harness.mjs';

const PAIRS = 20;
const MESSAGES = 50;

describe('volume', () => {
    for (const [host, options] of Object.entries({ 'four processes of lighttpd': { maxProcs: 4 }, 'four workers': { procs: 4 } })) {
        for (const [name, factory] of [['official', official], ['ours', shim]]) {
            it(`${PAIRS} pairs, ${host}, ${name}`, () => withPollux(options, async (server) => {
                const open = [];
                const one = async () => {
                    const joined = await peer(factory, server.url);
                    open.push(joined.socket);
                    return joined;
                };
                try {
                    await Promise.all(Array.from({ length: PAIRS }, async (_, pair) => {
                        const channel = channelName();
                        const [a, b] = await Promise.all([one(), one()]);
                        a.socket.emit('create or join', channel);
                        await a.tape.next('created', 3 * LIMIT_MS);
                        b.socket.emit('create or join', channel);
                        await Promise.all([a.tape.next('ready', 3 * LIMIT_MS), b.tape.next('ready', 3 * LIMIT_MS)]);
                        a.tape.clear();
                        b.tape.clear();
                        // Each message waits for the answer to the one before, as in a real exchange.
                        for (let i = 0; i < MESSAGES; i++) {
                            a.socket.emit('message', { channel, message: { pair, i } });
                            assert.deepEqual(await b.tape.next('message', 3 * LIMIT_MS), [{ pair, i }]);
                            b.socket.emit('response', { channel, message: { pair, i } });
                            assert.deepEqual(await a.tape.next('response', 3 * LIMIT_MS), [{ pair, i }]);
                        }
                        assert.equal(a.tape.list.length, MESSAGES);
                        assert.equal(b.tape.list.length, MESSAGES);
                    }));
                    const [{ n }] = server.sql("select count(*) as n from message where name in ('message', 'response')");
                    assert.equal(n, 2 * PAIRS * MESSAGES, 'the log has each of them once');
                } finally {
                    open.forEach((socket) => socket.close());
                }
            }));
        }
    }

    for (const [host, options] of Object.entries({ 'four processes of lighttpd': { maxProcs: 4 }, 'four workers': { procs: 4 } })) {
        it(`a message wakes a poll held by another process at once, ${host}`, () => withPollux(options, async (server) => {
            const channel = channelName();
            const [a, b] = [await peer(official, server.url), await peer(shim, server.url)];
            try {
                a.socket.emit('create or join', channel);
                await a.tape.next('created');
                b.socket.emit('create or join', channel);
                await b.tape.next('ready');
                const took = [];
                for (let i = 0; i < 60; i++) {
                    const began = performance.now();
                    a.socket.emit('message', { channel, message: i });
                    await b.tape.next('message');
                    took.push(performance.now() - began);
                }
                took.sort((x, y) => x - y);
                const median = took[took.length / 2];
                assert.ok(median < LIMIT_MS / 200, `the median is ${median.toFixed(1)} ms, the longest ${took.at(-1).toFixed(1)} ms`);
            } finally {
                a.socket.close();
                b.socket.close();
            }
        }));
    }
});
