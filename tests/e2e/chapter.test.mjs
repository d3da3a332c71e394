// The signaling application, from both sides of a call: the whole chapter and what descends from it, with the official client, with our
// own client file and with one of each, however the program is run.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { LIMIT_MS, ask, channelName, official, once, peer, shim, startPollux, until } from './harness.mjs';

const hosts = {
    'one process': { procs: 1 },
    'four processes of lighttpd': { maxProcs: 4 },
    'four workers': { procs: 4 },
    CGI: { cgi: true },
};
const sides = {
    'official and official': [official, official],
    'ours and ours': [shim, shim],
    'official and ours': [official, shim],
    'ours and official': [shim, official],
};

/** Sockets of a test, closed at its end. */
function company(t, of, factories) {
    const sockets = [];
    t.after(() => sockets.forEach((socket) => socket.close()));
    /** The NTH peer, connected. */
    return async (nth) => {
        const one = await peer(factories[nth % factories.length], of.server.url);
        sockets.push(one.socket);
        return one;
    };
}

/** Two peers in a channel; their tapes are empty. */
async function couple(join, channel = channelName()) {
    const a = await join(0);
    const b = await join(1);
    await enter(channel, a, b);
    return { a, b, channel };
}

/** Let PEERS join CHANNEL one after the other; their tapes are empty afterwards. */
async function enter(channel, ...peers) {
    for (const [i, one] of peers.entries()) {
        one.socket.emit('create or join', channel);
        await one.tape.next(i === 0 ? 'created' : 'joined');
        if (i > 0) for (const inside of peers.slice(0, i + 1)) await inside.tape.next('ready');
    }
    peers.forEach((one) => one.tape.clear());
}

const plain = (value) => Buffer.from(value instanceof ArrayBuffer ? new Uint8Array(value) : value).toString('hex');

/** What every host and every pairing must do. */
const rules = {
    async the_whole_chapter(join, { server }) {
        const channel = channelName();
        const a = await join(0);
        a.socket.emit('create or join', channel);
        assert.deepEqual(await a.tape.next('created'), [channel, a.id]);

        const b = await join(1);
        b.socket.emit('create or join', channel);
        await Promise.all([a.tape.next('ready'), b.tape.next('ready')]);
        assert.deepEqual(a.tape.list, [
            ['created', channel, a.id],
            ['remotePeerJoining', channel],
            ['join', channel],
            ['broadcast: joined', `S --> broadcast(): client ${b.id} joined channel ${channel}`],
            ['ready', channel],
        ]);
        assert.deepEqual(b.tape.list, [['joined', channel, b.id], ['ready', channel]]);

        a.tape.clear();
        b.tape.clear();
        const said = { channel, message: 'Hi there, čau! 👋' };
        a.socket.emit('message', said);
        assert.deepEqual(await b.tape.next('message'), [said.message]);
        assert.deepEqual(await a.tape.next('log'), [['>>> ', 'S --> Got message: ', said]]);
        const answered = { channel, message: { deep: [1, null, { er: true }] } };
        b.socket.emit('response', answered);
        assert.deepEqual(await a.tape.next('response'), [answered.message]);
        assert.deepEqual(await b.tape.next('log'), [['>>> ', 'S --> Got response: ', answered]]);

        const c = await join(2);
        c.socket.emit('create or join', channel);
        assert.deepEqual(await c.tape.next('full'), [channel]);
        assert.deepEqual(c.tape.list, [['full', channel]]);
        assert.deepEqual(a.tape.list, [['response', answered.message]], 'those inside hear nothing of it');
        assert.deepEqual(b.tape.list, [['message', said.message]]);

        assert.equal(members(server, channel), 2);
        const gone = once(b.socket, 'disconnect');
        b.socket.emit('Bye', channel);
        assert.deepEqual(await a.tape.next('Bye'), []);
        assert.equal((await gone)[0], 'io server disconnect');
        const over = once(a.socket, 'disconnect');
        a.socket.emit('Ack');
        assert.equal((await over)[0], 'io server disconnect');
        assert.deepEqual(a.tape.names(), ['response', 'Bye'], 'no leave after a Bye');
        await until(() => members(server, channel) === -1, LIMIT_MS, 'the last one out destroys the channel');
        assert.equal(c.socket.connected, true);
    },

    async messages_arrive_in_order_both_ways(join, { volume }) {
        const { a, b, channel } = await couple(join);
        const all = Array.from({ length: volume }, (_, i) => i);
        for (const i of all) {
            a.socket.emit('message', { channel, message: i });
            b.socket.emit('response', { channel, message: { i, pad: 'x'.repeat(i % 100) } });
        }
        a.socket.emit('end');
        b.socket.emit('end');
        await Promise.all([a.tape.next('end', 6 * LIMIT_MS), b.tape.next('end', 6 * LIMIT_MS)]);
        assert.deepEqual(b.tape.list.slice(0, -1).map(([, n]) => n), all);
        assert.deepEqual(a.tape.list.slice(0, -1).map(([, r]) => r.i), all);
        await until(() => a.tape.logs.length === volume && b.tape.logs.length === volume, LIMIT_MS, 'an echo for each');
    },

    async binary_events_and_attachments(join) {
        const { a, b, channel } = await couple(join);
        const bytes = Uint8Array.from({ length: 300 }, (_, i) => i);
        a.socket.emit('blob', bytes, { deep: [bytes.subarray(0, 3), 'text'] });
        const [first, second] = await b.tape.next('blob');
        assert.equal(plain(first), plain(bytes));
        assert.equal(plain(second.deep[0]), '000102');
        assert.equal(second.deep[1], 'text');

        b.socket.emit('response', { channel, dropped: bytes, message: bytes.subarray(7, 9) });
        const [message] = await a.tape.next('response');
        assert.equal(plain(message), '0708', 'the message alone, whatever was attached beside it');

        a.socket.emit('empty', new Uint8Array(0));
        assert.equal(plain((await b.tape.next('empty'))[0]), '');
        a.socket.emit('large', new Uint8Array(300000).fill(7));
        assert.equal((await b.tape.next('large'))[0].byteLength, 300000);
    },

    async acks_tell_seq_and_recipients(join) {
        const a = await join(0);
        const alone = await ask(a.socket, 'message', 'to nobody');
        assert.equal(alone.recipients, 0);
        assert.equal(alone.error, undefined);
        const b = await join(1);
        const channel = channelName();
        await enter(channel, a, b);
        const first = await ask(a.socket, 'message', { channel, message: 1 });
        const second = await ask(b.socket, 'anything', 2);
        assert.deepEqual(Object.keys(first), ['seq', 'recipients']);
        assert.equal(first.recipients, 1);
        assert.equal(second.recipients, 1);
        assert.ok(second.seq > first.seq && first.seq > alone.seq, JSON.stringify([alone, first, second]));
        assert.equal((await a.socket.timeout(LIMIT_MS).emitWithAck('anything', channel)).recipients, 1);
        assert.equal((await ask(a.socket, 'create or join', channelName())).error, undefined);
    },

    async errors_are_told_to_the_sender_alone(join) {
        const { a, b, channel } = await couple(join);
        const other = channelName();
        for (const [event, argument] of [['message', { channel: other, message: 1 }], ['response', { channel: other, message: 1 }], ['leave', other]]) {
            const refused = await ask(a.socket, event, argument);
            assert.deepEqual([refused.seq, refused.recipients, refused.error.code], [0, 0, 'not_a_member'], event);
            assert.equal(typeof refused.error.message, 'string');
        }
        for (const bad of ['', 'x'.repeat(129), '\u0000', 7, null, { channel }]) {
            assert.equal((await ask(a.socket, 'create or join', bad)).error?.code, 'bad_channel', JSON.stringify(bad));
        }
        assert.equal((await ask(a.socket, 'create or join')).error?.code, 'bad_channel', 'no name at all');

        a.socket.emit('message', { channel: other, message: 1 });
        const [error] = await a.tape.next('error');
        assert.deepEqual({ ...error, message: '' }, { code: 'not_a_member', message: '', event: 'message', channel: other });
        assert.ok(error.message.length > 0);
        assert.equal(a.socket.connected, true);
        a.socket.emit('fine');
        await b.tape.next('fine');
        assert.deepEqual(b.tape.list, [['fine']]);
    },

    async nobody_speaks_into_a_channel_it_has_not_joined(join) {
        const { a, b, channel } = await couple(join);
        const stranger = await join(2);
        await enter(channelName(), stranger);
        stranger.socket.emit('message', { channel, message: 'psst' });
        stranger.socket.emit('response', { channel, message: 'psst' });
        stranger.socket.emit('else', channel);
        stranger.socket.emit('else', { room: channel });
        stranger.socket.emit('else', { to: a.id });
        stranger.socket.emit('bye', channel);
        stranger.socket.emit('leave', channel);
        await ask(stranger.socket, 'last');
        stranger.socket.emit('Bye', channel);
        await Promise.race([once(stranger.socket, 'disconnect'), ask(stranger.socket, 'behind it')]);
        await ask(b.socket, 'mark');
        await a.tape.next('mark');
        assert.deepEqual(a.tape.list, [['mark']]);
        assert.deepEqual(b.tape.list, []);
    },

    async other_events_follow_the_relay_rule(join) {
        const [a, b, c, d] = [await join(0), await join(1), await join(2), await join(3)];
        const [ab, ac] = [channelName(), channelName()];
        await enter(ab, a, b);
        await enter(ac, a, c);
        await enter(channelName(), d);
        const everybody = [a, b, c, d];
        const round = async (emit, ...expected) => {
            everybody.forEach((client) => client.tape.clear());
            emit();
            // Each pair exchanges a last word, behind which nothing can be on its way any more.
            await ask(a.socket, 'mark');
            await Promise.all([b.tape.next('mark'), c.tape.next('mark')]);
            const heard = everybody.map((client) => client.tape.list.filter(([name]) => name !== 'mark'));
            assert.deepEqual(heard, expected);
        };
        const one = ['offer', { to: c.id, sdp: 'x' }];
        await round(() => a.socket.emit(...one), [], [], [one], []);
        const target = ['ice', 5, { target: b.id }];
        await round(() => a.socket.emit(...target), [], [target], [], []);
        for (const key of ['channel', 'room', 'roomId']) {
            const event = ['key', { [key]: ac, more: [1] }];
            await round(() => a.socket.emit(...event), [], [], [event], []);
        }
        const named = ['named', 'hello', ab];
        await round(() => a.socket.emit(...named), [], [named], [], []);
        const every = ['every', 'no channel of mine', 1, null];
        await round(() => a.socket.emit(...every), [], [every], [every], []);
        await round(() => a.socket.emit('bare'), [], [['bare']], [['bare']], []);
        const nobody = ['to nobody', { to: 'no id at all' }];
        await round(() => a.socket.emit(...nobody), [], [nobody], [nobody], []);
        const stranger = ['to a stranger', { to: d.id }];
        await round(() => a.socket.emit(...stranger), [], [], [], []); // meant for one, so not for all the others instead
        const text = ['message', 'got user media'];
        await round(() => a.socket.emit(...text), [], [text], [text], []);
        const sdp = ['message', { type: 'offer', sdp: 'v=0' }];
        await round(() => a.socket.emit(...sdp), [], [sdp], [sdp], []);
        await round(() => a.socket.emit('bye', ab), [], [['bye', ab]], [], []);

        everybody.forEach((each) => each.tape.clear());
        assert.equal((await ask(d.socket, 'alone', 1)).recipients, 0);
        assert.equal((await ask(a.socket, 'every')).recipients, 2);
        assert.equal((await ask(a.socket, 'one', { to: b.id })).recipients, 1);
    },

    async who_leaves_a_channel_hears_no_more_of_it(join) {
        const { a, b, channel } = await couple(join);
        const other = channelName();
        await enter(other, a, b);
        a.socket.emit('leave', channel);
        assert.deepEqual(await b.tape.next('leave'), [channel, a.id]);
        assert.equal((await ask(b.socket, 'message', { channel, message: 1 })).recipients, 0);
        b.socket.emit('message', { channel: other, message: 2 });
        assert.deepEqual(await a.tape.next('message'), [2]);
        assert.equal((await ask(a.socket, 'message', { channel, message: 1 })).error.code, 'not_a_member');
        a.socket.emit('create or join', channel);
        assert.deepEqual(await a.tape.next('joined'), [channel, a.id]);
    },

    async who_disconnects_leaves_at_once(join, { server }) {
        const { a, b, channel } = await couple(join);
        const id = a.id;
        a.socket.disconnect();
        assert.deepEqual(await b.tape.next('leave'), [channel, id]);
        assert.deepEqual(b.tape.list, [['leave', channel, id]]);
        assert.equal(members(server, channel), 1);
        const c = await join(2);
        c.socket.emit('create or join', channel);
        assert.deepEqual(await c.tape.next('joined'), [channel, c.id], 'the seat is free');
    },

    async three_channels_at_a_time(join) {
        const channels = [channelName(), channelName(), channelName()];
        const [a, b, c] = [await join(0), await join(1), await join(2)];
        await enter(channels[0], a, b);
        await enter(channels[1], b, c);
        await enter(channels[2], c, a);
        for (const [i, from, to] of [[0, a, b], [0, b, a], [1, b, c], [1, c, b], [2, c, a], [2, a, c]]) {
            from.socket.emit('message', { channel: channels[i], message: `${i}` });
            assert.deepEqual(await to.tape.next('message'), [`${i}`]);
        }
        for (const one of [a, b, c]) assert.equal(one.tape.list.length, 2, 'nothing went astray');
        a.socket.emit('message', 'to all of mine');
        await Promise.all([b.tape.next('message'), c.tape.next('message')]);
    },

    async joining_twice_changes_nothing(join, { server }) {
        const { a, b, channel } = await couple(join);
        await ask(b.socket, 'create or join', channel);
        assert.equal(members(server, channel), 2);
        a.socket.emit('message', { channel, message: 'once' });
        await b.tape.next('message');
        assert.equal(b.tape.names().filter((name) => name === 'message').length, 1);
    },
};

/** How many are in CHANNEL; -1: there is no such channel. */
function members(server, channel) {
    const name = channel.replaceAll("'", "''");
    const [row] = server.sql(`select count(m.socket) as n from channel c left join member m on m.channel = c.id where c.name = '${name}' group by c.id`);
    return row ? row.n : -1;
}

for (const [host, options] of Object.entries(hosts)) {
    describe(host, () => {
        const of = { server: null };
        before(async () => { of.server = await startPollux(options); });
        after(() => of.server?.stop());
        for (const [pairing, factories] of Object.entries(sides)) {
            if (options.cgi && pairing === 'ours and official') continue;
            describe(pairing, () => {
                for (const [rule, body] of Object.entries(rules)) {
                    it(rule, (t) => body(company(t, of, factories), { server: of.server, volume: options.cgi ? 50 : 1000 }));
                }
            });
        }
    });
}

for (const [host, options] of [['one process', { procs: 1 }], ['four processes', { maxProcs: 4 }]]) {
    describe(`capacity 5, ${host}`, () => {
        const of = { server: null };
        before(async () => { of.server = await startPollux({ ...options, env: { POLLUX_CAPACITY: 5 } }); });
        after(() => of.server?.stop());

        it('five_join_the_sixth_is_refused', async (t) => {
            const join = company(t, of, [official, shim]);
            const channel = channelName();
            const inside = [];
            for (let i = 0; i < 5; i++) {
                const one = await join(i);
                inside.forEach((each) => each.tape.clear());
                one.socket.emit('create or join', channel);
                await one.tape.next(i === 0 ? 'created' : 'joined');
                if (i > 0) {
                    await Promise.all([...inside, one].map((each) => each.tape.next('ready')));
                    assert.deepEqual(one.tape.names(), ['joined', 'ready']);
                    for (const each of inside) assert.deepEqual(each.tape.names(), ['remotePeerJoining', 'join', 'broadcast: joined', 'ready']);
                }
                inside.push(one);
            }
            const sixth = await join(5);
            sixth.socket.emit('create or join', channel);
            assert.deepEqual(await sixth.tape.next('full'), [channel]);

            inside.forEach((each) => each.tape.clear());
            assert.equal((await ask(inside[2].socket, 'message', { channel, message: 'all' })).recipients, 4);
            for (const i of [0, 1, 3, 4]) assert.deepEqual(await inside[i].tape.next('message'), ['all']);
            inside[0].socket.emit('Bye', channel);
            for (const each of inside.slice(1)) await each.tape.next('Bye');
            sixth.socket.emit('create or join', channel);
            assert.deepEqual(await sixth.tape.next('joined'), [channel, sixth.id], 'there is a seat again');
        });
    });
}

describe('capacity 1', () => {
    it('the_second_is_refused', async (t) => {
        const server = await startPollux({ env: { POLLUX_CAPACITY: 1 } });
        t.after(() => server.stop());
        const join = company(t, { server }, [official]);
        const [a, b] = [await join(0), await join(1)];
        await enter('alone', a);
        b.socket.emit('create or join', 'alone');
        await b.tape.next('full');
        a.socket.close();
        b.socket.close();
    });
});

describe('log_events = no', () => {
    it('nothing_is_echoed', async (t) => {
        const server = await startPollux({ env: { POLLUX_LOG_EVENTS: 'no' } });
        t.after(() => server.stop());
        const join = company(t, { server }, [official]);
        const { a, b, channel } = await couple(join);
        assert.equal((await ask(a.socket, 'message', { channel, message: 1 })).recipients, 1);
        await b.tape.next('message');
        assert.deepEqual(a.tape.logs, []);
        a.socket.close();
        b.socket.close();
    });
});

for (const [host, options] of [['eight workers', { procs: 8 }], ['CGI', { cgi: true }]]) {
    describe(`roll call, ${host}`, () => {
        const of = { server: null };
        before(async () => { of.server = await startPollux(options); });
        after(() => of.server?.stop());

        it('each_newcomer_is_told_full_once', async (t) => {
            const join = company(t, of, [official]);
            const { channel } = await couple(join);
            const newcomers = await Promise.all(Array.from({ length: 5 }, (_, i) => join(i)));
            for (let round = 1; round <= 10; round++) {
                for (const one of newcomers) one.socket.emit('create or join', channel);
                for (const one of newcomers) await one.tape.next('full');
                for (const one of newcomers) await ask(one.socket, 'behind it');
                for (const one of newcomers) assert.equal(one.tape.list.length, round, JSON.stringify(one.tape.list));
            }
        });
    });
}
