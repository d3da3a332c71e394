// Floods of several kinds through lighttpd, with a pair of innocent clients that talks all the while: the pair hears everything, once and in
// order; who floods is told why it is refused; memory and files keep their bounds; and afterwards nothing is left.
//
// Nothing here is timed. How long the pair waits is printed, for people.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { LIMIT_MS, channelName, engine, sleep, until, withPollux } from './harness.mjs';

const sanitized = Boolean(process.env.ASAN_OPTIONS);

/** What all of SERVER's processes take, each shared page counted once, in MB. */
const memory = (server) => server.pids().reduce((sum, pid) => {
    try {
        return sum + Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))[1]) / 1024;
    } catch {
        return sum; // it has ended
    }
}, 0);
const size = (server) => readdirSync(server.dataDir).reduce((sum, name) => sum + statSync(join(server.dataDir, name)).size, 0) / 1e6;

const WAL_MB = 64;                      // what the write-ahead log may have (src/store/sqlite/tidy.c); the keeper begins it anew at half of that

/** Run BODY(of) under pressure while a pair talks; the pair must not notice. LIMITS: megabytes of memory and files, at any time. */
const besides = (options, limits, body) => (t) => withPollux(options, async (server) => {
    const clients = [];
    const of = { server, client: () => clients[clients.push(engine(server.url)) - 1] };
    /** A client in the channel NAME that has heard that it is. */
    of.joined = async (name) => {
        const client = of.client();
        client.id = (await client.connect()).sid;
        await client.send(`42["create or join","${name}"]`);
        while (!/^42\["(created|joined)"/.test(await client.next()));
        return client;
    };
    const channel = channelName();
    const [a, b] = [await of.joined(channel), await of.joined(channel)];
    assert.equal(await b.next(), `42["ready","${channel}"]`);
    assert.equal((await a.take(4)).at(-1), `42["ready","${channel}"]`);
    const waits = [];
    let over = false, most = { memory: 0, size: 0 };
    const listen = async () => {
        while (!over) assert.fail(`the one who talks was told ${await a.next(30 * LIMIT_MS)}`); // for as long as the flood lasts
    };
    const talk = async () => {
        for (let i = 0; !over; i++) {
            const begun = performance.now();
            const [packet] = await Promise.all([b.next(), a.send(`42["talk",${i}]`)]);
            assert.equal(packet, `42["talk",${i}]`);
            waits.push(performance.now() - begun);
            most = { memory: Math.max(most.memory, memory(server)), size: Math.max(most.size, size(server)) };
        }
    };
    try {
        const talking = talk();
        const listening = listen();
        listening.catch(() => {});      // it ends with the connection
        await Promise.race([body(of), listening, talking.then(() => assert.fail('the pair has stopped'))]);
        over = true;
        await talking;
    } finally {
        over = true;
        clients.forEach((client) => client.end());
    }
    waits.sort((x, y) => x - y);
    t.diagnostic(`the pair: ${waits.length} times, p50 ${waits[waits.length >> 1].toFixed(1)} ms, p99 ${waits[Math.floor(waits.length * 0.99)].toFixed(1)} ms; `
        + `at most ${most.memory.toFixed(1)} MB of memory, ${most.size.toFixed(1)} MB of files`);
    if (!sanitized) assert.ok(most.memory < limits.memory, `${most.memory} MB of memory`);
    assert.ok(most.size < limits.size, `${most.size} MB of files`);
});

const reason = (answer) => JSON.parse(answer.text).message;
/** Call FN(i) COUNT times, a few at a time. */
async function times(count, fn, at_a_time = 8) {
    let next = 0;
    await Promise.all(Array.from({ length: at_a_time }, async () => {
        while (next < count) await fn(next++);
    }));
}

describe('under pressure', () => {
    const few = { env: { POLLUX_MAX_SESSIONS_PER_ADDRESS: '60', POLLUX_CONNECT_TIMEOUT_MS: '600000', POLLUX_LOG_EVENTS: 'no' } };
    it('handshakes_in_a_loop', besides(few, { memory: 20, size: 4 + WAL_MB }, async (of) => {
        const opened = [];
        await times(600, async () => {
            const one = of.client();
            const answer = await one.open();
            one.end();
            if (answer.status === 200) return opened.push(one);
            assert.equal(answer.status, 403);
            assert.match(reason(answer), /too many sessions from this address/);
        });
        assert.equal(opened.length, 58);
        assert.equal(of.server.sql('select count(*) as n from session')[0].n, 60);
        await opened[0].post('1');
        assert.equal((await of.client().open()).status, 200, 'there is room again');
    }));

    const small = { env: { POLLUX_MAX_QUEUED_MESSAGES: '300', POLLUX_LOG_MAX_BYTES: '2000000', POLLUX_LOG_EVENTS: 'no' } };
    for (const procs of [1, 3]) {
        it(`a_sender_who_floods_and_a_receiver_who_never_polls, ${procs} processes`,
            besides({ procs, ...small }, { memory: 40, size: 24 + WAL_MB }, async (of) => {
            const channel = channelName();
            const [sender, deaf] = [await of.joined(channel), await of.joined(channel)];
            const told = new Set();
            let going = true;
            (async () => {
                while (going) told.add((await sender.next(30 * LIMIT_MS)).replace(/^42\["error",.*"code":"(\w+)".*/, '$1').slice(0, 40));
            })().catch((error) => { if (going) throw error; });
            const body = Array(100).fill(`42["flood","${'x'.repeat(500)}"]`).join('\x1e');
            const answers = {};
            await times(300, async () => {
                const { status, text } = await sender.post(body);
                answers[status] = (answers[status] ?? 0) + 1;
                if (status !== 200) assert.match(`${status} ${text}`, /^429 .*(slow down|poll first)/);
            }, 4);
            await until(() => told.has('queue_full'), LIMIT_MS, 'the sender being told');
            assert.ok(answers[200] > 0, JSON.stringify(answers));
            const [{ n }] = of.server.sql(`select count(*) as n from delivery d join socket s on s.id = d.socket
                where s.public = '${deaf.id}' and d.arrived_ms is null`);
            assert.ok(n <= 301, `${n} messages wait`);
            going = false;
        }));
    }

    it('requests_that_are_much_work', besides({}, { memory: 60, size: 200 }, async (of) => {
        const of_many = (count, packet) => Array.from({ length: count }, (_, i) => packet.replace('%', i)).join('\x1e');
        for (let i = 0; i < 3; i++) {
            const one = await of.joined(channelName());
            assert.equal((await one.post(of_many(10000, '42[1]'))).status, 200);
            assert.match(reason(await one.post(of_many(10001, '42[1]'))), /Too many packets/);
            assert.equal((await one.post(`42["x"${',"a"'.repeat(240000)}]`)).status, 200);
            assert.equal((await one.post(`42["x"${',{"to":"aaaaaaaaaaaaaaaaaaaa"}'.repeat(30000)}]`)).status, 200);
            assert.match(reason(await one.post(of_many(5000, '40/none%,'))), /too many CONNECTs/);
            const other = await of.joined(channelName());
            assert.match(reason(await other.post(of_many(5000, '40\x1e41'))), /second CONNECT/);
            const third = of.client();
            await third.open();
            assert.match(reason(await third.post(of_many(5000, '40\x1e41'))), /too many CONNECTs/);
        }
    }));

    const brief = { env: { POLLUX_PING_INTERVAL_MS: '1000', POLLUX_PING_TIMEOUT_MS: '5000', POLLUX_RECOVERY_WINDOW_MS: '1000',
        POLLUX_CONNECT_TIMEOUT_MS: '2000' } };
    it('hundreds_that_vanish', besides({ procs: 2, ...brief }, { memory: 30, size: 24 + WAL_MB }, async (of) => {
        await times(800, async (i) => {
            const one = of.client();
            await one.open();
            if (i % 4) await one.post(`40\x1e42["create or join","v${i >> 2}"]`);
            if (i % 8 === 7) one.startPoll();
            else one.end();
        }, 16);
        await until(() => of.server.sql('select count(*) as n from socket where gone_ms is null')[0].n === 2, 2 * LIMIT_MS, 'all but the pair being gone');
        assert.equal(of.server.sql('select count(*) as n from channel')[0].n, 1);
        assert.equal(of.server.sql('select count(*) as n from polling where not closing')[0].n, 2);
    }));
});

describe('after a stall', () => {
    // More than a turn takes, and everybody's time is over by the clock: what they sent lies in the backlog.
    it('nobody_is_lost_whose_answer_has_not_been_read',
        () => withPollux({ env: { POLLUX_PING_INTERVAL_MS: 1000, POLLUX_PING_TIMEOUT_MS: 3000 } }, async (server) => {
        const clients = Array.from({ length: 150 }, () => engine(server.url));
        try {
            await Promise.all(clients.map((one) => one.connect()));
            const pings = await Promise.all(clients.map((one) => one.get()));
            assert.ok(pings.every((answer) => answer.text === '2'), 'all are asked for a sign of life');
            const [worker] = server.workers();
            process.kill(worker, 'SIGSTOP');
            const sent = clients.flatMap((one) => [one.post('3'), one.get()]);
            await sleep(4000);          // the fault itself: longer than they have
            process.kill(worker, 'SIGCONT');
            const answers = await Promise.all(sent);
            assert.deepEqual(answers.filter((answer) => answer.status !== 200 || answer.text === '1').map((answer) => `${answer.status} ${answer.text}`), []);
            await Promise.all(clients.map((one) => one.send('3', '42["still there"]')));
        } finally {
            for (const one of clients) one.end();
        }
    }));
});
