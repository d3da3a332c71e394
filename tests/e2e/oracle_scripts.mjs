// The conversations of oracle.test.mjs. Each is a row:
//
//   rule      what must be the same, whoever serves and whoever asks
//   play      what is done; all that its clients hear, and what it notes, is the transcript
//   capacity  members of a channel (3)
//   recovery  the reference recovers sockets as well
//   alone     has servers of its own, since it ends them
//   leaveOut  events that are no part of the transcript
//   better    where another transcript is right: {'client, server': {why, says: the transcript, made of the reference's}}
//   todo      where ours is known to be wrong: {'client, server': why}
//
// What follows them, `requests`, is asked of both servers without a client.
//
// Nothing here waits for a time; `fence` waits until all that was said before has arrived.

import { until } from './harness.mjs';

const QUICK = { reconnectionDelay: 20, reconnectionDelayMax: 40, randomizationFactor: 0 };
const hex = (text) => Uint8Array.from(Buffer.from(text, 'hex'));
const thrown = (fn) => {
    try {
        fn();
        return 'nothing';
    } catch (error) {
        return error.message;
    }
};
/** What manager and socket of ONE tell of a connection's life goes on its tape. */
function followManager(one) {
    for (const name of ['open', 'close', 'reconnect_attempt', 'reconnect', 'reconnect_error', 'reconnect_failed']) {
        one.socket.io.on(name, (x) => one.note(`manager: ${name}`, x instanceof Error ? 'an error' : x));
    }
}
const gone = (one) => until(() => one.heard.some(([name]) => name === 'disconnect'), undefined, `the disconnect of ${one.name}`);

/** Reasons why Pollux is better, whichever the client. */
const onPollux = (why, says) => ({ 'official, pollux': { why, says }, 'ours, pollux': { why, says } });
/** Recovered, with the id that it had. */
const stillThemselves = (tapes) => Object.fromEntries(Object.entries(tapes).map(([name, tape]) =>
    [name, tape.map(([event, ...rest], i) => (event === 'connect' && i ? [event, `${name}1`, true] : [event, ...rest]))]));

const IN_ONE_REQUEST = { 'ours, reference': 'our client says farewell and closes in one request, and the real server drops what comes with a close' };

export const scripts = [
    // ---- channels
    { rule: 'a_socket_connects', async play({ client }) {
        const a = client('A');
        a.note('before', a.socket.connected, a.socket.disconnected, a.socket.active, a.id);
        await a.next('connect');
        a.note('after', a.socket.connected, a.socket.disconnected, a.socket.active, a.id, a.socket.nsp, a.id === a.socket.io.engine.id);
    } },
    { rule: 'the_first_creates_a_channel_and_the_second_joins_it', async play({ members }) {
        await members(['A', 'B']);
    } },
    { rule: 'a_channel_of_two_is_full_for_the_third', capacity: 2, async play({ members, joined, channel }) {
        await members(['A', 'B']);
        const c = await joined('C');
        c.socket.emit('create or join', channel);
        await c.next('full');
    } },
    { rule: 'a_channel_of_three_is_full_for_the_fourth', async play({ members, joined, channel, fence }) {
        const [a, b, c] = await members(['A', 'B', 'C']);
        const d = await joined('D');
        d.socket.emit('create or join', channel);
        await d.next('full');
        await fence(a, b, c);
    } },
    { rule: 'a_seat_that_was_left_is_free', capacity: 2, async play({ members, joined, channel }) {
        const [a, b] = await members(['A', 'B']);
        b.socket.emit('leave', channel);
        await a.next('leave');
        const c = await joined('C');
        c.socket.emit('create or join', channel);
        await c.next('ready');
        await a.next('ready');
    } },
    { rule: 'a_member_that_joins_again_is_told_so_alone', async play({ members, channel, fence }) {
        const [a, b] = await members(['A', 'B']);
        b.socket.emit('create or join', channel);
        await b.next('joined');
        await b.next('joined');
        await fence(b, a);
    } },
    { rule: 'a_channel_that_all_have_left_is_created_anew', async play({ members, channel }) {
        const [a, b] = await members(['A', 'B']);
        a.socket.emit('leave', channel);
        await b.next('leave');
        a.note(await b.ask('leave', channel));
        a.socket.emit('create or join', channel);
        await a.next('created');
    } },
    { rule: 'names_of_channels_that_are_none_are_refused', async play({ joined }) {
        const a = await joined('A');
        for (const name of [7, '', null, { channel: 'x' }, ['x']]) a.note('asked', await a.ask('create or join', name));
        a.note('asked', await a.ask('create or join'));
        a.socket.emit('create or join', 7);
        await a.next('error');
    } },
    { rule: 'names_of_channels_may_be_any_text', async play({ joined, channel }) {
        const a = await joined('A'), b = await joined('B');
        for (const name of [`${channel} ü 漢 😀`, `${channel} "quoted" \\ / <b>`, `${channel}\t\n`, `${channel}__proto__`]) {
            a.socket.emit('create or join', name);
            await a.next('created');
            b.socket.emit('create or join', name);
            await b.next('ready');
            await a.next('ready');
        }
    } },
    { rule: 'a_socket_in_two_channels_says_a_thing_once_to_each', async play({ members, channel, fence }) {
        const [a, b] = await members(['A', 'B']);
        for (const one of [a, b]) one.note(await one.ask('create or join', `${channel} II`));
        a.note(await a.ask('hello', 'both of them'));
        await b.next('hello');
        await fence(a, b);
    } },

    // ---- messages
    { rule: 'a_message_to_a_channel_goes_to_the_others_and_a_log_to_the_sender', async play({ members, channel, fence }) {
        const [a, b, c] = await members(['A', 'B', 'C']);
        a.socket.emit('message', { channel, message: { type: 'offer', sdp: 'v=0\r\n' } });
        await b.next('message');
        await c.next('message');
        b.socket.emit('response', { channel, message: 'answer' });
        await a.next('response');
        await c.next('response');
        await a.next('log');
        await b.next('log');
        await fence(a, b, c);
    } },
    { rule: 'a_message_of_any_other_form_goes_to_the_others_whole', async play({ members, fence }) {
        const [a, b] = await members(['A', 'B']);
        for (const message of ['got user media', { type: 'candidate', label: 0 }, 5, null, true, [1, [2]]]) a.note(await a.ask('message', message));
        a.socket.send('by send', 2);
        await fence(a, b);
    } },
    { rule: 'who_is_in_no_channel_reaches_nobody', async play({ members, joined, channel, fence }) {
        const [a, b] = await members(['A', 'B']);
        const c = await joined('C');
        for (const event of [['message', 'x'], ['hello'], ['hello', channel], ['hello', { to: a.id }]]) c.note(event[0], await c.ask(...event));
        await fence(a, b);
    } },
    { rule: 'only_members_can_send_to_a_channel', async play({ members, joined, channel, fence }) {
        const [a, b] = await members(['A', 'B']);
        const c = await joined('C');
        c.note(await c.ask('message', { channel, message: 'x' }));
        c.socket.emit('response', { channel, message: 'x' });
        await c.next('error');
        c.note(await c.ask('leave', channel));
        await fence(a, b);
    } },
    { rule: 'what_is_for_one_goes_to_that_one', async play({ members, fence }) {
        const [a, b, c] = await members(['A', 'B', 'C']);
        a.note(await a.ask('offer', { to: b.id, sdp: 1 }));
        a.note(await a.ask('offer', 'an argument before', { target: c.id, sdp: 2 }));
        await fence(a, b, c);
    } },
    { rule: 'what_is_for_one_who_is_not_there_goes_to_nobody', async play({ members, joined, fence }) {
        const [a, b] = await members(['A', 'B']);
        const c = await joined('C');
        for (const id of ['abcdefghij0123456789', c.id, a.id]) a.note(await a.ask('offer', { to: id }));
        await fence(a, b);
    } },
    { rule: 'what_names_a_channel_goes_to_that_channel', async play({ members, joined, channel, fence }) {
        const [a, b] = await members(['A', 'B']);
        const c = await joined('C');
        for (const one of [a, c]) await one.ask('create or join', `${channel} II`);
        for (const args of [[{ room: channel }], [`${channel} II`], [1, { roomId: `${channel} II` }], [{ channel: 'another' }]]) a.note(await a.ask('hello',
            ...args));
        await fence(a, b, c);
    } },
    { rule: 'the_server_alone_says_its_own_words', async play({ members, channel, fence }) {
        const [a, b] = await members(['A', 'B']);
        for (const name of ['created', 'joined', 'full', 'ready', 'join', 'remotePeerJoining', 'broadcast: joined', 'error', 'log']) {
            a.note(name, await a.ask(name, channel));
        }
        a.socket.emit('full', channel);
        await a.next('error');
        await fence(a, b);
    } },

    // ---- farewells
    { rule: 'bye_is_told_and_changes_nothing', async play({ members, channel, fence }) {
        const [a, b] = await members(['A', 'B']);
        a.socket.emit('bye', channel);
        a.socket.emit('bye');
        await fence(a, b);
        await fence(b, a);
    } },
    { rule: 'who_says_Bye_is_disconnected_and_the_other_hears_Bye', async play({ members, channel, fence }) {
        const [a, b, c] = await members(['A', 'B', 'C']);
        a.socket.emit('Bye', channel);
        await gone(a);
        await fence(b, c);
    } },
    { rule: 'Bye_and_Ack_end_a_conversation', capacity: 2, async play({ members, joined, channel }) {
        const [a, b] = await members(['A', 'B']);
        b.socket.on('Bye', () => b.socket.emit('Ack'));
        a.socket.emit('Bye', channel);
        await gone(a);
        await gone(b);
        const c = await joined('C');
        c.socket.emit('create or join', channel);
        await c.next('created');
    } },
    { rule: 'a_farewell_is_acknowledged_before_it_takes_effect', async play({ members, channel }) {
        const [a, b] = await members(['A', 'B']);
        a.socket.emit('Bye', channel, (reply) => a.note(reply));
        await gone(a);
        b.socket.emit('Ack', (reply) => b.note(reply));
        await gone(b);
    } },
    { rule: 'who_was_disconnected_by_the_server_stays_away_until_it_connects', async play({ members }) {
        const [a] = await members(['A']);
        a.socket.emit('Ack');
        await gone(a);
        a.note(a.socket.active, a.socket.connected);
        a.socket.connect();
        await a.next('connect');
        a.note(await a.ask('hello'));
    } },
    { rule: 'who_disconnects_leaves_all_channels', async play({ members, channel, fence }) {
        const [a, b, c] = await members(['A', 'B', 'C']);
        await a.ask('create or join', `${channel} II`);
        await b.ask('create or join', `${channel} II`);
        await a.next('ready');
        a.socket.disconnect();
        a.note(a.socket.connected, a.socket.active, a.id);
        await b.next('leave');
        await b.next('leave');
        await fence(b, c);
    } },
    { rule: 'what_was_said_before_a_disconnect_arrives', todo: IN_ONE_REQUEST, async play({ members, fence }) {
        const [a, b, c] = await members(['A', 'B', 'C']);
        for (let i = 0; i < 20; i++) a.socket.emit('hello', i);
        a.socket.disconnect();
        await b.next('leave');
        await fence(b, c);
    } },
    { rule: 'a_word_and_a_disconnect_right_after_something_was_heard_arrive', todo: IN_ONE_REQUEST, async play({ members, fence }) {
        const [a, b, c] = await members(['A', 'B', 'C']);
        await a.ask('hello');
        a.socket.emit('last');
        a.socket.disconnect();
        await b.next('leave');
        await fence(b, c);
    } },

    // ---- connecting and disconnecting
    { rule: 'who_disconnects_and_connects_is_somebody_new', async play({ joined }) {
        const a = await joined('A');
        a.socket.disconnect();
        await gone(a);
        a.socket.connect();
        await a.next('connect');
    } },
    { rule: 'disconnecting_and_connecting_in_one_go_makes_somebody_new', async play({ members, channel, fence }) {
        const [a, b, c] = await members(['A', 'B', 'C']);
        a.socket.disconnect().connect();
        await a.next('connect');
        await b.next('leave');
        a.note(await a.ask('hello'));
        await fence(b, c);
        a.note(a.id !== undefined, channel);
    } },
    { rule: 'disconnecting_twice_is_disconnecting', async play({ joined }) {
        const a = await joined('A');
        a.socket.disconnect().disconnect().close();
        a.note(a.socket.connected, a.socket.active);
    } },
    { rule: 'a_disconnect_before_the_connection_is_there_is_heard_by_nobody', async play({ client }) {
        const a = client('A');
        a.socket.disconnect();
        a.note(a.socket.connected, a.socket.active);
        a.socket.connect();
        await a.next('connect');
    } },
    { rule: 'connecting_twice_is_connecting', async play({ client }) {
        const a = client('A', { autoConnect: false });
        a.note(a.socket.active, a.socket.connected);
        a.socket.connect().connect().open();
        await a.next('connect');
        a.socket.connect();
        a.note(await a.ask('hello'));
    } },
    { rule: 'emits_before_the_connection_leave_in_order', async play({ members, client, channel, fence }) {
        const [a] = await members(['A']);
        const b = client('B');
        b.socket.emit('create or join', channel);
        for (let i = 0; i < 5; i++) b.socket.emit('hello', i);
        b.socket.on('connect', () => b.socket.emit('from connect'));
        await a.next('from connect');
        await fence(a, b);
    } },
    { rule: 'what_was_emitted_after_a_disconnect_leaves_with_the_next_connection', async play({ members, joined, channel }) {
        const [a] = await members(['A']);
        const b = await joined('B');
        b.socket.disconnect();
        b.socket.emit('create or join', channel);
        b.socket.emit('hello', 'later');
        b.socket.connect();
        await a.next('hello');
        await b.next('ready');
    } },
    { rule: 'a_disconnect_in_a_handler_ends_what_is_heard', async play({ members }) {
        const [a, b] = await members(['A', 'B']);
        b.socket.on('stop', () => b.socket.disconnect());
        a.socket.emit('stop');
        a.socket.emit('not heard');
        await gone(b);
        await a.next('leave');
    } },
    { rule: 'connecting_in_the_disconnect_handler_comes_back', async play({ members }) {
        const [a] = await members(['A']);
        a.socket.once('disconnect', () => a.socket.connect());
        a.socket.emit('Ack');
        await a.next('connect');
    } },
    { rule: 'an_answer_to_auth_may_come_later', async play({ joined, client }) {
        await joined('A', { auth: { token: 'abc', list: [1] } });
        await joined('B', { auth: (answer) => answer({ token: 'abc' }) });
        const c = client('C', { auth: (answer) => queueMicrotask(() => answer({})) });
        await c.next('connect');
        const d = client('D', { autoConnect: false });
        d.socket.auth = { token: 'set later' };
        d.socket.connect();
        await d.next('connect');
    } },
    { rule: 'options_that_are_undefined_are_the_default', async play({ joined }) {
        await joined('A', { path: undefined, autoConnect: undefined, reconnection: undefined, query: undefined, auth: undefined, timeout: undefined });
    } },
    { rule: 'options_of_the_request_are_taken', async play({ joined }) {
        await joined('A', { path: '/socket.io', query: { a: 'b c', ü: '&=' }, extraHeaders: { 'X-Page': 'yes' }, withCredentials: true });
        await joined('B', { path: '/socket.io/', timestampRequests: false, query: { t: 'tenant1' } });
        await joined('C', { timestampParam: 'ts' });
    } },
    { rule: 'nobody_there_is_told_as_often_as_asked', async play({ follow, io }) {
        const a = follow('A', io('http://127.0.0.1:1', { ...QUICK, reconnectionAttempts: 2, autoConnect: false }));
        followManager(a);
        const failed = new Promise((done) => { a.socket.io.once('reconnect_failed', done); });
        a.socket.connect();
        await failed;
        a.note(a.socket.active, a.socket.connected);
    } },
    { rule: 'without_reconnection_nobody_there_is_told_once', async play({ follow, io }) {
        const a = follow('A', io('http://127.0.0.1:1', { ...QUICK, reconnection: false }));
        await a.next('connect_error');
        a.note(a.socket.connected);
    } },

    // ---- namespaces
    { rule: 'an_unknown_namespace_is_refused', async play({ client }) {
        const a = client('A', {}, '/nowhere');
        await a.next('connect_error');
        a.note(a.socket.active, a.socket.connected, a.id);
    } },
    { rule: 'an_unknown_namespace_does_not_disturb_another', async play({ follow, members, fence }) {
        const [a, b] = await members(['A', 'B']);
        const n = follow('N', a.socket.io.socket('/nowhere'));
        await n.next('connect_error');
        await fence(a, b);
    } },
    { rule: 'three_namespaces_share_a_connection_and_nothing_else', async play({ client, follow, joined, channel, fence }) {
        const a = await joined('A');
        const one = follow('one', a.socket.io.socket('/one')), two = follow('two', a.socket.io.socket('/two'));
        await one.next('connect');
        await two.next('connect');
        for (const each of [a, one, two]) {
            each.socket.emit('create or join', channel);
            await each.next('created');
        }
        const b = client('B', {}, '/one');
        b.socket.emit('create or join', channel);
        await b.next('ready');
        await one.next('ready');
        b.socket.emit('hello', 'to the one');
        await one.next('hello');
        for (const each of [a, two]) each.note(await each.ask('hello'));
        await fence(b, one);
    } },
    { rule: 'who_leaves_a_namespace_stays_in_the_others', async play({ members, follow, fence }) {
        const [a, b] = await members(['A', 'B']);
        const one = follow('one', a.socket.io.socket('/one'));
        await one.next('connect');
        one.socket.disconnect();
        await fence(a, b);
        one.socket.connect();
        await one.next('connect');
        await fence(b, a);
    } },
    { rule: 'pages_share_a_connection_unless_they_want_their_own', async play({ io, follow, url }) {
        const shared = { forceNew: false, multiplex: true, transports: ['polling'] };
        const a = follow('A', io(url, shared)), one = follow('one', io(`${url}/one`, shared));
        const again = follow('again', io(url, shared)), own = follow('own', io(`${url}/two`, { ...shared, forceNew: true }));
        const alone = follow('alone', io(`${url}/two`, { ...shared, multiplex: false }));
        for (const each of [a, one, again, own, alone]) await each.next('connect');
        for (const each of [one, again, own, alone]) a.note(each.name, each.socket.io === a.socket.io);
    } },

    // ---- acknowledgements
    { rule: 'acknowledgements_come_in_each_form', async play({ members, fence }) {
        const [a, b] = await members(['A', 'B']);
        a.note(await a.ask('hello', 1));
        a.note(await a.socket.emitWithAck('hello', 2));
        a.note(await a.socket.timeout(60000).emitWithAck('hello', 3));
        await new Promise((done) => a.socket.timeout(60000).emit('hello', 4, (error, reply) => done(a.note(error, reply))));
        await fence(a, b);
    } },
    { rule: 'an_acknowledgement_that_cannot_come_times_out', async play({ client }) {
        const a = client('A', { autoConnect: false });
        a.note(await a.socket.timeout(10).emitWithAck('stale').catch((error) => error));
        await new Promise((done) => a.socket.timeout(10).emit('stale', (error) => done(a.note(error))));
        a.socket.connect();
        await a.next('connect');
        a.note(await a.ask('fresh'));
    } },
    { rule: 'a_disconnect_ends_the_wait_for_acknowledgements', async play({ joined }) {
        const a = await joined('A');
        const promise = a.socket.emitWithAck('hello').catch((error) => error);
        const timed = new Promise((done) => { a.socket.timeout(60000).emit('hello', done); });
        a.socket.emit('hello', () => a.note('never'));
        a.socket.disconnect();
        a.note('promise', await promise);
        a.note('timed', await timed);
    } },
    { rule: 'ackTimeout_makes_acknowledgements_error_first', async play({ joined }) {
        const a = await joined('A', { ackTimeout: 60000 });
        a.note(...await a.ask('hello'));
        a.note(await a.socket.emitWithAck('hello'));
    } },
    { rule: 'with_retries_one_goes_after_the_other', async play({ members, joined, channel, fence }) {
        const [a] = await members(['A']);
        const b = await joined('B', { retries: 2, ackTimeout: 60000 });
        b.note(...await b.ask('create or join', channel));
        const last = new Promise((done) => {
            for (let i = 0; i < 5; i++) b.socket.emit('hello', i, (error, reply) => (b.note(i, error, reply), i === 4 && done()));
        });
        await last;
        await fence(a, b);
    } },
    { rule: 'what_is_volatile_is_lost_before_the_connection', async play({ client, joined }) {
        const a = client('A');
        a.socket.volatile.emit('create or join', 'never');
        await a.next('connect');
        a.note(await a.ask('leave', 'never'));
        const b = await joined('B');
        await b.ask('hello');
        b.note(await b.socket.timeout(60000).emitWithAck('hello'));
    } },

    // ---- what is said
    { rule: 'binary_goes_through_at_every_depth', async play({ members, channel, fence }) {
        const [a, b] = await members(['A', 'B']);
        a.socket.emit('file', hex('00ff10'), { name: 'x', parts: [hex('01'), { deep: hex('0203').buffer }] }, 'after');
        a.socket.emit('message', { channel, message: { blob: hex('0a0b') } });
        a.socket.emit('message', hex('0c'));
        a.socket.emit('file', new Uint8Array(0));
        await a.next('log');
        await fence(a, b);
        b.socket.emit('file', hex('aa'), new DataView(hex('0102030405').buffer, 1, 2), Buffer.from('text'));
        b.socket.emit('file', { to: a.id, blob: hex('0d') });
        await fence(b, a);
    } },
    { rule: 'text_goes_through_as_it_is', async play({ members, channel, fence }) {
        const [a, b] = await members(['A', 'B']);
        for (const text of ['ü 漢 😀', '\u0000 a \u0000', '\ud800', 'x\udc00y', '\u001e', '\u2028\u2029', '"\\/\b\f\n\r\t', '', '42["x"]', '\ufeff\uffff']) {
            a.socket.emit('hello', text, { [text]: text });
            a.socket.emit('message', { channel, message: text });
        }
        await fence(a, b);
        await fence(b, a);
    } },
    { rule: 'numbers_go_through_as_they_are', async play({ members, fence }) {
        const [a, b] = await members(['A', 'B']);
        a.socket.emit('hello', 0, -0, 1e21, 1e-7, 1.7976931348623157e308, 5e-324, Number.MAX_SAFE_INTEGER, -9007199254740992, 0.1, NaN, Infinity);
        await fence(a, b);
    } },
    { rule: 'arguments_may_be_nothing_at_all', async play({ members, fence }) {
        const [a, b] = await members(['A', 'B']);
        for (const args of [[], [null], [undefined], [undefined, undefined, 1], [{}], [[]], [[], {}, ''],
            [{ a: undefined, b: [undefined] }]]) a.socket.emit('hello', ...args);
        a.socket.emit('');
        a.socket.emit(7, 'a number for a name');
        await fence(a, b);
    } },
    { rule: 'what_has_a_form_of_its_own_goes_as_JSON_has_it', async play({ members, fence }) {
        const [a, b] = await members(['A', 'B']);
        a.socket.emit('hello', new Date(0), { toJSON: () => 'made' }, new Map([[1, 2]]), JSON.parse('{"__proto__":1,"constructor":2}'),
            { _placeholder: false });
        a.socket.emit('hello', JSON.parse(`${'['.repeat(200)}${']'.repeat(200)}`));
        await fence(a, b);
    } },
    { rule: 'what_JSON_cannot_say_throws', async play({ joined }) {
        const a = await joined('A');
        const circle = {};
        circle.self = circle;
        a.note(thrown(() => a.socket.emit('hello', circle)) !== 'nothing', thrown(() => a.socket.emit('hello', 1n)) !== 'nothing');
        a.note(await a.ask('hello'));
    } },
    { rule: 'reserved_names_throw', async play({ joined }) {
        const a = await joined('A');
        for (const name of ['connect', 'connect_error', 'disconnect', 'disconnecting', 'newListener',
            'removeListener']) a.note(thrown(() => a.socket.emit(name)));
        a.note(await a.ask('hello'));
    } },
    { rule: 'a_large_message_goes_through', async play({ members, fence }) {
        const [a, b] = await members(['A', 'B']);
        a.note(await a.ask('hello', 'x'.repeat(900000), 'end'));
        b.note(await b.ask('hello', new Uint8Array(600000).fill(7)));
        await fence(a, b);
        await fence(b, a);
    } },
    { rule: 'many_small_messages_arrive_in_order', async play({ members, fence }) {
        const [a, b, c] = await members(['A', 'B', 'C']);
        for (let i = 0; i < 500; i++) a.socket.emit('hello', i);
        await fence(a, b, c);
    } },
    { rule: 'two_who_talk_at_once_hear_each_other_in_order', async play({ members, fence }) {
        const [a, b] = await members(['A', 'B']);
        for (let i = 0; i < 100; i++) {
            a.socket.emit('hello', i);
            b.socket.emit('hello', -i, hex('01'));
        }
        await fence(a, b);
        await fence(b, a);
    } },
    { rule: 'an_answer_in_a_handler_keeps_its_place', async play({ members }) {
        const [a, b] = await members(['A', 'B']);
        b.socket.on('count', (n) => b.socket.emit('count', n + 1));
        a.socket.on('count', (n) => n < 20 && a.socket.emit('count', n + 1));
        a.socket.emit('count', 0);
        await until(() => a.heard.some(([name, n]) => name === 'count' && n === 21), undefined, 'the last of the numbers');
    } },

    // ---- listeners
    { rule: 'listeners_come_and_go', async play({ members, fence }) {
        const [a, b] = await members(['A', 'B']);
        const { socket, note } = b;
        const twice = (x) => note('twice', x), never = () => note('never');
        socket.on('e', twice).on('e', twice).once('e', (x) => note('once', x)).on('e', never).off('e', never).once('e', never).off('e', never);
        socket.on('other', never).off('other');
        socket.onAny((name, ...args) => note('any', name, ...args));
        socket.onAny(never).offAny(never);
        note(socket.listeners('e').length, socket.listeners('nothing').length);
        for (const event of [['e', 1], ['e', 2], ['other']]) a.socket.emit(...event);
        await fence(a, b);
        socket.off('e', twice);
        a.socket.emit('e', 3);
        await fence(a, b);
        note(socket.listeners('e').length);
        socket.removeAllListeners('e');
        note(socket.listeners('e').length);
    } },
    { rule: 'listeners_for_all_that_comes_and_goes', async play({ members, fence }) {
        const [a, b] = await members(['A', 'B']);
        const { socket, note } = b;
        const out = (...args) => note('goes', ...args);
        socket.prependAny((name) => note('first', name));
        socket.onAnyOutgoing(out);
        socket.emit('hello', 1);
        await fence(b, a);
        socket.offAnyOutgoing(out);
        socket.emit('hello', 2);
        note(socket.listenersAny().length, socket.hasListeners('hello'), socket.hasListeners('connect'));
        await fence(b, a);
        await fence(a, b);
    } },

    // ---- losses
    { rule: 'a_lost_connection_comes_back_with_its_name_and_in_this_order', recovery: true, async play({ members, fence }) {
        const [a, b] = await members(['A', 'B'], QUICK);
        followManager(a);
        await fence(b, a);
        a.socket.io.engine.close();
        await a.next('connect');
        await fence(b, a);
        await fence(a, b);
    } },
    { rule: 'what_was_said_to_one_who_is_away_is_heard_before_the_rest', recovery: true, async play({ members, fence }) {
        const [a, b] = await members(['A', 'B'], { ...QUICK, reconnection: false });
        await fence(b, a);
        a.socket.io.engine.close();
        await gone(a);
        for (let i = 0; i < 40; i++) b.socket.emit('hello', i);
        await b.ask('hello', 40).then(() => b.note('said'));
        a.socket.connect();
        await a.next('connect');
        await fence(b, a);
        a.note(a.socket.recovered);
    } },
    { rule: 'what_is_emitted_while_away_leaves_on_return', recovery: true, async play({ members, fence }) {
        const [a, b] = await members(['A', 'B'], QUICK);
        await fence(b, a);
        a.socket.io.engine.close();
        await gone(a);
        for (let i = 0; i < 10; i++) a.socket.emit('hello', i);
        await fence(a, b);
    } },
    { rule: 'one_in_no_channel_who_heard_nothing_comes_back', recovery: true,
        better: onPollux('nobody is somebody else for having heard nothing yet', stillThemselves), async play({ joined }) {
        const a = await joined('A', QUICK);
        a.socket.io.engine.close();
        await a.next('connect');
    } },
    { rule: 'a_connection_lost_twice_comes_back_twice', recovery: true, async play({ members, fence }) {
        const [a, b] = await members(['A', 'B'], QUICK);
        await fence(b, a);
        for (let i = 0; i < 2; i++) {
            a.socket.io.engine.close();
            await a.next('disconnect');
            await a.next('connect');
        }
        await fence(b, a);
    } },
    // How often they try meanwhile is a matter of speed.
    { rule: 'after_the_death_of_the_server_everyone_comes_back', alone: true, leaveOut: ['connect_error'],
        better: onPollux('what it knows outlives it', stillThemselves), async play({ members, crash, back }) {
        const [a, b] = await members(['A', 'B'], QUICK);
        await crash();
        await gone(a);
        await gone(b);
        await back();
        for (const one of [a, b]) await one.next('connect');
    } },
];

/**
 * What is asked without a client, request by request: [rule, play({ask, open})]. ask(query, {method, body, headers}) yields the answer as
 * text, the session's id left out; open() opens a session, which ask() then names, and yields the answer.
 *
 * Broken packets are not here: they make a session unknown at once with us (conformance.test.mjs), and the real server tells the next poll
 * of some first.
 */
export const requests = [
    ['a_handshake', async ({ open }) => [await open()]],
    ['a_handshake_that_is_none', async ({ ask }) => [
        await ask(''), await ask('EIO=4'), await ask('EIO=4&transport=abc'), await ask('EIO=4&transport=websocket'), await ask('transport=polling'),
        await ask('EIO=abc&transport=polling'), await ask('EIO=4&transport=polling', { method: 'POST', body: '40' }),
        await ask('EIO=4&transport=polling', { method: 'PUT', body: '40' }), await ask('EIO=4&transport=polling', { method: 'DELETE' }),
    ]],
    ['an_unknown_session', async ({ ask }) => [
        await ask('EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAA'), await ask('EIO=4&transport=polling&sid=x', { method: 'POST', body: '40' }),
        await ask('EIO=4&transport=abc&sid=x'), await ask('EIO=4&transport=polling&sid=__proto__'),
    ]],
    ['a_connection_and_its_end', async ({ ask, open }) => [
        await open(), await ask('', { method: 'POST', body: '40' }), (await ask('')).replace(/\{.*/, '{'), await ask('', { method: 'POST', body: '1' }),
        await ask(''), await ask('', { method: 'POST', body: '3' }),
    ]],
    ['an_unknown_namespace', async ({ ask, open }) => [
        await open(), await ask('', { method: 'POST', body: '40/nowhere,' }), await ask(''), await ask('', { method: 'POST', body: '40/nowhere' }),
            await ask(''),
    ]],
    ['a_farewell_without_a_word_before', async ({ ask, open }) => [await open(), await ask('', { method: 'POST', body: '1' }), await ask('')]],
    ['a_body_that_is_too_large', async ({ ask, open }) => [await open(), (await ask('', { method: 'POST', body: `4${'x'.repeat(1000000)}` })).slice(0, 3)]],
];
