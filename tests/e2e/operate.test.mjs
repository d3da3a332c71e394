// What docs/OPERATING.md promises: a backup of a store that is written to, its restoration, and what is shipped for Prometheus and
// Grafana with a real Prometheus.

import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { LIMIT_MS, channelName, freePort, official, peer, readSql, request, shim, until, withPollux } from './harness.mjs';
import { run } from './nginx.mjs';

const conf = resolve(dirname(fileURLToPath(import.meta.url)), '../../conf');
const polluxctl = resolve(process.env.POLLUX_BUILD ?? resolve(conf, '..'), 'polluxctl');

describe('a backup', () => {
    it('taken_while_messages_flow_has_all_that_was_acknowledged_before_and_serves', (t) => withPollux({ procs: 2, allow: /./ }, async (server) => {
        const dir = mkdtempSync(join(tmpdir(), 'pollux-backup-'));
        t.after(() => rmSync(dir, { recursive: true, force: true }));
        const channel = channelName();
        const [a, b] = [await peer(shim, server.url), await peer(official, server.url)];
        try {
            a.socket.emit('create or join', channel);
            await a.tape.next('created');
            b.socket.emit('create or join', channel);
            await a.tape.next('ready');
            let said = 0, stored = 0, flowing = true;
            const flow = (async () => {
                while (flowing) {
                    const n = said++;
                    await new Promise((done) => a.socket.emit('message', { channel, message: `number ${n}` }, done));
                    stored = n;
                }
            })();
            await until(() => stored > 200, LIMIT_MS, 'messages');
            const before = stored, file = join(dir, 'pollux.db');
            await promisify(execFile)('sqlite3', [server.database, `.backup ${file}`]);
            const after = said;
            await until(() => stored > after + 20, LIMIT_MS, 'more messages');
            flowing = false;
            await flow;
            const kept = readSql(file,
                `SELECT body FROM message WHERE body LIKE '["message",%number %'`).map(({ body }) => Number(/number (\d+)/.exec(body)[1]));
            assert.deepEqual(kept.filter((n) => n <= before), [...Array(before + 1).keys()]);
            assert.ok(kept.length < said, 'and nothing of what came later');

            await server.halt();
            for (const name of readdirSync(server.dataDir)) rmSync(join(server.dataDir, name));
            cpSync(file, server.database);
            assert.match(execFileSync(polluxctl, ['--store', server.dataDir, 'check'], { encoding: 'utf8', env: { PATH: process.env.PATH } }), /is well/);
            await server.start();
            await until(() => a.socket.connected && b.socket.connected, LIMIT_MS, 'both clients again');
            const c = await peer(shim, server.url);
            c.socket.emit('create or join', channelName());
            await c.tape.next('created');
            c.socket.close();
        } finally {
            a.socket.close();
            b.socket.close();
        }
    }));
});

describe('what is shipped for Prometheus and Grafana', () => {
    const promtool = (...args) => execFileSync('promtool', args, { cwd: join(conf, 'prometheus'), encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

    it('is_sound_and_each_alert_fires_when_it_should', () => {
        promtool('check', 'config', 'scrape.yml');
        promtool('check', 'rules', 'alerts.yml');
        assert.match(promtool('test', 'rules', 'alerts_test.yml'), /SUCCESS/);
        const names = [...readFileSync(join(conf, 'prometheus/alerts.yml'), 'utf8').matchAll(/- alert: (\w+)/g)].map(([, name]) => name);
        const tested = readFileSync(join(conf, 'prometheus/alerts_test.yml'), 'utf8');
        for (const name of names) assert.ok(tested.includes(name), `${name} is tested`);
    });

    it('works_with_a_real_prometheus', (t) => withPollux({ also: ['/pollux-metrics'], env: { POLLUX_METRICS_PATH: '/pollux-metrics' } }, async (server) => {
        const dir = mkdtempSync(join(tmpdir(), 'pollux-prometheus-'));
        t.after(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }));
        mkdirSync(join(dir, 'data'));
        cpSync(join(conf, 'prometheus/alerts.yml'), join(dir, 'alerts.yml'));
        const scrape = readFileSync(join(conf, 'prometheus/scrape.yml'), 'utf8');
        for (const part of ['call.example.org:80', 'scrape_interval: 15s']) assert.ok(scrape.includes(part), part);
        writeFileSync(join(dir, 'scrape.yml'), scrape.replace('call.example.org:80', `127.0.0.1:${server.port}`)
            .replace('scrape_interval: 15s', 'scrape_interval: 1s'));
        const port = await freePort();
        run(t, 'prometheus', [`--config.file=${dir}/scrape.yml`, `--storage.tsdb.path=${dir}/data`, `--web.listen-address=127.0.0.1:${port}`],
            { file: join(dir, 'prometheus.log') });
        const query = async (expression) => {
            const answer = JSON.parse((await request(`http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(expression)}`)).text);
            assert.equal(answer.status, 'success', `${expression}: ${answer.error}`);
            return answer.data.result;
        };
        const client = await peer(shim, server.url);
        client.socket.emit('create or join', channelName());
        await client.tape.next('created');
        try {
            await until(async () => (await query('up{job="pollux"} == 1').catch(() => [])).length === 1, LIMIT_MS, 'a scrape');
            await until(async () => Number((await query('pollux_sessions'))[0]?.value[1]) === 1, LIMIT_MS, 'the session in the figures');
            await until(async () => (await query('rate(pollux_requests_total[1m])')).length > 0, LIMIT_MS, 'two scrapes');

            const rules = JSON.parse((await request(`http://127.0.0.1:${port}/api/v1/rules`)).text).data.groups[0].rules;
            assert.equal(rules.length, 9);
            for (const { name, health, lastError } of rules) assert.ok(health !== 'err', `${name}: ${lastError}`);
            const known = new Set(JSON.parse((await request(`http://127.0.0.1:${port}/api/v1/label/__name__/values`)).text).data);
            for (const { name, query: expression } of rules) {
                await query(expression);
                for (const [metric] of expression.matchAll(/pollux_\w+/g)) assert.ok(known.has(metric), `${metric} of ${name}`);
            }

            const dashboard = JSON.parse(readFileSync(join(conf, 'grafana/pollux.json'), 'utf8'));
            assert.ok(dashboard.panels.length >= 10 && dashboard.schemaVersion >= 36);
            for (const { title, targets } of dashboard.panels) {
                for (const { expr } of targets) {
                    const expression = expr.replaceAll('$__rate_interval', '1m').replaceAll('$instance', '.*');
                    assert.ok((await query(expression)).length > 0, `${title}: ${expression} gives nothing`);
                }
            }
        } finally {
            client.socket.close();
        }
    }));
});
