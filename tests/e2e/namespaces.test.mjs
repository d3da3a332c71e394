// Two instances on one store, each in a pid namespace of its own, as containers on one volume are: their processes have the
// same process ids, and wake each other all the same.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { channelName, official, peer, withPollux } from './harness.mjs';

// Nothing but a wake brings a message in time: the next heartbeat is far away.
const env = { POLLUX_PING_INTERVAL_MS: 600000 };

/** The process ids of the server's workers as they see them themselves. */
const inside = (server) => server.workers().map((pid) => /^NSpid:.*\s(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);

describe('two pid namespaces on one store', () => {
    it('messages_pass_between_processes_of_one_pid', () => withPollux({ apart: true, env }, (first) =>
        withPollux({ apart: true, env: { ...env, POLLUX_STORE: first.dataDir } }, async (second) => {
            assert.deepEqual(inside(first), inside(second));
            const channel = channelName();
            const a = await peer(official, first.url);
            const b = await peer(official, second.url);
            try {
                a.socket.emit('create or join', channel);
                await a.tape.next('created');
                b.socket.emit('create or join', channel);
                await Promise.all([a.tape.next('ready'), b.tape.next('ready')]);
                for (let i = 0; i < 10; i++) {
                    a.socket.emit('message', { channel, message: i });
                    assert.deepEqual(await b.tape.next('message'), [i]);
                    b.socket.emit('response', { channel, message: i });
                    assert.deepEqual(await a.tape.next('response'), [i]);
                }
                assert.equal(first.sql('select count(*) as n from holder')[0].n, 2);
            } finally {
                a.socket.disconnect();
                b.socket.disconnect();
            }
        })));
});
