// What a lost connection, a killed process or a restart may not do: lose, double or reorder anything, or cost a seat.

import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { LIMIT_MS, ask, channelName, engine, official, once, packets, peer, shim, startPollux, until, wire, withPollux, within } from './harness.mjs';

const factories = { official, ours: shim };
const range = (from, to) => Array.from({ length: to - from }, (_, i) => from + i);

/** A has its line to the server in hand, B has not; both are in a channel. */
async function couple(t, server, factory = official, options = {}) {
    const line = await wire(server);
    const channel = channelName();
    const a = await peer(factory, line.url, options);
    const b = await peer(factory, server.url, options);
    t.after(() => {
        a.socket.close();
        b.socket.close();
        line.close();
    });
    a.socket.emit('create or join', channel);
    await a.tape.next('created');
    b.socket.emit('create or join', channel);
    await Promise.all([a.tape.next('ready'), b.tape.next('ready')]);
    return { a, b, channel, line };
}

/** Cut A's line; resolves once A has noticed. */
async function cut(a, line) {
    const noticed = once(a.socket, 'disconnect');
    line.cut();
    await noticed;
}

/** The polls of all in CHANNEL wait: who is cut off then leaves a trace. */
const allWait = (server, channel) => until(() => server.sql(`select count(*) as n from member m join channel c on c.id = m.channel
    join socket k on k.id = m.socket join polling p on p.session = k.session where c.name = '${channel}' and holder <> 0`)[0].n === 2,
LIMIT_MS, 'both polls being held');

/** B's numbers up to LAST have come, each once, in order, behind FIRST. */
async function hears(one, first, last) {
    await until(() => numbers(one).length >= last - first).catch((error) => assert.fail(`${error.message}; heard: ${numbers(one).join(' ')}`));
    assert.deepEqual(numbers(one), range(first, last));
}

/** Numbers FROM up to TO, each acknowledged, hence stored. */
async function say(from, channel, first, last) {
    for (const n of range(first, last)) {
        const reply = await ask(from.socket, 'message', { channel, message: n });
        assert.equal(reply.recipients, 1, JSON.stringify(reply));
    }
}

const numbers = (one) => one.tape.list.filter(([name]) => name === 'message').map(([, n]) => n);

describe('recovery', () => {
    const of = { server: null };
    before(async () => { of.server = await startPollux({ procs: 2 }); });
    after(() => of.server?.stop());

    for (const [name, factory] of Object.entries(factories)) {
        describe(name, () => {
            it('a_cut_line_costs_nothing', async (t) => {
                const { a, b, channel, line } = await couple(t, of.server, factory);
                const { id } = a;
                await say(b, channel, 0, 3);
                await until(() => numbers(a).length === 3);
                await cut(a, line);
                await say(b, channel, 3, 40);
                a.tape.clear();
                let heardBeforeConnect = -1;
                a.socket.once('connect', () => { heardBeforeConnect = numbers(a).length; });
                line.heal();
                await once(a.socket, 'connect');
                assert.equal(a.socket.recovered, true);
                assert.equal(a.socket.id, id);
                await say(b, channel, 40, 42);
                await until(() => numbers(a).includes(41));
                assert.deepEqual(numbers(a), range(3, 42), 'each once, in order');
                assert.equal(heardBeforeConnect, 37, 'what was missed comes before connect');
                assert.ok(!b.tape.names().includes('leave'), 'the other heard nothing of it');
            });

            it('many_times_in_a_row', async (t) => {
                const { a, b, channel, line } = await couple(t, of.server, factory);
                const { id } = a;
                for (let round = 0; round < 5; round++) {
                    await cut(a, line);
                    if (round % 2 === 0) await say(b, channel, round * 10, round * 10 + 10);
                    line.heal();
                    await once(a.socket, 'connect');
                    assert.equal(a.socket.recovered, true, `round ${round}`);
                    assert.equal(a.socket.id, id);
                    if (round % 2 === 1) await say(b, channel, round * 10, round * 10 + 10);
                }
                await until(() => numbers(a).length >= 50);
                assert.deepEqual(numbers(a), range(0, 50));
            });

            it('before_the_first_event', async (t) => {
                const line = await wire(of.server);
                const a = await peer(factory, line.url);
                t.after(() => {
                    a.socket.close();
                    line.close();
                });
                const { id } = a;
                await cut(a, line);
                line.heal();
                await once(a.socket, 'connect');
                assert.equal(a.socket.recovered, true);
                assert.equal(a.socket.id, id);
            });

            it('what_is_said_while_away_is_sent_afterwards', async (t) => {
                const { a, b, channel, line } = await couple(t, of.server, factory);
                await cut(a, line);
                for (const n of range(0, 20)) a.socket.emit('message', { channel, message: n });
                line.heal();
                await until(() => numbers(b).length >= 20);
                assert.deepEqual(numbers(b), range(0, 20));
            });

            it('an_orderly_end_is_one', async (t) => {
                const { a, b, channel } = await couple(t, of.server, factory);
                const { id } = a;
                a.socket.disconnect();
                assert.deepEqual(await b.tape.next('leave'), [channel, id]);
                a.socket.connect();
                await once(a.socket, 'connect');
                assert.notEqual(a.socket.id, id);
                assert.equal(a.socket.recovered, false);
            });

            it('a_newcomer_takes_the_seat_of_one_who_is_away', async (t) => {
                const { a, b, channel, line } = await couple(t, of.server, factory);
                const { id } = a;
                await allWait(of.server, channel);
                await cut(a, line);
                const c = await peer(factory, of.server.url);
                t.after(() => c.socket.close());
                c.socket.emit('create or join', channel);
                assert.deepEqual(await c.tape.next('joined'), [channel, c.id]);
                assert.deepEqual(await b.tape.next('leave'), [channel, id]);
                await b.tape.next('ready');
                line.heal();
                await once(a.socket, 'connect');
                a.socket.emit('create or join', channel);
                await a.tape.next('full');
                assert.equal(b.tape.names().filter((event) => event === 'leave').length, 1);
            });
        });
    }

    it('the_official_client_closing_its_transport', async (t) => {
        const { a, b, channel } = await couple(t, of.server, official);
        const { id } = a;
        for (let round = 0; round < 3; round++) {
            a.socket.io.reconnection(false);
            const gone = once(a.socket, 'disconnect');
            a.socket.io.engine.close();
            await gone;
            await say(b, channel, round * 5, round * 5 + 5);
            a.socket.connect();
            await once(a.socket, 'connect');
            assert.equal(a.socket.recovered, true, `round ${round}`);
            assert.equal(a.socket.id, id);
        }
        await hears(a, 0, 15);
    });

    it('ours_says_nothing_twice_through_a_flapping_line', async (t) => {
        const { a, b, channel, line } = await couple(t, of.server, shim);
        const all = range(0, 300);
        for (const n of all) {
            a.socket.emit('message', { channel, message: n });
            if (n % 60 === 30) {
                line.cut();
                await new Promise(setImmediate);
                line.heal();
            } else if (n % 5 === 0) {
                await new Promise(setImmediate);
            }
        }
        await until(() => numbers(b).length >= all.length);
        a.socket.emit('end');
        await b.tape.next('end');
        assert.deepEqual(numbers(b), all);
    });
});

describe('recovery on the wire', () => {
    const of = { server: null };
    const clients = [];
    const client = () => {
        const raw = engine(of.server.url);
        clients.push(raw);
        return raw;
    };
    before(async () => { of.server = await startPollux(); });
    after(async () => {
        clients.forEach((raw) => raw.end());
        await of.server?.stop();
    });

    /** Wait until the store knows that the socket has heard all that it was sent. */
    const heardAll = ({ sid }) => until(() => of.server.sql(
        `select count(*) as n from delivery d join socket s on s.id = d.socket where s.public = '${sid}' and d.arrived_ms is null`,
    )[0].n === 0, LIMIT_MS, 'a poll that shows what arrived');

    /** A raw member with its ids, and an official one to talk to it. */
    async function pairing(t) {
        const channel = channelName();
        const raw = client();
        const ids = await raw.connect();
        await raw.send(`42["create or join","${channel}"]`);
        assert.equal(await raw.next(), `42["created","${channel}","${ids.sid}"]`);
        const b = await peer(official, of.server.url);
        t.after(() => b.socket.close());
        b.socket.emit('create or join', channel);
        await raw.take(4);
        return { raw, ids, b, channel };
    }

    it('missed_events_come_before_the_connect_reply', async (t) => {
        const { raw, ids, b, channel } = await pairing(t);
        await say(b, channel, 0, 2);
        const first = packets(await within(raw.get(), 'the first two'));
        const offset = JSON.parse(first.at(-1).slice(2))[1];
        assert.equal(typeof offset, 'string');
        await say(b, channel, 2, 4);
        await raw.send('1');
        await say(b, channel, 4, 5);
        const again = client();
        await again.open();
        await again.send(`40${JSON.stringify({ pid: ids.pid, offset })}`);
        const connected = `40${JSON.stringify({ sid: ids.sid, pid: ids.pid })}`;
        const missed = ['42["message",1]', '42["message",2]', '42["message",3]', '42["message",4]', connected];
        if (first.length === 3) missed.shift(); // the first answer had two of them, and the marker
        assert.deepEqual(await again.take(missed.length), missed);
    });

    it('an_answer_that_was_lost_is_sent_again', async (t) => {
        const { raw, ids, b, channel } = await pairing(t);
        await say(b, channel, 0, 3);
        await within(raw.get(), 'an answer that the client never sees');
        await raw.send('1');
        const again = client();
        await again.open();
        await again.send(`40${JSON.stringify({ pid: ids.pid })}`);
        assert.deepEqual(await again.take(4), ['42["message",0]', '42["message",1]', '42["message",2]', `40${JSON.stringify({ sid: ids.sid, pid: ids.pid })}`]);
    });

    it('an_offset_that_is_not_ours_does_no_harm', async (t) => {
        const { raw, ids, b, channel } = await pairing(t);
        raw.startPoll();
        await heardAll(ids); // the poll travels apart from the POST: it is to be there first
        await raw.send('1');
        await say(b, channel, 0, 2);
        const again = client();
        await again.open();
        await again.send(`40${JSON.stringify({ pid: ids.pid, offset: 'the last string of some event' })}`);
        assert.deepEqual(await again.take(3), ['42["message",0]', '42["message",1]', `40${JSON.stringify({ sid: ids.sid, pid: ids.pid })}`]);
    });

    it('an_offset_from_the_future_loses_nothing', async (t) => {
        const { raw, ids, b, channel } = await pairing(t);
        await raw.send('1');
        await say(b, channel, 0, 2);
        const again = client();
        await again.open();
        await again.send(`40${JSON.stringify({ pid: ids.pid, offset: '9007199254740991' })}`);
        assert.deepEqual(await again.take(3), ['42["message",0]', '42["message",1]', `40${JSON.stringify({ sid: ids.sid, pid: ids.pid })}`]);
    });

    it('an_unknown_pid_gives_a_fresh_socket', async () => {
        const raw = client();
        const ids = await raw.connect('/', { pid: 'x'.repeat(20), offset: '1', token: 'y' });
        assert.match(ids.sid, /^[\w-]{20}$/);
        assert.notEqual(ids.pid, 'x'.repeat(20));
    });

    it('the_public_id_recovers_nothing', async (t) => {
        const { ids } = await pairing(t);
        const thief = client();
        const got = await thief.connect('/', { pid: ids.sid, offset: '0' });
        assert.notEqual(got.sid, ids.sid);
    });

    it('a_pid_is_good_in_its_own_namespace_alone', async () => {
        const raw = client();
        const ids = await raw.connect();
        await raw.send('1');
        const again = client();
        await again.open();
        await again.send(`40/chat,${JSON.stringify({ pid: ids.pid })}`);
        assert.equal(await again.next(), '44/chat,{"message":"Invalid namespace"}');
    });

    it('what_followed_a_41_is_not_recoverable', async (t) => {
        const { raw, ids, b, channel } = await pairing(t);
        await raw.send('41', '1');
        assert.deepEqual(await b.tape.next('leave'), [channel, ids.sid]);
        const again = client();
        const got = await again.connect('/', { pid: ids.pid });
        assert.notEqual(got.sid, ids.sid);
    });

    it('a_session_that_still_lives_may_be_taken_over', async (t) => {
        const { raw, ids, b, channel } = await pairing(t);
        raw.startPoll();
        await say(b, channel, 0, 1);
        const again = client(); // the client lost its line, the server does not know it yet
        await again.open();
        await again.send(`40${JSON.stringify({ pid: ids.pid })}`);
        const list = [];
        while (!list.at(-1)?.startsWith('40')) list.push(await again.next());
        assert.equal(list.at(-1), `40${JSON.stringify({ sid: ids.sid, pid: ids.pid })}`);
        await say(b, channel, 1, 2);
        assert.equal(await again.next(), '42["message",1]');
    });

    it('a_page_that_reloads_never_meets_its_own_ghost', async (t) => {
        const { raw, b, channel } = await pairing(t);
        raw.startPoll();
        await allWait(of.server, channel);
        raw.end(); // without a word
        const next = client();
        const { sid } = await next.connect();
        await next.send(`42["create or join","${channel}"]`);
        assert.equal(await next.next(), `42["joined","${channel}","${sid}"]`);
        await b.tape.next('leave');
    });
});

describe('processes that die', () => {
    for (const [host, options] of Object.entries({ 'four workers': { procs: 4 }, 'four processes of lighttpd': { maxProcs: 4 } })) {
        for (const [name, factory] of Object.entries(factories)) {
            it(`a_killed_one_costs_nothing, ${host}, ${name}`, (t) => withPollux(options, async (server) => {
                const { a, b, channel } = await couple(t, server, factory);
                const ids = [a.id, b.id];
                let n = 0;
                for (let round = 0; round < 6; round++) {
                    await until(() => a.socket.connected && b.socket.connected);
                    await say(b, channel, n, n + 10); // stored, perhaps not delivered
                    n += 10;
                    const victims = server.workers();
                    assert.ok(victims.length > 0);
                    process.kill(victims[round % victims.length], 'SIGKILL');
                    // Whoever had a poll there comes back; a word to each other shows that all is well.
                    await until(() => a.socket.connected && b.socket.connected);
                    await until(() => numbers(a).length >= n);
                    await until(() => server.workers().length === 4, LIMIT_MS, 'another one in its place');
                }
                assert.deepEqual(numbers(a), range(0, n));
                await until(() => a.socket.connected && b.socket.connected);
                assert.deepEqual([a.id, b.id], ids);
                assert.ok(!a.tape.names().includes('leave') && !b.tape.names().includes('leave'));
            }));
        }
    }

    it('the_keeper_of_the_write_ahead_log_is_replaced', (t) => withPollux({ procs: 2 }, async (server) => {
        const [keeper] = await until(() => server.keepers().length === 1 && server.keepers());
        process.kill(keeper, 'SIGKILL');
        await until(() => server.keepers().length === 1 && server.keepers()[0] !== keeper, LIMIT_MS, 'another keeper');
        // It copies the log into the database while the workers go on; these do not.
        const { a, b, channel } = await couple(t, server, official);
        const long = 'x'.repeat(50000);
        for (let i = 0; i < 240; i++) await ask(a.socket, 'message', { channel, message: long });
        await until(() => statSync(server.database).size > 6000000, LIMIT_MS, 'a database that has what was said');
        await b.tape.next('message');
    }));

    it('every_worker_is_replaced_however_fast_they_die', () => withPollux({ procs: 4 }, async (server) => {
        for (let round = 0; round < 3; round++) {
            const workers = await until(() => server.workers().length === 4 && server.workers());
            for (const pid of workers.slice(0, 3)) {
                process.kill(pid, 'SIGKILL');
                await until(() => !server.workers().includes(pid));
            }
            await until(() => server.workers().length === 4, LIMIT_MS, 'three others in their place');
        }
    }));

    it('ours_goes_on_talking_while_they_die', (t) => withPollux({ procs: 4 }, async (server) => {
        const { a, b, channel } = await couple(t, server, shim);
        const all = range(0, 400);
        for (const n of all) {
            a.socket.emit('message', { channel, message: n });
            if (n % 100 === 50) {
                const victims = server.workers();
                process.kill(victims[n % victims.length], 'SIGKILL');
                await until(() => server.workers().length === 4, LIMIT_MS, 'another one in its place');
            } else if (n % 5 === 0) {
                await new Promise((done) => setTimeout(done, 2));
            }
        }
        await until(() => numbers(b).length >= all.length);
        a.socket.emit('end');
        await b.tape.next('end');
        assert.deepEqual(numbers(b), all);
    }));

    for (const [name, factory] of Object.entries(factories)) {
        it(`everything_killed_and_started_again, ${name}`, (t) => withPollux({ procs: 2 }, async (server) => {
            const { a, b, channel, line } = await couple(t, server, factory);
            const ids = [a.id, b.id];
            await cut(a, line);
            await say(b, channel, 0, 30);
            const noticed = once(b.socket, 'disconnect');
            await server.crash();
            await noticed;
            const back = Promise.all([once(a.socket, 'connect'), once(b.socket, 'connect')]);
            await server.start();
            line.heal();
            await back;
            assert.deepEqual([a.socket.recovered, b.socket.recovered], [true, true]);
            assert.deepEqual([a.id, b.id], ids);
            await say(b, channel, 30, 33);
            await until(() => numbers(a).length >= 33);
            assert.deepEqual(numbers(a), range(0, 33));
        }));

        it(`an_orderly_restart, ${name}`, (t) => withPollux({ procs: 2 }, async (server) => {
            const { a, b, channel } = await couple(t, server, factory);
            const ids = [a.id, b.id];
            await say(b, channel, 0, 5);
            const noticed = Promise.all([once(a.socket, 'disconnect'), once(b.socket, 'disconnect')]);
            await server.halt();
            await noticed;
            const back = Promise.all([once(a.socket, 'connect'), once(b.socket, 'connect')]);
            await server.start();
            await back;
            assert.deepEqual([a.id, b.id], ids);
            await say(b, channel, 5, 8);
            await until(() => numbers(a).length >= 8);
            assert.deepEqual(numbers(a), range(0, 8));
        }));
    }
});

describe('a short window', () => {
    const of = { server: null };
    before(async () => {
        of.server = await startPollux({ env: { POLLUX_RECOVERY_WINDOW_MS: 300, POLLUX_PING_INTERVAL_MS: 1000, POLLUX_PING_TIMEOUT_MS: 1000 } });
    });
    after(() => of.server?.stop());

    for (const [name, factory] of Object.entries(factories)) {
        it(`past_it_a_fresh_socket, ${name}`, async (t) => {
            const { a, b, channel, line } = await couple(t, of.server, factory);
            const { id } = a;
            await cut(a, line);
            assert.deepEqual(await b.tape.next('leave'), [channel, id]);
            line.heal();
            await once(a.socket, 'connect');
            assert.equal(a.socket.recovered, false);
            assert.notEqual(a.socket.id, id);
            a.socket.emit('create or join', channel);
            assert.deepEqual(await a.tape.next('joined'), [channel, a.id]);
            assert.deepEqual(b.tape.list.filter(([event]) => event === 'leave'), [['leave', channel, id]], 'once');
        });
    }
});

describe('no window', () => {
    const env = { POLLUX_RECOVERY_WINDOW_MS: 0, POLLUX_PING_INTERVAL_MS: 1000, POLLUX_PING_TIMEOUT_MS: 1000 };

    it('who_is_lost_has_left', (t) => withPollux({ env }, async (server) => {
        const { a, b, channel, line } = await couple(t, server);
        const { id } = a;
        await cut(a, line);
        assert.deepEqual(await b.tape.next('leave'), [channel, id]);
        line.heal();
        await once(a.socket, 'connect');
        assert.ok(!a.socket.recovered);
    }));
});
