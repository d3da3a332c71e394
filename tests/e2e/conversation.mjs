// Two clients that say numbers to each other all the while, and what became of each. Promised is
//
//   of ours      every number that was said
//   of official  every number whose acknowledgement came (what it has in hand when its connection ends is not sent again)

import { LIMIT_MS, channelName, shim, sleep, until, within } from './harness.mjs';

const PACE_MS = 6;      // between two numbers of one client
const IN_FLIGHT = 6;    // numbers of one client whose acknowledgements have not come

/** One client that says numbers, and hears those of the other. EVERYTHING: all it says is promised to arrive. */
function speaker(socket, channel, everything) {
    const self = { socket, said: 0, promised: new Set(), refused: 0, disconnects: 0, heard: [], waiting: new Set() };
    socket.on('message', (n) => self.heard.push(n));
    socket.on('disconnect', () => {
        self.disconnects++;
        if (!everything) self.waiting.clear();
    });
    self.say = () => {
        const n = self.said++;
        if (everything) self.promised.add(n);
        self.waiting.add(n);
        socket.emit('message', { channel, message: n }, (reply) => {
            self.waiting.delete(n);
            if (reply.recipients === 1) self.promised.add(n);
            else self.refused++;
        });
    };
    return self;
}

/** Two clients of FACTORY, with OPTIONS, that talk to each other through URL. */
export async function talk(factory, url, options) {
    const everything = factory === shim;
    const channel = channelName();
    const sockets = [factory(url, options), factory(url, options)];
    const ready = sockets.map((socket) => within(new Promise((done) => socket.once('ready', done)), 'both in the channel'));
    for (const socket of sockets) {
        await until(() => socket.connected, LIMIT_MS, 'a connection');
        socket.emit('create or join', channel);
    }
    await Promise.all(ready);
    const speakers = sockets.map((socket) => speaker(socket, channel, everything));
    let stopped = false;
    const loops = speakers.map(async (one) => {
        while (!stopped) {
            if (one.waiting.size < IN_FLIGHT && (everything || one.socket.connected)) one.say();
            await sleep(PACE_MS);
        }
    });
    return {
        speakers,
        heard: () => speakers.reduce((sum, one) => sum + one.heard.length, 0),

        /** Say no more; wait until all that was promised, and a last number behind it, has been heard. */
        async end() {
            stopped = true;
            await Promise.all(loops);
            for (const [i, one] of speakers.entries()) {
                const other = speakers[1 - i];
                let last;
                await until(() => {
                    if (one.socket.connected && one.waiting.size === 0 && !one.promised.has(last)) {
                        last = one.said;
                        one.say();
                    }
                    return one.waiting.size === 0 && one.promised.has(last) && other.heard.includes(last);
                }, LIMIT_MS, `the last of the numbers; acknowledgements missing: ${[...one.waiting]}`);
            }
        },
        close() {
            stopped = true;
            for (const socket of sockets) socket.close();
        },
    };
}

/** What became of what HEARER should have heard from SAYER. */
export function verdict(sayer, hearer) {
    const { heard } = hearer;
    const once = new Set(heard);
    return {
        lost: [...sayer.promised].filter((n) => !once.has(n)),
        doubled: heard.filter((n, i) => heard.indexOf(n) !== i),
        reordered: heard.filter((n, i) => i > 0 && n < heard[i - 1]),
        unknown: heard.filter((n) => !(n >= 0 && n < sayer.said)),
    };
}
