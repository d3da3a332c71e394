// The page of figures and polluxctl stats, through a real web server: what they count, of which processes, and who gets to see it.
//
//   POLLUX_CTL       polluxctl (default: beside the program under test)

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, it } from 'node:test';
import { ask, channelName, engine, official, peer, program, request, until, withPollux } from './harness.mjs';

const ctl = resolve(process.env.POLLUX_CTL ?? join(dirname(program), 'polluxctl'));
const PATH = '/figures';
const on = (more = {}) => ({ also: [PATH], env: { POLLUX_METRICS_PATH: PATH, ...more } });

// ---- a strict reader of the text format

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const SAMPLE = new RegExp(`^(${NAME})(?:\\{((?:[a-z_]+="[^"\\\\]*",)*[a-z_]+="[^"\\\\]*")\\})? (\\d+(?:\\.\\d+)?)$`);

/** TEXT as a map of families by name: {type, samples: [{name, labels, value}]}. Whatever is not in order throws. */
function parse(text) {
    assert.ok(text.endsWith('\n'), 'the last line ends');
    const families = new Map();
    let family, help;
    for (const line of text.slice(0, -1).split('\n')) {
        const head = new RegExp(`^# (HELP|TYPE) (${NAME}) (.+)$`).exec(line);
        if (head?.[1] === 'HELP') {
            assert.ok(!families.has(head[2]), `${head[2]} in two places`);
            help = head[2];
        } else if (head) {
            assert.equal(help, head[2], `TYPE without HELP: ${line}`);
            assert.match(head[3], /^(counter|gauge|histogram)$/);
            families.set(help, family = { name: help, type: head[3], samples: [] });
        } else {
            const found = SAMPLE.exec(line);
            assert.ok(found, `no sample: ${line}`);
            const [, name, list, value] = found;
            const ending = family.type === 'histogram' ? '_(bucket|sum|count)' : '';
            assert.match(name, new RegExp(`^${family.name}${ending}$`), `below ${family.name}`);
            const labels = Object.fromEntries((list?.split(',') ?? []).map((pair) => pair.replaceAll('"', '').split('=')));
            family.samples.push({ name, labels, value: Number(value) });
        }
    }
    for (const each of families.values()) judge(each);
    return families;
}

/** No sample twice; buckets of a histogram grow to +Inf, which is _count; there is a _sum. */
function judge({ name, type, samples }) {
    const keys = samples.map((s) => JSON.stringify([s.name, s.labels]));
    assert.equal(new Set(keys).size, keys.length, `${name}: a sample twice`);
    if (type === 'counter') assert.match(name, /_total$/);
    if (type !== 'histogram') return;
    for (const pid of new Set(samples.map((s) => s.labels.pid))) {
        const own = samples.filter((s) => s.labels.pid === pid);
        const buckets = own.filter((s) => s.name === `${name}_bucket`);
        const bounds = buckets.map((s) => (s.labels.le === '+Inf' ? Infinity : Number(s.labels.le)));
        assert.ok(bounds.length > 2 && bounds.every((b, i) => i === 0 || b > bounds[i - 1]), `${name}: bounds ${bounds}`);
        assert.ok(buckets.every((s, i) => i === 0 || s.value >= buckets[i - 1].value), `${name}: buckets shrink`);
        assert.equal(bounds.at(-1), Infinity);
        assert.deepEqual(own.filter((s) => s.name === `${name}_count`).map((s) => s.value), [buckets.at(-1).value]);
        assert.equal(own.filter((s) => s.name === `${name}_sum`).length, 1);
        assert.equal(own.length, buckets.length + 2);
    }
}

/** The page of SERVER, read: value(name, labels) is the sum of the samples that fit. */
async function figures(server) {
    const answer = await request(server.url + PATH);
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
    const families = parse(answer.text);
    return {
        families,
        value(name, labels = {}) {
            const family = families.get(name.replace(/(?<=_(seconds|requests))_(bucket|sum|count)$/, ''));
            assert.ok(family, `${name} is missing`);
            return family.samples.filter((s) => s.name === name && Object.entries(labels).every(([k, v]) => s.labels[k] === v))
                .reduce((sum, s) => sum + s.value, 0);
        },
        pids: () => families.get('pollux_requests_total').samples.map((s) => Number(s.labels.pid)),
    };
}

const sorted = (list) => [...list].sort((a, b) => a - b);
const stats = (server, ...args) => execFileSync(ctl, ['--store', server.dataDir, 'stats', ...args], { encoding: 'utf8', stdio: 'pipe' });
const objects = (server) => stats(server, '--json').trim().split('\n').map((line) => JSON.parse(line));

describe('the reader of this test', () => {
    it('refuses_what_is_out_of_order', () => {
        const good = '# HELP a_seconds h\n# TYPE a_seconds histogram\n'
            + ['0.1', '0.5', '+Inf'].map((le, i) => `a_seconds_bucket{pid="1",le="${le}"} ${i}\n`).join('')
            + 'a_seconds_sum{pid="1"} 0.5\na_seconds_count{pid="1"} 2\n';
        parse(good);
        for (const [from, to] of [[/# HELP.*\n/, ''], [/# TYPE.*\n/, ''], ['le="+Inf"} 2', 'le="+Inf"} 1'], ['le="0.5"} 1', 'le="0.5"} 3'],
            ['count{pid="1"} 2', 'count{pid="1"} 3'], ['le="0.5"', 'le="0.05"'], [/.*_sum.*\n/, ''], [/\n$/, '']])
            assert.throws(() => parse(good.replace(from, to)), `${from} to ${to}`);
    });
});

describe('the page of figures', () => {
    it('is_off_by_default', () => withPollux({ also: [PATH], env: { POLLUX_PATH: '/socket.io/' } }, async (server) => {
        const answer = await request(server.url + PATH);
        assert.equal(`${answer.status} ${answer.text}`, '404 Not found\n');
        assert.equal((await request(`${server.url}/socket.io/metrics`)).status, 404);
    }));

    const alone = { also: [PATH, `${PATH}/`], env: { ...on().env, POLLUX_PATH: '/socket.io/' } };
    it('is_at_exactly_its_path_and_for_GET_alone', () => withPollux(alone, async (server) => {
        assert.equal((await request(server.url + PATH)).status, 200);
        assert.equal((await request(`${server.url}${PATH}?a=b`)).status, 200);
        assert.equal((await request(`${server.url}${PATH}/`)).status, 404);
        assert.equal((await request(server.url + PATH, { method: 'POST', body: 'x' })).status, 404);
    }));

    it('is_forbidden_from_elsewhere', () => withPollux(on({ POLLUX_METRICS_ALLOW: '192.0.2.7 2001:db8::7' }), async (server) => {
        const answer = await request(server.url + PATH);
        assert.equal(answer.status, 403);
        assert.doesNotMatch(answer.text, /pollux_/);
    }));

    it('is_forbidden_to_those_whom_a_proxy_here_asks_for', () => withPollux(on(), async (server) => {
        const headers = { 'X-Forwarded-For': '192.0.2.7' };
        assert.equal((await request(server.url + PATH, { headers })).status, 403);
        assert.equal((await request(server.url + PATH)).status, 200);
    }));

    it('is_for_anybody_where_that_is_said', () => withPollux(on({ POLLUX_METRICS_ALLOW: '*' }), figures));

    it('counts_hops_requests_and_statuses', () => withPollux(on(), async (server) => {
        const a = await peer(official, server.url), b = await peer(official, server.url), room = channelName();
        await ask(a.socket, 'create or join', room);
        await ask(b.socket, 'create or join', room);
        const before = await figures(server);
        for (let i = 0; i < 25; i++) await ask(a.socket, 'message', { channel: room, message: i });
        for (let i = 0; i < 3; i++) assert.equal((await engine(server.url).get('t', { query: { sid: 'nobody' } })).status, 400);
        const after = await figures(server);
        const grown = (name, labels) => after.value(name, labels) - before.value(name, labels);

        assert.equal(grown('pollux_hops_total'), 25);
        assert.equal(grown('pollux_answers_total', { code: '400' }), 3);
        assert.ok(grown('pollux_answers_total', { code: '200' }) >= 50);
        assert.equal(after.value('pollux_answers_total', { code: '503' }), 0);
        assert.ok(grown('pollux_requests_total') >= 53);
        assert.ok(grown('pollux_commit_seconds_count') >= 25);
        assert.ok(grown('pollux_commit_seconds_sum') > 0);
        assert.ok(grown('pollux_turn_seconds_count') >= 25);
        assert.ok(grown('pollux_turn_seconds_sum') > grown('pollux_commit_seconds_sum'), 'each commit is in a turn');
        assert.ok(grown('pollux_turn_requests_sum') >= 53);

        assert.equal(after.value('pollux_sessions'), 2);
        assert.equal(after.value('pollux_sockets'), 2);
        assert.equal(after.value('pollux_channels'), 1);
        const rows = server.sql('SELECT count(*) AS n FROM message')[0].n;
        assert.equal((await figures(server)).value('pollux_log_rows'), rows);
        assert.ok(after.value('pollux_database_bytes') > 0 && after.value('pollux_wal_bytes') > 0);
        a.socket.disconnect();
        b.socket.disconnect();
    }));

    it('counts_polls_that_wait_and_what_is_owed', () => withPollux(on(), async (server) => {
        const clients = await Promise.all([1, 2, 3].map(async () => {
            const client = engine(server.url);
            await client.connect();
            client.startPoll();
            return client;
        }));
        const held = async () => (await figures(server)).value('pollux_held_polls');
        await until(async () => await held() === 3);
        await until(async () => (await figures(server)).value('pollux_queued_deliveries') === 0);
        const silent = engine(server.url);
        await silent.connect();
        const room = channelName();
        for (const client of [clients[0], silent]) await client.send(`42${JSON.stringify(['create or join', room])}`);
        await clients[0].send(`42${JSON.stringify(['message', { channel: room, message: 'for one who does not poll' }])}`);
        const owed = server.sql('SELECT count(*) AS n FROM delivery WHERE arrived_ms IS NULL')[0].n;
        assert.ok(owed >= 2);
        assert.equal((await figures(server)).value('pollux_queued_deliveries'), owed);
        for (const client of [...clients, silent]) client.end();
        await until(async () => await held() < 3);
    }));

    it('shows_all_processes_whichever_answers_and_none_that_was_killed',
        () => withPollux({ procs: 2, ...on(), allow: /P402/ }, async (server) => {
            await until(async () => (await figures(server)).pids().length === 2);
            for (let i = 0; i < 20; i++) assert.deepEqual((await figures(server)).pids(), sorted(server.workers()));
            await until(async () => {
                // many at a time, since one process may be the first at each that comes alone
                const [page] = await Promise.all(Array.from({ length: 16 }, () => figures(server)));
                return page.pids().every((pid) => page.value('pollux_requests_total', { pid: `${pid}` }) > 0);
            });
            const [victim] = server.workers();
            process.kill(victim, 'SIGKILL');
            await until(async () => {
                const pids = (await figures(server)).pids();
                return pids.length === 2 && !pids.includes(victim);
            });
            assert.ok(!existsSync(join(server.dataDir, `stats.${victim}`)), 'its file is removed');
            assert.deepEqual((await figures(server)).pids(), sorted(server.workers()));
        }));
});

describe('polluxctl stats', () => {
    it('says_what_the_page_says', () => withPollux({ procs: 2 }, async (server) => {
        const a = await peer(official, server.url), b = await peer(official, server.url), room = channelName();
        await ask(a.socket, 'create or join', room);
        await ask(b.socket, 'create or join', room);
        for (let i = 0; i < 7; i++) await ask(a.socket, 'message', { channel: room, message: i });
        for (let i = 0; i < 3; i++) assert.equal((await engine(server.url).get('t', { query: { sid: 'nobody' } })).status, 400);
        const [store, ...processes] = objects(server);
        assert.equal(store.kind, 'store');
        assert.equal(store.sockets, 2);
        assert.equal(store.channels, 1);
        assert.deepEqual(processes.map((p) => p.pid), sorted(server.workers()));
        assert.equal(processes.reduce((sum, p) => sum + p.hops, 0), 7);
        for (const p of processes) {
            assert.equal(p.kind, 'process');
            assert.equal(p.turn_seconds.buckets['+Inf'], p.turn_seconds.count);
            assert.ok(p.turn_seconds.count > 0 && p.turn_seconds.buckets['1'] > 0, 'buckets hold those before them');
            assert.deepEqual(Object.keys(p.answers), ['200', '204', '400', '403', '404', '413', '429', '503', 'other'].sort(
                (x, y) => Number(x) - Number(y)));
        }
        const text = stats(server);
        assert.match(text, /^sessions +2\nsockets +2\nchannels +1\n/);
        const errors = server.workers().map((pid) => new RegExp(`^ *${pid} +\\d+ +\\d+ +\\d+ +(\\d+) `, 'm').exec(text)[1]);
        assert.equal(errors.reduce((sum, n) => sum + Number(n), 0), 3);
        a.socket.disconnect();
        b.socket.disconnect();
        await server.halt();
        assert.deepEqual(objects(server).map((o) => o.kind), ['store']);
    }));

    it('shows_the_store_alone_where_the_program_is_CGI', () => withPollux({ cgi: true }, async (server) => {
        const client = engine(server.url);
        await client.connect();
        assert.deepEqual(objects(server).map((o) => o.kind), ['store']);
        client.end();
    }));
});
