// What goes wrong in the middle of a conversation: killed, stopped and restarted processes, a locked database, a bad line.
// Four clients, two official and two of ours, say numbers to each other all the while. What was promised arrives once, in order:
//
//   ours      every number that was said
//   official  every number whose acknowledgement came (what it has in hand when its connection ends is not sent again)
//
// Each test prints how often the fault happened, what was sent, and what was lost, doubled, reordered.
//
//   POLLUX_TEST_SEED  the seed that was printed: the same faults again, as far as the machine's timing allows
//   POLLUX_LOCK_MS    how long the database is locked

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once as emitted } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { talk, verdict } from './conversation.mjs';
import { LIMIT_MS, ask, engine, nameOf, official, peer, program, sanitizerOptions, shim, sleep, until, withPollux, within } from './harness.mjs';

const seed = Number(process.env.POLLUX_TEST_SEED ?? Date.now() % 1000000);

/** Random numbers that follow from the seed and NAME. */
function dice(name) {
    let state = [...name].reduce((sum, c) => Math.imul(sum ^ c.codePointAt(0), 0x01000193) >>> 0, seed ^ 0x811c9dc5);
    const roll = () => {
        state = (state + 0x6d2b79f5) >>> 0;
        let n = Math.imul(state ^ (state >>> 15), state | 1);
        n ^= n + Math.imul(n ^ (n >>> 7), n | 61);
        return ((n ^ (n >>> 14)) >>> 0) / 0x100000000;
    };
    return {
        chance: (p) => roll() < p,
        between: (least, most) => least + Math.floor(roll() * (most - least + 1)),
        one: (list) => list[Math.floor(roll() * list.length)],
    };
}

/**
 * Let all four talk while BREAK_IT happens: a function of {server, rng, more, tried}. more() waits until both conversations have
 * gone on. VIA: the address to talk through. QUIET: our client must not notice anything. UNNOTICED: the official one neither.
 */
async function underFault(t, name, { quiet = false, unnoticed = false, via = (server) => server.url, ...options }, breakIt) {
    const rng = dice(name);
    await withPollux(options, async (server) => {
        const url = await via(server, rng);
        const talks = [];
        t.after(() => talks.forEach((one) => one.close()));
        for (const factory of [official, shim]) talks.push(await talk(factory, url));
        let tries = 0;
        const more = async (wanted = rng.between(4, 24)) => {
            const before = talks.map((one) => one.heard());
            await until(() => talks.every((one, i) => one.heard() >= before[i] + wanted), LIMIT_MS, `${wanted} more numbers`);
        };
        try {
            await more();
            await breakIt({ server, rng, more, tried: () => { tries++; } });
            await more();
            for (const one of talks) await one.end();
        } catch (error) {
            error.message += `\n${name}: POLLUX_TEST_SEED=${seed}`;
            throw error;
        }
        const all = talks.flatMap((one) => one.speakers);
        const verdicts = talks.flatMap(({ speakers: [a, b] }) => [verdict(a, b), verdict(b, a)]);
        const count = (what) => verdicts.reduce((sum, v) => sum + v[what].length, 0);
        const disconnects = talks.map(({ speakers }) => speakers.reduce((sum, one) => sum + one.disconnects, 0));
        console.log(`${name}: tries ${tries}, sent ${all.reduce((sum, one) => sum + one.said, 0)}, lost ${count('lost')}, doubled ${count('doubled')}, `
            + `reordered ${count('reordered')}; disconnects: official ${disconnects[0]}, ours ${disconnects[1]}; seed ${seed}`);
        for (const v of verdicts) assert.deepEqual(v, { lost: [], doubled: [], reordered: [], unknown: [] }, `POLLUX_TEST_SEED=${seed}`);
        assert.equal(all.reduce((sum, one) => sum + one.refused, 0), 0, 'no number was refused');
        if (quiet || unnoticed) assert.equal(disconnects[1], 0, 'our client did not notice');
        if (unnoticed) assert.equal(disconnects[0], 0, 'the official client did not notice');
    });
}

/** Send SIGNAL to PID, which may have ended meanwhile. True: it was there. */
function signal(pid, name) {
    try {
        return process.kill(pid, name);
    } catch (error) {
        if (error.code !== 'ESRCH') throw error;
        return false;
    }
}

const gone = (server, pids) => until(() => !server.pids().some((pid) => pids.includes(pid)), LIMIT_MS, `the end of ${pids}`);

// ---- a line that misbehaves

/** Give the bytes of HTTP requests to TAKE, each whole. */
function cutter(take) {
    let kept = Buffer.alloc(0);
    return (data) => {
        kept = Buffer.concat([kept, data]);
        for (;;) {
            const head = kept.indexOf('\r\n\r\n');
            if (head === -1) return;
            const end = head + 4 + Number(/^content-length: *(\d+)/im.exec(kept.toString('latin1', 0, head))?.[1] ?? 0);
            if (kept.length < end) return;
            take(kept.subarray(0, end));
            kept = kept.subarray(end);
        }
    };
}

const HARMS = {
    lose: 'the answer is dropped, and the connection with it',
    repeat: 'the request arrives twice, on two connections',
    late: 'the request arrives once more, up to 400 ms later',
    delay: 'the request arrives late',
    reset: 'the connection is reset before the request has left',
    abort: 'the connection is reset once the request has left',
};

/** A proxy before SERVER that does one of HARMS to a PART of the requests, as set by harm(PART); tells DONE. */
async function badLine(server, rng, harms, done) {
    const open = new Set();
    let part = 0;
    const connect = () => {
        const far = net.connect(server.port, '127.0.0.1');
        open.add(far);
        far.on('error', () => {}).on('close', () => open.delete(far));
        return far;
    };
    const listener = net.createServer((near) => {
        const far = connect();
        let lose = false;
        open.add(near);
        near.on('error', () => {}).on('close', () => {
            open.delete(near);
            far.destroy();
        });
        far.on('close', () => near.destroy());
        far.on('data', (data) => (lose ? near.destroy() : near.write(data)));
        const harm = {
            lose(bytes) {
                lose = true;
                far.write(bytes);
            },
            repeat(bytes) {
                connect().resume().write(bytes);
                far.write(bytes);
            },
            late(bytes) {
                far.write(bytes);
                setTimeout(() => connect().resume().write(bytes), rng.between(50, 400));
            },
            delay: (bytes) => setTimeout(() => far.destroyed || far.write(bytes), rng.between(20, 200)),
            reset: () => near.resetAndDestroy(),
            abort: (bytes) => far.write(bytes, () => near.resetAndDestroy()),
        };
        near.on('data', cutter((bytes) => {
            if (!rng.chance(part)) {
                far.write(bytes);
                return;
            }
            const name = rng.one(harms);
            done(name);
            harm[name](bytes);
        }));
    }).listen(0, '127.0.0.1');
    await emitted(listener, 'listening');
    return {
        url: `http://127.0.0.1:${listener.address().port}`,
        harm: (p) => { part = p; },
        close() {
            for (const socket of open) socket.destroy();
            listener.close();
        },
    };
}

// ---- faults

const hosts = { 'one worker': { procs: 1 }, 'four workers': { procs: 4 }, 'four processes of lighttpd': { maxProcs: 4 } };

describe('faults', () => {
    for (const [name, options] of Object.entries(hosts)) {
        it(`a_worker_killed_again_and_again, ${name}`, (t) => underFault(t, `kill -9 of a worker, ${name}`, { ...options, quiet: true }, async (at) => {
            const count = at.server.workers().length;
            for (let i = 0; i < 8; i++) {
                await until(() => at.server.workers().length === count, LIMIT_MS, 'all workers');
                if (signal(at.rng.one(at.server.workers()), 'SIGKILL')) at.tried();
                await at.more();
            }
        }));

        it(`a_killed_worker_is_not_noticed, ${name}`, () => withPollux(options, async (server) => {
            const clients = [];
            for (const factory of [official, shim, official, shim]) clients.push(await peer(factory, server.url));
            let noticed = 0;
            for (const { socket } of clients) socket.on('disconnect', () => noticed++);
            const count = server.workers().length;
            for (const pid of server.workers()) {
                // Each has a poll somewhere, and is told through it.
                for (const { socket } of clients) assert.equal((await ask(socket, 'message', 'nobody')).recipients, 0);
                signal(pid, 'SIGKILL');
                await until(() => !server.workers().includes(pid) && server.workers().length === count, LIMIT_MS, 'another one');
            }
            for (const { socket } of clients) assert.equal((await ask(socket, 'message', 'nobody')).recipients, 0);
            assert.equal(noticed, 0);
            for (const { socket } of clients) socket.close();
        }));
    }

    it('a_poll_whose_worker_died_is_answered_by_another', () => withPollux({ procs: 1 }, async (server) => {
        const raw = engine(server.url);
        await raw.connect();
        const held = raw.get('held');
        await raw.send('42["nonsense"]');   // the poll is there when this is answered, or follows at once
        signal(server.workers()[0], 'SIGKILL');
        const answer = await within(held, 'the answer of another worker');
        assert.equal(answer.status, 200);
        assert.equal((await raw.get('held')).text, answer.text, 'it is known as the same poll');
        raw.end();
    }));

    // Whether lighttpd starts another program then is a matter of microseconds: it looks whether somebody listens still.
    it('all_processes_killed_and_lighttpd_restarted', (t) => underFault(t, 'kill -9 of all processes, restart of lighttpd', { procs: 3 }, async (at) => {
        for (let i = 0; i < 3; i++) {
            for (const pid of at.server.pids()) signal(pid, 'SIGKILL');
            at.tried();
            await at.server.halt();
            await at.server.start();
            await at.more();
        }
    }));

    for (const procs of [1, 3])
        it(`the_supervisor_killed, ${procs}`, (t) => underFault(t, `kill -9 of the supervisor of ${procs}`, { procs, unnoticed: true }, async (at) => {
            for (let i = 0; i < 5; i++) {
                const [one] = await until(() => at.server.workers().length === procs && at.server.supervisors());
                const workers = at.server.workers();
                signal(one, 'SIGKILL');
                at.tried();
                await gone(at.server, workers);
                await at.more();
            }
        }));

    it('a_worker_stopped_for_a_while', (t) => underFault(t, 'SIGSTOP and SIGCONT of a worker', { procs: 3, unnoticed: true }, async (at) => {
        for (let i = 0; i < 3; i++) {
            const pid = at.rng.one(at.server.workers());
            signal(pid, 'SIGSTOP');
            at.tried();
            await sleep(at.rng.between(300, 2000)); // the fault is its length
            signal(pid, 'SIGCONT');
            await at.more();
        }
    }));

    it('a_stopped_worker_is_killed', (t) => underFault(t, 'SIGSTOP, then SIGKILL of a worker', { procs: 3, quiet: true }, async (at) => {
        for (let i = 0; i < 4; i++) {
            const pid = at.rng.one(at.server.workers());
            signal(pid, 'SIGSTOP');
            await sleep(at.rng.between(50, 300));   // so that it has requests in hand
            signal(pid, 'SIGKILL');
            at.tried();
            await at.more();
        }
    }));

    it('lighttpd_killed_and_started_again', (t) => underFault(t, 'kill -9 of lighttpd', { procs: 2 }, async (at) => {
        for (let i = 0; i < 2; i++) {
            const [web, before] = [at.server.web(), at.server.pids()];
            signal(web, 'SIGKILL');
            at.tried();
            await until(() => !signal(web, 0), LIMIT_MS, 'the end of lighttpd');
            await at.server.start();
            await at.more();
            // It took over the program that it found; what it has not started it does not end.
            for (const pid of before) signal(pid, 'SIGTERM');
            await gone(at.server, before);
            await at.server.halt();
            await at.server.start();
            await at.more();
        }
    }));

    it('an_orderly_restart_of_lighttpd', (t) => underFault(t, 'orderly restart of lighttpd', { procs: 2 }, async (at) => {
        for (let i = 0; i < 3; i++) {
            await at.server.halt();
            at.tried();
            await at.server.start();
            await at.more();
        }
    }));

    it('an_upgrade_of_the_program', (t) => underFault(t, 'HUP: the program is started anew', { procs: 2, unnoticed: true }, async (at) => {
        for (let i = 0; i < 4; i++) {
            const workers = await until(() => at.server.workers().length === 2 && at.server.workers());
            for (const pid of at.server.pids()) signal(pid, 'SIGHUP');
            at.tried();
            await gone(at.server, workers);
            await at.more();
        }
    }));

    it('changed_settings_hold_after_HUP_and_wrong_ones_change_nothing', async () => {
        const file = join(mkdtempSync(join(tmpdir(), 'pollux-conf-')), 'pollux.conf');
        writeFileSync(file, 'ping_interval_ms = 25000\n');
        const interval = async (server) => {
            const raw = engine(server.url);
            await raw.open();
            raw.end();
            return raw.handshake.pingInterval;
        };
        try {
            await withPollux({ env: { POLLUX_CONFIG: file }, allow: /P404|ping_interval_ms/ }, async (server) => {
                const [before] = server.workers();
                writeFileSync(file, 'ping_interval_ms = never\n');
                signal(server.supervisors()[0], 'SIGHUP');
                await until(() => server.logText().includes('P404'), LIMIT_MS, 'a word about what is wrong');
                assert.match(server.logText(), /pollux\.conf:1: ping_interval_ms/);
                assert.deepEqual([server.workers(), await interval(server)], [[before], 25000]);

                writeFileSync(file, 'ping_interval_ms = 26000\n');
                signal(server.supervisors()[0], 'SIGHUP');
                await gone(server, [before]);
                assert.equal(await interval(server), 26000);
            });
        } finally {
            rmSync(dirname(file), { recursive: true });
        }
    });

    it('who_ended_before_the_program_began_anew_is_let_go', async () => {
        const dir = mkdtempSync(join(tmpdir(), 'pollux-zombie-'));
        const script = 'import os, sys, time\npid = os.fork()\nif pid == 0: os._exit(0)\n'
            + 'os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)\nos.execv(sys.argv[1], sys.argv[1:])';
        const child = spawn('python3', ['-c', script, program, '--socket', join(dir, 'socket')],
            { env: { PATH: process.env.PATH, ...sanitizerOptions(), POLLUX_CONFIG: '/dev/null', POLLUX_STORE: dir }, stdio: 'ignore' });
        try {
            const names = () => readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'latin1').trim().split(' ').map(nameOf).sort();
            await until(() => names().join(' ') === 'pollux-keeper pollux.fcgi', LIMIT_MS, 'a worker and a keeper, and nothing else');
        } finally {
            child.kill();
            await emitted(child, 'exit');
            rmSync(dir, { recursive: true });
        }
    });

    it('a_successor_ends_with_the_web_server', () => withPollux({ procs: 2 }, async (server) => {
        const workers = server.workers();
        const [supervisor] = server.supervisors();
        signal(supervisor, 'SIGKILL');
        await gone(server, [supervisor, ...workers]);
        await until(() => server.workers().length === 2, LIMIT_MS, 'other workers');
        signal(server.web(), 'SIGKILL');
        await until(() => server.pids().length === 0, LIMIT_MS, 'the end of the program');
    }));

    it('the_program_is_ended', (t) => underFault(t, 'TERM, lighttpd starts the program again', { procs: 2 }, async (at) => {
        for (let i = 0; i < 3; i++) {
            await until(() => at.server.workers().length === 2);
            const before = at.server.pids();
            for (const pid of at.server.supervisors()) signal(pid, 'SIGTERM');
            at.tried();
            await gone(at.server, before);
            await at.more();
        }
    }));

    it('the_clock_is_set', async (t) => {
        const dir = mkdtempSync(join(tmpdir(), 'pollux-clock-'));
        t.after(() => rmSync(dir, { recursive: true }));
        const [file, library] = [join(dir, 'seconds'), join(dir, 'clock.so')];
        writeFileSync(file, '0');
        execFileSync('cc', ['-shared', '-fPIC', '-o', library, join(dirname(fileURLToPath(import.meta.url)), 'clock.c')]);
        const env = {
            E2E_CLOCK: file, LD_PRELOAD: library,
            ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? ''}:verify_asan_link_order=0`,
        };
        await underFault(t, 'clock set by up to a day, processes killed', { procs: 2, env, unnoticed: true }, async (at) => {
            for (let i = 0; i < 4; i++) {
                writeFileSync(file, String(at.rng.between(-86400, 86400)));
                await at.more();
                const workers = await until(() => at.server.workers().length === 2 && at.server.workers());
                signal(at.server.supervisors()[0], i % 2 ? 'SIGKILL' : 'SIGHUP');
                at.tried();
                await gone(at.server, workers);
                await at.more();
            }
        });
    });

    it('the_database_is_locked', (t) => underFault(t, 'database locked by sqlite3', { procs: 2, allow: /./ }, async (at) => {
        for (let i = 0; i < 2; i++) {
            const lock = spawn('sqlite3', ['-batch', at.server.database], { stdio: ['pipe', 'pipe', 'inherit'] });
            lock.stdin.write('.timeout 10000\nBEGIN IMMEDIATE;\nSELECT 1;\n');
            await within(emitted(lock.stdout, 'data'), 'the lock');
            at.tried();
            await sleep(Number(process.env.POLLUX_LOCK_MS ?? at.rng.between(500, 2500))); // the fault is its length
            const ended = emitted(lock, 'exit');
            lock.stdin.end('COMMIT;\n');
            await ended;
            await at.more();
        }
    }));

    for (const [name, harms] of Object.entries({ ...Object.fromEntries(Object.keys(HARMS).map((harm) => [harm, [harm]])), everything: Object.keys(HARMS) }))
        it(`a_bad_line, ${name}`, (t) => {
            const tries = name === 'late' ? 150 : 20;   // a copy comes behind many others: few of them take anything
            let line, count = 0, tried = () => {};
            const via = async (server, rng) => {
                line = await badLine(server, rng, harms, () => tried());
                t.after(() => line.close());
                return line.url;
            };
            return underFault(t, `line: ${HARMS[name] ?? name}`, { procs: 2, via }, async (at) => {
                tried = () => {
                    count++;
                    at.tried();
                };
                line.harm(0.1);
                await until(() => count >= tries, LIMIT_MS, `${tries} harmed requests`);
                line.harm(0);
            });
        });
});
