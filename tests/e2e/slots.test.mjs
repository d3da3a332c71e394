// More clients than processes, where each poll that waits takes one: whatever is said arrives, and nobody is disconnected.
// How soon, bench/slots.mjs measures.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { official, shim } from './harness.mjs';
import { startCgi, startFcgid } from './nginx.mjs';
import { talkInPairs } from './pairs.mjs';

const env = { POLLUX_PING_INTERVAL_MS: 25000 };
const some = { messages: 24, everyMs: 250 };

function everythingArrived({ sent, heard, disconnects }) {
    assert.deepEqual({ sent, heard, disconnects }, { sent: some.messages, heard: some.messages, disconnects: 0 });
}

describe('more clients than processes', () => {
    it('ours_under_mod_fcgid', async (t) => {
        const { url } = await startFcgid(t, { processes: 5, env });
        everythingArrived(await talkInPairs(url, () => shim, { clients: 10, ...some }));
    });

    it('the_official_one_under_mod_fcgid', async (t) => {
        const { url } = await startFcgid(t, { processes: 5, env });
        everythingArrived(await talkInPairs(url, () => official, { clients: 8, ...some }));
    });

    it('both_as_cgi', async (t) => {
        const { url } = await startCgi(t, { slots: 20, env });
        everythingArrived(await talkInPairs(url, (i) => (i % 2 ? shim : official), { clients: 20, ...some }));
    });
});
