// floods.mjs - what a visitor who does its worst costs the others: the latency of a pair that talks, alone and beside each flood, in
// one run. Prints a table for bench/README.md. The floods come from another address of this machine, with the limits as they are by
// default. Usage: POLLUX_BUILD=build/plain node bench/floods.mjs [SECONDS]

import { fork } from 'node:child_process';
import http from 'node:http';
import { channelName, engine, sleep, startPollux } from '../tests/e2e/harness.mjs';

const FLOODER = '127.0.0.2';
// The floods come from a process of their own, so that the pair's times are the server's and not those of its neighbour in the loop.
const [, , SECONDS = 5, flooding, address] = process.argv;
const server = address ? { url: address } : await startPollux({ env: { POLLUX_MAX_WORK_PERCENT: 10, POLLUX_CAPACITY: 3 } });

/** A raw client at the flooder's address. */
async function flooder(channel) {
    const agent = new http.Agent({ keepAlive: true, localAddress: FLOODER });
    const ask = (method, query, body) => new Promise((done, fail) => {
        const rq = http.request(`${server.url}/socket.io/?EIO=4&transport=polling&t=${Math.random()}${query}`, { method, agent }, (rs) => {
            let text = '';
            rs.setEncoding('utf8').on('data', (part) => { text += part; }).on('end', () => done({ status: rs.statusCode, text })).on('error', fail);
        });
        rq.on('error', fail).end(body);
    });
    const open = async (own = '') => {
        const { sid } = JSON.parse((await ask('GET', own)).text.slice(1));
        await ask('POST', `&sid=${sid}`, `40\x1e42["create or join","${channel}"]`);
        return { post: (body, more = '') => ask('POST', `&sid=${sid}${more}`, body), get: () => ask('GET', `&sid=${sid}`) };
    };
    return { open, end: () => agent.destroy() };
}

const packets = (text, count) => Array.from({ length: count }, (_, i) => text.replace('#', i)).join('\x1e');

/** Post BODY again and again from COUNT sessions until OVER() is true; somebody who listens is with them, or DEAF members who do not. */
const again = (body, { count = 1, more = '', own = '', polls = true, deaf = 0 } = {}) => async (over) => {
    const channel = channelName();
    const { open, end } = await flooder(channel);
    let posts = 0, refused = 0;
    for (let i = 0; i < deaf; i++) await open();
    const listener = deaf ? null : await open();
    const listen = (async () => { while (listener && !over()) await listener.get().catch(() => sleep(10)); })();
    await Promise.all(Array.from({ length: count }, async () => {
        let session = await open(own);
        if (polls) (async () => { while (!over()) await session.get().catch(() => sleep(10)); })();
        while (!over()) {
            const { status } = await session.post(body.replaceAll('CHANNEL', channel), more).catch(() => ({ status: 0 }));
            posts++;
            refused += status !== 200;
            if (status === 429) await sleep(20);        // asked to slow down, it hardly does
            else if (status === 400 || status === 0) session = await open(own);
        }
    }));
    end();
    await listen.catch(() => {});
    return `${posts} POSTs, ${refused} refused`;
};

const floods = {
    'nothing': async (over) => { while (!over()) await sleep(50); return ''; },
    'one POST of 10 KB after another': again(packets('42["x"]', 1250)),
    'the same from twenty sessions': again(packets('42["x"]', 1250), { count: 20 }),
    'a member floods its room, 140 KB a POST': again(packets('42["x","abcdef"]', 9000)),
    'asking at a full channel': again(packets('42["create or join","FULL"]', 400), { count: 8 }),
    'joining and leaving': again(packets('42["create or join","a#"]\x1e42["leave","a#"]', 200), { count: 8 }),
    'acknowledgements, never polling': again(packets('42#["x"]', 1000), { count: 8, polls: false }),
    'POSTs that wait': again(packets('42#["x"]', 500), { count: 4, more: '&wait=true', own: '&pollux=1', polls: false }),
    'a member floods two who never poll': again(packets('42["x"]', 9900), { deaf: 2 }),
};

const EVERY_MS = 5;     // one message of the pair

/** The round trips of all messages that are due before END, each from when it was: while one waits for seconds, hundreds would have. */
async function talk(end) {
    const channel = channelName();
    const a = engine(server.url), b = engine(server.url);
    for (const one of [a, b]) {
        await one.connect();
        await one.send(`42["create or join","${channel}"]`);
    }
    while (!(await b.next()).includes('"ready"'));
    const times = [];
    for (let n = 0, due = performance.now(); due < end; n++, due += EVERY_MS) {
        let from = due;
        if (due > performance.now()) {
            await sleep(due - performance.now());
            from = performance.now();       // the timer's being late is not the server's
        }
        b.startPoll();
        await a.send(`42["n",${n}]`);
        while (!(await b.next()).includes(`["n",${n}]`));
        times.push(performance.now() - from);
    }
    a.end();
    b.end();
    return times.sort((x, y) => x - y);
}

if (flooding) {
    const end = performance.now() + SECONDS * 1000;
    process.send(await floods[flooding](() => performance.now() > end));
    process.exit(0);
}

/** Run FLOOD in a process of its own; what it came to. */
const elsewhere = (flood) => new Promise((done) => {
    fork(process.argv[1], [SECONDS, flood, server.url]).on('message', done).on('exit', () => done('it broke off'));
});

const full = Array.from({ length: 3 }, () => engine(server.url));
for (const one of full) {
    await one.connect();
    await one.send('42["create or join","FULL"]');
    one.startPoll();
}
const at = (times, part) => times[Math.min(times.length - 1, Math.floor(times.length * part))];
let quiet = null;
console.log('| beside | messages | p50 ms | p99 ms | longest ms | p99, times the quiet one | what the flood came to |\n|---|---|---|---|---|---|---|');
for (const name of Object.keys(floods)) {
    const end = performance.now() + SECONDS * 1000;
    const [times, came] = await Promise.all([talk(end), elsewhere(name)]);
    quiet ??= at(times, 0.99);
    const figures = [at(times, 0.5).toFixed(1), at(times, 0.99).toFixed(1), at(times, 1).toFixed(0), (at(times, 0.99) / quiet).toFixed(1)];
    console.log(`| ${[name, times.length, ...figures, came].join(' | ')} |`);
}
for (const one of full) one.end();
await server.stop();
process.exit(0);
