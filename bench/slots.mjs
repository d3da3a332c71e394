// Where each poll that waits takes a process, of which there are few: what pairs of clients that talk now and then get of it.
//
//     POLLUX_BUILD=build/plain node bench/slots.mjs --kind fcgid --slots 20 --clients 60 --who ours
//
// Every so many milliseconds one client says something to its peer, one after the other. A line says how much arrived, after
// how long, how many clients were disconnected, and how long it took until all were in their channels.

import { parseArgs } from 'node:util';
import { official, shim } from '../tests/e2e/harness.mjs';
import { startCgi, startFcgid } from '../tests/e2e/nginx.mjs';
import { talkInPairs } from '../tests/e2e/pairs.mjs';

const { values } = parseArgs({ options: {
    kind: { type: 'string', default: 'fcgid' }, slots: { type: 'string', default: '20' }, clients: { type: 'string', default: '60' },
    who: { type: 'string', default: 'ours' }, messages: { type: 'string', default: '60' }, every: { type: 'string', default: '500' },
} });
const factories = { ours: () => shim, official: () => official, mixed: (i) => (i % 2 ? shim : official) };
const ends = [];
const t = { after: (fn) => ends.unshift(fn) };
const slots = Number(values.slots);
const env = { POLLUX_PING_INTERVAL_MS: 25000 };
const server = values.kind === 'cgi' ? await startCgi(t, { slots, env }) : await startFcgid(t, { processes: slots, env });
try {
    const r = await talkInPairs(server.url, factories[values.who], {
        clients: Number(values.clients), messages: Number(values.messages), everyMs: Number(values.every),
    });
    console.log(`${values.kind} ${slots}/${values.clients} ${values.who}: ${r.heard}/${r.sent} heard; p50 ${r.p(0.5)} p90 ${r.p(0.9)} max ${r.p(1)} ms;`
        + ` ${r.disconnects} disconnects; all joined after ${r.joinMs} ms`);
} finally {
    for (const end of ends) await end();
}
process.exit(0);
