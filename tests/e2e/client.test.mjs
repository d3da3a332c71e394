// The client file htdocs/socket.io/socket.io.js, against a stage: a server whose every answer is the test's own.
//
// `rules` is a table of what a page sees and what the wire carries; each row is run with our client file and with the official client, and
// both must give the transcript in view. What follows it is ours alone: retries, the count of events taken, the marker.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { LIMIT_MS, channelName, htdocs, peer, shim, sleep, until, withPollux, within } from './harness.mjs';
import { startFcgid } from './nginx.mjs';

const require = createRequire(import.meta.url);
const file = join(htdocs, 'socket.io', 'socket.io.js');
const clients = { ours: require(file), official: require('socket.io-client').io };
const ours = clients.ours;

// ---- the stage

/**
 * A server of one client. `heard`: all packets of all POSTs; `say(...)`: packets for its next poll; `answer(rq)`: what a request gets
 * instead of the usual, or nothing; `connect(text, session)`: the packets that answer a CONNECT.
 */
async function onStage(body, settings = {}) {
    const stage = {
        heard: [], requests: [], sessions: [], held: null, waiting: [], replies: {},
        hello: { upgrades: [], pingInterval: 25000, pingTimeout: 20000, maxPayload: 1000000, ...settings.hello },
        answer: settings.answer ?? (() => undefined),
        connect: settings.connect ?? ((text) => `${text.replace(/\{.*/, '')}{"sid":"id${stage.sessions.length}"}`),

        say(...packets) {
            stage.waiting.push(...packets);
            stage.flush();
        },
        flush() {
            const { held } = stage;
            if (!held || !stage.waiting.length) return;
            stage.held = null;
            held.reply(stage.waiting.splice(0).join('\x1e'));
        },
        /** All that was heard, the count's request left out, so that both clients read the same. */
        said: () => stage.heard.map((packet) => packet.replace(/^(40(?:\/\w+,)?)(\{.*)$/, (all, head, auth) => {
            const { n, ...rest } = JSON.parse(auth);
            return head + (Object.keys(rest).length ? JSON.stringify(rest) : '');
        })),
        hear: (packet) => until(() => stage.said().includes(packet), 5000, `${packet} among ${stage.heard}`),
        /** The session fails: its poll is answered with STATUS, the next one is unknown. */
        cut(status = 400) {
            stage.sessions.push('gone');
            stage.held?.reply('{"code":1,"message":"Session ID unknown"}', status);
            stage.held = null;
        },
    };
    const server = http.createServer(async (rq, rs) => {
        const chunks = [];
        for await (const chunk of rq) chunks.push(chunk);
        const { searchParams, pathname } = new URL(rq.url, 'http://x');
        const query = Object.fromEntries(searchParams);
        const request = {
            method: rq.method, path: pathname, query, headers: rq.headers, body: `${Buffer.concat(chunks)}`,
            drop: () => rq.socket.destroy(),
            reply: (text, status = 200) => rs.writeHead(status, { 'Content-Type': 'text/plain' }).end(text),
        };
        stage.requests.push(request);
        if (await stage.answer(request) !== undefined) return;
        stage.usual(request);
    });
    stage.usual = (request) => {
        const { method, query } = request;
        if (!query.sid) {
            stage.waiting = [];
            stage.sessions.push(`session${stage.sessions.length + 1}`);
            request.reply(`0${JSON.stringify({ sid: stage.sessions.at(-1), ...stage.hello })}`);
        } else if (query.sid !== stage.sessions.at(-1)) request.reply('{"code":1,"message":"Session ID unknown"}', 400);
        else if (method === 'GET') {
            stage.held = request;
            stage.flush();
        } else {
            stage.take(request);
            if (query.wait === 'true' && stage.hello.wait) {
                stage.held = request;
                stage.flush();
            } else request.reply('ok');
        }
    };
    stage.take = ({ body: text }) => {
        for (const packet of text.split('\x1e')) {
            stage.heard.push(packet);
            if (packet.startsWith('40')) stage.say(...[stage.connect(packet)].flat().filter(Boolean));
            if (packet === '1') stage.say('6');
            if (stage.replies[packet]) stage.say(stage.replies[packet]);
        }
    };
    await new Promise((done) => server.listen(settings.port ?? 0, '127.0.0.1', done));
    stage.url = `http://127.0.0.1:${server.address().port}`;
    stage.down = () => {
        server.closeAllConnections();
        return new Promise((done) => server.close(done));
    };
    try {
        await body(stage);
    } finally {
        await stage.down();
    }
}

const quick = { reconnectionDelay: 20, reconnectionDelayMax: 40, randomizationFactor: 0, transports: ['polling'], forceNew: true };
const heard = (socket, name) => within(new Promise((done) => socket.once(name, (...args) => done(args))), `"${name}"`, 5000);
const plain = (value) => {
    if (value instanceof Error) return `Error: ${value.message}`;
    if (value instanceof ArrayBuffer) return `<${Buffer.from(value).toString('hex')}>`;
    if (ArrayBuffer.isView(value)) return `<${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex')}>`;
    if (Array.isArray(value)) return value.map(plain);
    if (value && typeof value === 'object') return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v)]));
    return typeof value === 'function' ? 'function' : value;
};

// ---- what both clients do

/** [rule, settings of the stage, options of the client, what is played; it returns the transcript, the transcript]. */
const rules = [
    ['a_socket_connects', {}, {}, async ({ stage, socket }) => {
        const before = [socket.connected, socket.disconnected, socket.active, socket.id];
        await heard(socket, 'connect');
        return [before, [socket.connected, socket.disconnected, socket.active, socket.id, socket.nsp, !!socket.recovered], stage.said()];
    }, [[false, true, true, undefined], [true, false, true, 'id1', '/', false], ['40']]],

    ['emits_before_connect_leave_in_order', {}, {}, async ({ stage, socket }) => {
        socket.emit('a', 1).emit('b', 'x', null, undefined, { y: [true] }).send('m', 2);
        socket.emit('c');
        await stage.hear('42["c"]');
        return stage.said();
    }, ['40', '42["a",1]', '42["b","x",null,null,{"y":[true]}]', '42["message","m",2]', '42["c"]']],

    ['acknowledgements_come_and_go', {}, {}, async ({ stage, socket, log }) => {
        socket.emit('ask', 1, (...args) => log('ack', ...args));
        socket.emit('ask', 2, (...args) => log('ack', ...args));
        socket.on('question', (a, answer) => {
            answer('yes', a);
            answer('twice');
        });
        await stage.hear('421["ask",2]');
        stage.say('431["two",{"k":2}]', '430[]', '430["again"]', '439["nobody asked"]', '427["question",5]');
        await stage.hear('437["yes",5]');
        return [log.lines, stage.said()];
    }, [[['ack', 'two', { k: 2 }], ['ack']], ['40', '420["ask",1]', '421["ask",2]', '437["yes",5]']]],

    ['an_acknowledgement_times_out', {}, {}, async ({ stage, socket, log }) => {
        await heard(socket, 'connect');
        socket.timeout(30).emit('late', (...args) => log('late', ...args));
        socket.timeout(3000).emit('soon', (...args) => log('soon', ...args));
        await stage.hear('421["soon"]');
        stage.say('431["x"]');
        await until(() => log.lines.length === 2);
        stage.say('430["too late"]', '42["on"]');
        await heard(socket, 'on');
        return log.lines.sort(); // which of the two comes first is a matter of speed
    }, [['late', 'Error: operation has timed out'], ['soon', null, 'x']]],

    ['a_timed_out_emit_leaves_the_buffer', {}, { autoConnect: false }, async ({ stage, socket, log }) => {
        socket.timeout(10).emit('stale', (err) => log(err));
        socket.emit('fresh');
        await until(() => log.lines.length);
        socket.connect();
        await stage.hear('42["fresh"]');
        return [log.lines, stage.said()];
    }, [[['Error: operation has timed out']], ['40', '42["fresh"]']]],

    ['emit_with_ack_is_a_promise', {}, {}, async ({ stage, socket }) => {
        const one = socket.emitWithAck('one', 1);
        const two = socket.timeout(20).emitWithAck('two').catch((err) => plain(err));
        const three = socket.emitWithAck('three').catch((err) => plain(err));
        await stage.hear('422["three"]');
        stage.say('430["first","second"]');
        const values = [await one, await two];
        socket.disconnect();
        return [...values, await three];
    }, ['first', 'Error: operation has timed out', 'Error: socket has been disconnected']],

    ['a_disconnect_removes_acknowledgements', {}, {}, async ({ stage, socket, log }) => {
        await heard(socket, 'connect');
        socket.on('disconnect', (reason) => log(reason));
        socket.emit('a', () => log('never'));
        socket.timeout(5000).emit('b', (err) => log(err));
        await stage.hear('421["b"]');
        socket.disconnect();
        return [log.lines, socket.connected, socket.active];
    }, [[['io client disconnect'], ['Error: socket has been disconnected']], false, false]],

    ['reserved_names_throw', {}, {}, async ({ socket }) =>
        ['connect', 'connect_error', 'disconnect', 'disconnecting', 'newListener', 'removeListener'].map((name) => {
            try {
                return socket.emit(name);
            } catch (err) {
                return err.message;
            }
        }),
    ['connect', 'connect_error', 'disconnect', 'disconnecting', 'newListener', 'removeListener'].map((n) => `"${n}" is a reserved event name`)],

    ['binary_goes_out', {}, {}, async ({ stage, socket }) => {
        const bytes = new Uint8Array([9, 1, 2, 3, 9]);
        socket.emit('b', bytes.buffer, { deep: [bytes.subarray(1, 4)], view: new DataView(bytes.buffer, 4) }, Buffer.from('hi'));
        socket.emit('after', new Uint16Array([258]), () => {});
        await stage.hear('bAgE=');
        return stage.said();
    }, ['40', '454-["b",{"_placeholder":true,"num":0},'
        + '{"deep":[{"_placeholder":true,"num":1}],"view":{"_placeholder":true,"num":2}},{"_placeholder":true,"num":3}]',
    'bCQECAwk=', 'bAQID', 'bCQ==', 'baGk=', '451-0["after",{"_placeholder":true,"num":0}]', 'bAgE=']],

    ['binary_comes_in', {}, {}, async ({ stage, socket, log }) => {
        await heard(socket, 'connect');
        socket.onAny((...args) => log(...args));
        socket.emit('ask', (...args) => log('ack', ...args));
        await stage.hear('420["ask"]');
        stage.say('452-["b",{"_placeholder":true,"num":1},{"x":[{"_placeholder":true,"num":0}]}]', 'bAQID', 'bBAU=');
        stage.say('461-0[{"_placeholder":true,"num":0}]');
        stage.say('bBgc=', '42["end",{"_placeholder":true,"num":0}]');
        await heard(socket, 'end');
        return log.lines;
    }, [['b', '<0405>', { x: ['<010203>'] }], ['ack', '<0607>'], ['end', { _placeholder: true, num: 0 }]]],

    ['a_binary_acknowledgement_goes_out', {}, {}, async ({ stage, socket }) => {
        await heard(socket, 'connect');
        socket.on('q', (answer) => answer(Uint8Array.of(255)));
        stage.say('423["q"]');
        await stage.hear('b/w==');
        return stage.said().slice(1);
    }, ['461-3[{"_placeholder":true,"num":0}]', 'b/w==']],

    ['listeners', {}, {}, async ({ stage, socket, log }) => {
        await heard(socket, 'connect');
        const twice = (...args) => log('twice', ...args);
        const gone = () => log('gone');
        socket.on('e', twice).on('e', twice).once('e', (x) => log('once', x)).on('e', gone).off('e', gone).once('e', gone).off('e', gone);
        socket.on('e', function () { log('this', this === socket); });
        socket.on('other', () => log('other')).off('other');
        socket.on(7, (x) => log('seven', x));
        const any = (name) => log('any', name);
        socket.onAny(any).onAny(gone).offAny(gone);
        stage.say('42["e",1]', '42["e",2]', '42["other"]', '42[7,"n"]');
        await heard(socket, '7');
        socket.offAny();
        socket.off('e', twice);
        stage.say('42["e",3]', '42["end"]');
        await heard(socket, 'end');
        const left = socket.listeners('e').length;
        socket.off();
        return [log.lines, left, socket.listeners('e')];
    }, [[
        ['any', 'e'], ['twice', 1], ['twice', 1], ['once', 1], ['this', true],
        ['any', 'e'], ['twice', 2], ['twice', 2], ['this', true],
        ['any', 'other'], ['any', 7], ['seven', 'n'],
        ['twice', 3], ['this', true],
    ], 2, []]],

    ['the_server_disconnects', {}, {}, async ({ stage, socket, log }) => {
        await heard(socket, 'connect');
        socket.on('disconnect', (reason) => log(reason, socket.connected, socket.active, socket.id));
        socket.on('e', () => log('e'));
        stage.say('42["e"]', '41');
        await heard(socket, 'disconnect');
        await stage.hear('1');
        await sleep(60);
        const sessions = stage.sessions.length;
        socket.connect();
        await heard(socket, 'connect');
        return [log.lines, sessions, socket.id];
    }, [[['e'], ['io server disconnect', false, false, undefined]], 1, 'id2']],

    ['the_client_disconnects', {}, {}, async ({ stage, socket, log }) => {
        await heard(socket, 'connect');
        socket.on('disconnect', (reason) => log(reason));
        socket.emit('last');
        socket.disconnect().disconnect();
        await stage.hear('1');
        return [log.lines, stage.said()];
    }, [[['io client disconnect']], ['40', '42["last"]', '41', '1']]],

    ['closing_in_a_handler_ends_delivery', {}, {}, async ({ stage, socket, log }) => {
        await heard(socket, 'connect');
        socket.on('e', (x) => {
            log('e', x);
            socket.close();
        });
        stage.say('42["e",1]', '42["e",2]');
        await stage.hear('1');
        return log.lines;
    }, [['e', 1]]],

    ['a_lost_transport_comes_back', {}, {}, async ({ stage, socket, log }) => {
        await heard(socket, 'connect');
        for (const name of ['open', 'error', 'close', 'reconnect_attempt', 'reconnect', 'reconnect_error']) {
            socket.io.on(name, (x) => log('io', name, x));
        }
        socket.on('disconnect', (reason) => log(reason, socket.active));
        stage.say('1');
        await heard(socket, 'disconnect');
        socket.emit('meanwhile');
        await heard(socket, 'connect');
        await stage.hear('42["meanwhile"]');
        return [log.lines.filter(([, x]) => x !== 'error'), socket.id];
    }, [[
        ['transport close', true], ['io', 'close', 'transport close'],
        ['io', 'reconnect_attempt', 1], ['io', 'open', undefined], ['io', 'reconnect', 1],
    ], 'id2']],

    ['without_reconnection_it_stays_away', {}, { reconnection: false }, async ({ stage, socket }) => {
        await heard(socket, 'connect');
        stage.say('1');
        const [reason] = await heard(socket, 'disconnect');
        await sleep(60);
        const { length } = stage.sessions;
        socket.connect();
        await heard(socket, 'connect');
        return [reason, length, socket.id];
    }, ['transport close', 1, 'id2']],

    ['connecting_by_hand_in_disconnect', {}, {}, async ({ stage, socket }) => {
        await heard(socket, 'connect');
        socket.once('disconnect', () => socket.connect());
        stage.say('41');
        await heard(socket, 'connect');
        return [socket.id, stage.said().filter((p) => p === '40').length];
    }, ['id2', 2]],

    ...[
        ['42{}'], ['49'], ['42["a"'], ['42[{}]'], ['43"x"'], ['41["x"]'], ['4511-["a"]'],
        ['451-["a",{"_placeholder":true,"num":0}]', '42["b"]'],
    ].map((packets) =>
        [`a_packet_that_is_none: ${packets}`, {}, {}, async ({ stage, socket }) => {
            await heard(socket, 'connect');
            stage.say(...packets);
            const [reason] = await heard(socket, 'disconnect');
            await heard(socket, 'connect');
            return [reason, socket.id];
        }, ['parse error', 'id2']]),

    ...[
        ['an empty answer', '', 200], ['a page', '<html>', 200],
        ['an unknown session', '{"code":1,"message":"Session ID unknown"}', 400],
    ].map(([what, text, status]) =>
        [`a_poll_that_is_answered_with ${what}`, {}, {}, async ({ stage, socket, log }) => {
            await heard(socket, 'connect');
            socket.io.on('error', (err) => log(err));
            await until(() => stage.held);
            stage.held.reply(text, status);
            stage.held = null;
            const [reason] = await heard(socket, 'disconnect');
            await heard(socket, 'connect');
            return [reason, log.lines];
        }, ['transport error', [[status === 200 ? 'Error: server error' : 'Error: xhr poll error']]]]),

    // Each ping comes well before the time is over, and all four take longer than it.
    ['heartbeat', { hello: { pingInterval: 600, pingTimeout: 900 } }, {}, async ({ stage, socket, log }) => {
        await heard(socket, 'connect');
        socket.io.on('ping', () => log('ping'));
        for (let i = 0; i < 4; i++) {
            stage.say('2');
            await sleep(400);
        }
        const [reason] = await heard(socket, 'disconnect');
        return [log.lines.length, stage.said().filter((p) => p === '3').length, reason];
    }, [4, 4, 'ping timeout']],

    ['a_refused_connection', { connect: () => '44{"message":"no entry","data":{"code":7}}' }, {}, async ({ stage, socket }) => {
        const [err] = await heard(socket, 'connect_error');
        await sleep(60);
        const { length } = stage.sessions;
        stage.connect = () => '40{"sid":"later"}';
        socket.connect();
        await heard(socket, 'connect');
        return [err instanceof Error, err.message, err.data, length, socket.id];
    }, [true, 'no entry', { code: 7 }, 1, 'later']],

    ['a_refused_handshake', {
        answer: (rq) => rq.reply('{"code":4,"message":"Forbidden"}', 403) ?? true,
    }, { reconnectionAttempts: 2 }, async ({ socket, log }) => {
        for (const name of ['error', 'reconnect_attempt', 'reconnect_error', 'reconnect_failed']) socket.io.on(name, (...args) => log(name, ...args));
        socket.on('connect_error', (err) => log('connect_error', err.message, err.description));
        await heard(socket.io, 'reconnect_failed');
        return [log.lines, socket.active, socket.connected];
    }, [[
        ['connect_error', 'xhr poll error', 403], ['error', 'Error: xhr poll error'],
        ['reconnect_attempt', 1],
        ['connect_error', 'xhr poll error', 403], ['error', 'Error: xhr poll error'], ['reconnect_error', 'Error: xhr poll error'],
        ['reconnect_attempt', 2],
        ['connect_error', 'xhr poll error', 403], ['error', 'Error: xhr poll error'],
        ['reconnect_failed'], ['reconnect_error', 'Error: xhr poll error'],
    ], true, false]],

    ['a_slow_handshake', { answer: () => true }, { timeout: 40, reconnection: false }, async ({ socket }) => {
        const [err] = await heard(socket, 'connect_error');
        return err.message;
    }, 'timeout'],

    ['auth_goes_with_connect', {}, { auth: { token: 'x' } }, async ({ stage, socket }) => {
        await heard(socket, 'connect');
        socket.auth = (done) => setTimeout(done, 10, { token: 'y' });
        stage.say('1');
        await heard(socket, 'connect');
        return stage.said();
    }, ['40{"token":"x"}', '40{"token":"y"}']],

    ['recovery', { connect: () => '40{"sid":"first","pid":"secret"}' }, {}, async ({ stage, socket, log }) => {
        await heard(socket, 'connect');
        socket.on('disconnect', (reason) => log(reason));
        socket.on('connect', () => log('connect', socket.id, socket.recovered));
        socket.on('e', (...args) => log('e', ...args));
        stage.connect = () => ['42["e",3,"offset3"]', '42["e",4,"offset4"]', '40{"sid":"first","pid":"secret"}'];
        stage.say('42["e",1,"offset1"]', '42["e",2]');
        await until(() => log.lines.length === 2);
        stage.say('1');
        await heard(socket, 'connect');
        stage.connect = () => '40{"sid":"second","pid":"other"}';
        stage.say('1');
        await heard(socket, 'connect');
        return [log.lines, stage.said()];
    }, [[
        ['e', 1, 'offset1'], ['e', 2], ['transport close'], ['e', 3, 'offset3'], ['e', 4, 'offset4'], ['connect', 'first', true],
        ['transport close'], ['connect', 'second', false],
    ], ['40', '40{"pid":"secret","offset":"offset1"}', '40{"pid":"secret","offset":"offset4"}']]],

    ['volatile_waits_for_nobody', {}, { autoConnect: false }, async ({ stage, socket }) => {
        socket.volatile.emit('lost', 1);
        socket.connect();
        await heard(socket, 'connect');
        await until(() => stage.held);
        socket.volatile.emit('sent', 2);
        socket.compress(true).emit('sent', 3);
        await stage.hear('42["sent",3]');
        return stage.said();
    }, ['40', '42["sent",2]', '42["sent",3]']],

    ['options_reach_the_wire', {}, { path: '/deep/er', query: { a: 'b c', d: 1 }, extraHeaders: { 'X-Own': 'yes' } }, async ({ stage, socket }) => {
        await heard(socket, 'connect');
        const [first] = stage.requests;
        const all = stage.requests.every(({ path, query, headers }) =>
            path === '/deep/er/' && query.a === 'b c' && query.d === '1' && query.EIO === '4' && headers['x-own'] === 'yes');
        const post = stage.requests.find((rq) => rq.method === 'POST');
        const fresh = new Set(stage.requests.map((rq) => rq.query.t)).size === stage.requests.length;
        return [all, first.query.transport, fresh, post.headers['content-type']];
    }, [true, 'polling', true, 'text/plain;charset=UTF-8']],

    ['what_json_cannot_say_throws_at_once', {}, {}, async ({ stage, socket }) => {
        await heard(socket, 'connect');
        const circle = {};
        circle.self = circle;
        const thrown = [circle, 1n].map((value) => {
            try {
                return socket.emit('e', value);
            } catch (err) {
                return err instanceof Error;
            }
        });
        socket.emit('f', 1);
        await stage.hear('42["f",1]');
        return [thrown, socket.connected, stage.said()];
    }, [[true, true], true, ['40', '42["f",1]']]],

    ['listeners_of_all_that_comes_and_goes', {}, {}, async ({ stage, socket, log }) => {
        const [first, second, out] = ['first', 'second', 'out'].map((word) => (...args) => log(word, ...args));
        socket.onAny(second).prependAny(first).onAnyOutgoing(() => log('gone')).offAnyOutgoing().onAnyOutgoing(out).prependAnyOutgoing(second);
        socket.emit('early', 1);
        socket.addEventListener('e', first);
        socket.addEventListener('e', second);
        socket.removeEventListener('e', first);
        await stage.hear('42["early",1]');
        stage.say('42["e",5]');
        await heard(socket, 'e');
        socket.emit('asked', 2, () => {});
        const counts = [socket.listenersAny(), socket.listenersAnyOutgoing(), socket.listeners('e')].map((list) => list.length);
        const has = ['e', 'f'].map((name) => socket.hasListeners(name));
        socket.offAny(first);
        return [log.lines, counts, has, socket.listenersAny().length, socket.offAny().listenersAny()];
    }, [[
        ['second', 'early', 1], ['out', 'early', 1], ['first', 'e', 5], ['second', 'e', 5], ['second', 5], ['second', 'asked', 2], ['out', 'asked', 2],
    ], [2, 2, 1], [true, false], 1, []]],

    ['ack_timeout_is_for_every_acknowledgement', {}, { ackTimeout: 1000 }, async ({ stage, socket, log }) => {
        stage.replies = { '420["heard"]': '430["x",1]' };
        await heard(socket, 'connect');
        socket.emit('heard', (...args) => log('heard', ...args));
        await until(() => log.lines.length === 1);
        socket.emit('unheard', (...args) => log('unheard', ...args));
        socket.timeout(5000).emit('patient', (...args) => log('patient', ...args));
        await until(() => log.lines.length === 2);
        stage.say('432[]');
        await until(() => log.lines.length === 3);
        return [log.lines, await socket.emitWithAck('promised').catch((err) => plain(err))];
    }, [[['heard', null, 'x', 1], ['unheard', 'Error: operation has timed out'], ['patient', null]], 'Error: operation has timed out']],

    ['with_retries_one_goes_after_the_other_until_it_is_acknowledged', {}, { ackTimeout: 1000, retries: 2 }, async ({ stage, socket, log }) => {
        stage.replies = { '421["one",1]': '431["yes"]', '425["three"]': '435[]', '426["four"]': '436["done"]' };
        socket.emit('one', 1, (...args) => log('one', ...args));
        socket.emit('two');
        socket.volatile.emit('now or never');
        socket.emit('three', (...args) => log('three', ...args));
        const four = socket.emitWithAck('four');
        return [await four, log.lines, stage.said()];
    }, ['done', [['one', null, 'yes'], ['three', null]],
        ['40', '420["one",1]', '421["one",1]', '422["two"]', '423["two"]', '424["two"]', '425["three"]', '426["four"]']]],

    ['with_retries_the_last_failure_is_told', {}, { ackTimeout: 1000, retries: 1 }, async ({ stage, socket, log }) => {
        stage.replies = { '422["next"]': '432[]' };
        await heard(socket, 'connect');
        socket.emit('deaf', (...args) => log('deaf', ...args));
        socket.emit('next', (...args) => log('next', ...args));
        await until(() => log.lines.length === 2);
        return [log.lines, stage.said()];
    }, [[['deaf', 'Error: operation has timed out'], ['next', null]], ['40', '420["deaf"]', '421["deaf"]', '422["next"]']]],

    ['with_retries_what_was_under_way_goes_on_after_the_return', {}, { ackTimeout: 5000, retries: 3 }, async ({ stage, socket, log }) => {
        await heard(socket, 'connect');
        socket.emit('a', (...args) => log('a', ...args));
        socket.emit('b', (...args) => log('b', ...args));
        await stage.hear('420["a"]');
        stage.say('1');
        await heard(socket, 'connect');
        await stage.hear('421["a"]');
        stage.say('431[1]');
        await stage.hear('422["b"]');
        stage.say('432[2]');
        await until(() => log.lines.length === 2);
        return [log.lines, stage.said().filter((packet) => packet.startsWith('42'))];
    }, [[['a', null, 1], ['b', null, 2]], ['420["a"]', '421["a"]', '422["b"]']]],

    ['a_payload_keeps_to_the_limit', { hello: { maxPayload: 100 } }, {}, async ({ stage, socket }) => {
        await heard(socket, 'connect');
        for (let i = 0; i < 20; i++) socket.emit('e', `čau${i}`);
        socket.emit('end');
        await stage.hear('42["end"]');
        const posts = stage.requests.filter((rq) => rq.method === 'POST').map((rq) => rq.body);
        const fits = (text) => Buffer.byteLength(text) <= 100;
        return [stage.said().length, posts.every(fits), posts.length < 15];
    }, [22, true, true]],
];

/** The same for what io() itself does with its arguments: [rule, what is played, the transcript]. */
const entries = [
    ['namespaces_share_a_session', async ({ stage, io, sockets }) => {
        const a = io(`${stage.url}/a`, { ...quick, forceNew: false });
        const b = io(`${stage.url}/b?x=1`, { ...quick, forceNew: false });
        sockets.push(a, b);
        await Promise.all([heard(a, 'connect'), heard(b, 'connect')]);
        a.emit('to', 'a');
        b.emit('to', 'b', () => {});
        await stage.hear('42/b,0["to","b"]');
        const got = [];
        a.onAny((...args) => got.push(['a', ...args]));
        b.onAny((...args) => got.push(['b', ...args]));
        stage.say('42/a,["one"]', '42/b,["two"]', '42/c,["nobody"]', '42["root"]', '41/a,');
        await heard(a, 'disconnect');
        b.emit('still here');
        await stage.hear('42/b,["still here"]');
        b.disconnect();
        await stage.hear('1');
        return [a.io === b.io, a.nsp, b.nsp, stage.sessions.length, got, stage.said().sort()];
    }, [true, '/a', '/b', 1, [['a', 'one'], ['b', 'two']],
        ['1', '40/a,', '40/b,', '41/b,', '42/a,["to","a"]', '42/b,0["to","b"]', '42/b,["still here"]']]],

    ['the_same_namespace_twice_is_two_sessions', async ({ stage, io, sockets }) => {
        const [a, b, c, d] = [{}, {}, { forceNew: true }, { multiplex: false }].map((options) =>
            io.connect(options.forceNew ? `${stage.url}/c` : stage.url, { ...quick, forceNew: false, autoConnect: false, ...options }));
        sockets.push(a, b, c, d);
        return new Set([a.io, b.io, c.io, d.io]).size;
    }, 4],

    ['a_manager_by_hand', async ({ stage, io, sockets }) => {
        const manager = new io.Manager(stage.url, { ...quick, autoConnect: false });
        const socket = manager.socket('/admin', { auth: { token: 1 } });
        sockets.push(socket);
        const before = [
            socket.active, stage.requests.length, socket instanceof io.Socket, socket.io === manager, manager.socket('/admin') === socket,
        ];
        socket.open();
        await heard(socket, 'connect');
        return [before, stage.said(), manager.engine.id, manager.engine.transport.name, io.protocol ?? 5];
    }, [[false, 0, true, true, true], ['40/admin,{"token":1}'], 'session1', 'polling', 5]],

    ['what_is_undefined_or_null_is_the_default', async ({ stage, io, sockets }) => {
        const names = ['path', 'autoConnect', 'reconnection', 'reconnectionAttempts', 'reconnectionDelay', 'reconnectionDelayMax', 'randomizationFactor',
            'timeout', 'query', 'extraHeaders', 'withCredentials', 'auth', 'ackTimeout', 'retries', 'multiplex'];
        const seen = [];
        for (const nothing of [undefined, null]) {
            const some = names.filter((name) => nothing === undefined
                || !['reconnectionAttempts', 'randomizationFactor', 'query', 'ackTimeout'].includes(name));
            const socket = io(stage.url, { transports: ['polling'], forceNew: true, ...Object.fromEntries(some.map((name) => [name, nothing])) });
            sockets.push(socket);
            await heard(socket, 'connect');
            const answer = new Promise((done) => socket.emit('e', (...args) => done(args)));
            await stage.hear('420["e"]');
            stage.say('430["plain"]');
            const { io: manager } = socket;
            seen.push(stage.requests[0].path, await answer, manager.reconnection(), manager.reconnectionAttempts(), manager.reconnectionDelay(),
                manager.reconnectionDelayMax(), manager.randomizationFactor(), manager.timeout());
            socket.disconnect();
            await stage.hear('1');
            stage.heard = [];
        }
        return seen;
    }, Array(2).fill(['/socket.io/', ['plain'], true, Infinity, 1000, 5000, 0.5, 20000]).flat()],

    ['the_managers_settings_can_be_changed', async ({ stage, io, sockets }) => {
        const manager = new io.Manager(stage.url, { ...quick, autoConnect: false });
        const chain = manager.reconnection(true).reconnectionAttempts(3).reconnectionDelay(7).reconnectionDelayMax(8).randomizationFactor(0).timeout(900);
        const socket = manager.socket('/');
        sockets.push(socket);
        const opened = new Promise((done) => manager.connect(done));
        const before = manager.engine.readyState;
        await opened;
        const { engine } = manager, open = engine.readyState;
        socket.connect();
        await heard(socket, 'connect');
        socket.disconnect();
        await until(() => engine.readyState === 'closed', 5000, engine.readyState);
        return [chain === manager, manager.reconnection(), manager.reconnectionAttempts(), manager.reconnectionDelay(), manager.reconnectionDelayMax(),
            manager.randomizationFactor(), manager.timeout(), before, open];
    }, [true, true, 3, 7, 8, 0, 900, 'opening', 'open']],

    ['a_name_and_password_in_the_address_are_dropped', async ({ stage, io, sockets }) => {
        const socket = io(stage.url.replace('//', '//me:secret@'), quick);
        sockets.push(socket);
        await heard(socket, 'connect');
        return [socket.connected, socket.nsp, stage.requests.some((rq) => rq.headers.authorization)];
    }, [true, '/', false]],

    ['query_of_the_url', async ({ stage, io, sockets }) => {
        const socket = io(`${stage.url}/?token=a%20b`, quick);
        sockets.push(socket);
        await heard(socket, 'connect');
        return [socket.nsp, stage.requests.every((rq) => rq.query.token === 'a b')];
    }, ['/', true]],
];

for (const [name, io] of Object.entries(clients)) {
    describe(`what a page sees, with the ${name} client`, () => {
        for (const [rule, settings, options, play, expected] of rules) {
            it(rule, () => onStage(async (stage) => {
                const lines = [];
                const log = Object.assign((...args) => lines.push(plain(args)), { lines });
                const socket = io(stage.url, { ...quick, ...options });
                try {
                    assert.deepEqual(plain(await play({ stage, socket, log })), expected);
                } finally {
                    socket.io.reconnection?.(false);
                    socket.io.opts.reconnection = false;
                    socket.disconnect();
                }
            }, settings));
        }
        for (const [rule, play, expected, settings] of entries) {
            it(rule, () => onStage(async (stage) => {
                const sockets = [];
                try {
                    assert.deepEqual(plain(await play({ stage, io, sockets })), expected);
                } finally {
                    sockets.forEach((socket) => socket.disconnect());
                }
            }, settings));
        }
    });
}

// ---- what only ours does

/** A page's socket with our client file on STAGE, closed at the end. */
const withOurs = (settings, options, play) => () => onStage(async (stage) => {
    const socket = ours(stage.url, { ...quick, ...options });
    try {
        await play(stage, socket);
    } finally {
        socket.io.opts.reconnection = false;
        socket.disconnect();
    }
}, settings);

/** Answers CONNECT as a server that counts: COUNT events taken. */
const counting = (count, pid = 'secret') => () => `40{"sid":"id","pid":"${pid}","n":${count}}`;
const isPost = (what) => (rq) => rq.method === 'POST' && rq.body.includes(what);

describe('what our client file adds', () => {
    it('is_small', () => {
        const { length } = gzipSync(readFileSync(file), { level: 9 });
        assert.ok(length <= 6758, `${length} bytes with gzip -9; 6.6 KB are 6758`);
    });

    it('is_an_es_module_too', async () => {
        const module = await import(join(htdocs, 'socket.io', 'socket.io.mjs'));
        assert.deepEqual(Object.keys(module).sort(), ['Manager', 'Socket', 'connect', 'default', 'io', 'protocol']);
        assert.equal(module.default, module.io);
        assert.equal(new module.Manager('http://127.0.0.1:1', { autoConnect: false }).socket('/') instanceof module.Socket, true);
    });

    it('says_who_it_is_in_the_handshake', withOurs({}, {}, async (stage, socket) => {
        await heard(socket, 'connect');
        assert.deepEqual(stage.requests.map((rq) => rq.query.pollux), ['1', ...stage.requests.slice(1).map(() => undefined)]);
        assert.equal(stage.heard[0], '40{"n":true}');
    }));

    it('what_is_emitted_in_one_go_leaves_in_one_post', withOurs({}, {}, async (stage, socket) => {
        await heard(socket, 'connect');
        for (let i = 0; i < 50; i++) socket.emit('e', i);
        await stage.hear('42["e",49]');
        assert.equal(stage.requests.filter((rq) => rq.method === 'POST').length, 2);
    }));

    it('a_blob_is_an_attachment_and_keeps_its_place', withOurs({}, {}, async (stage, socket) => {
        socket.emit('a', new Blob(['hi']));
        socket.emit('b');
        await stage.hear('42["b"]');
        assert.deepEqual(stage.said(), ['40', '451-["a",{"_placeholder":true,"num":0}]', 'baGk=', '42["b"]']);
    }));

    for (const how of ['drop', 500, 502, 503, 504, 429]) {
        it(`a_post_that_meets ${how} is repeated with the same t`, withOurs({}, {}, async (stage, socket) => {
            await heard(socket, 'connect');
            let failures = 2;
            stage.answer = (rq) => {
                if (!isPost('"e"')(rq) || !failures--) return undefined;
                if (how === 'drop') rq.drop();
                else rq.reply('not now', how);
                return true;
            };
            socket.emit('e', 1);
            await stage.hear('42["e",1]');
            const tries = stage.requests.filter(isPost('"e"'));
            assert.deepEqual([tries.length, new Set(tries.map((rq) => rq.query.t)).size, socket.connected], [3, 1, true]);
        }));

        it(`a_poll_that_meets ${how} is repeated with the same t`, withOurs({}, {}, async (stage, socket) => {
            await heard(socket, 'connect');
            await until(() => stage.held);
            const first = stage.held;
            stage.held = null;
            if (how === 'drop') first.drop();
            else first.reply('not now', how);
            await until(() => stage.held);
            assert.equal(stage.held.query.t, first.query.t);
            stage.say('42["e",1]');
            await heard(socket, 'e');
            assert.equal(stage.sessions.length, 1);
        }));
    }

    it('what_fails_for_good_is_a_transport_error', withOurs({}, {}, async (stage, socket) => {
        await heard(socket, 'connect');
        stage.answer = (rq) => (isPost('"e"')(rq) && stage.sessions.length === 1 ? rq.drop() ?? true : undefined);
        socket.emit('e', 1);
        const [reason, err] = await heard(socket, 'disconnect');
        assert.deepEqual([reason, err.message, err.description], ['transport error', 'xhr post error', 0]);
        assert.equal(stage.requests.filter(isPost('"e"')).length, 6);
    }));

    it('the_marker_is_the_offset_and_nobody_hears_it', withOurs({ connect: counting(0) }, {}, async (stage, socket) => {
        await heard(socket, 'connect');
        const got = [];
        socket.onAny((...args) => got.push(args));
        socket.on('pollux', (...args) => got.push(args));
        stage.say('42["e","no offset"]', '42["pollux","17"]', '42["pollux","x","y"]', '42["f"]');
        await heard(socket, 'f');
        stage.say('1');
        await heard(socket, 'connect');
        assert.deepEqual(got, [['e', 'no offset'], ['pollux', 'x', 'y'], ['x', 'y'], ['f']]);
        assert.deepEqual(JSON.parse(stage.heard.at(-1).slice(2)), { pid: 'secret', offset: '17', n: true });
    }));

    it('events_that_were_not_taken_are_sent_again_and_no_other', withOurs({ connect: counting(0) }, {}, async (stage, socket) => {
        await heard(socket, 'connect');
        const acks = [];
        const emit = (x) => socket.emit('e', x, (answer) => acks.push([x, answer]));
        emit(1);
        await stage.hear('420["e",1]');
        // The session is gone for the next POST, of whose three events the server has taken two.
        stage.answer = (rq) => {
            if (!isPost('["e",2]')(rq)) return undefined;
            stage.cut();
            rq.reply('{"code":1,"message":"Session ID unknown"}', 400);
            emit(5);
            stage.answer = () => undefined;
            return true;
        };
        stage.connect = counting(3);
        emit(2);
        emit(3);
        emit(4);
        await heard(socket, 'disconnect');
        emit(6);
        await heard(socket, 'connect');
        await stage.hear('425["e",6]');
        assert.equal(socket.recovered, true);
        assert.deepEqual(stage.said().filter((p) => p.startsWith('42')), ['420["e",1]', '423["e",4]', '424["e",5]', '425["e",6]']);
        stage.say(...[5, 4, 3, 2, 1, 0].map((id) => `43${id}["ok"]`));
        await until(() => acks.length === 6);
        assert.deepEqual(acks.map(([x]) => x), [6, 5, 4, 3, 2, 1]);
    }));

    it('in_a_new_socket_only_what_was_never_sent_is_sent', withOurs({ connect: counting(0) }, {}, async (stage, socket) => {
        await heard(socket, 'connect');
        const fates = [];
        const emit = (x) => socket.timeout(60000).emit('e', x, (err) => fates.push([x, err && err.message]));
        stage.answer = (rq) => {
            if (!isPost('["e",1]')(rq)) return undefined;
            emit(2); // while the POST is on its way: it waits
            setTimeout(() => {
                stage.cut();
                rq.drop();
                stage.answer = () => undefined;
            }, 20);
            return true;
        };
        stage.connect = counting(0, 'another');
        emit(1);
        await heard(socket, 'disconnect');
        emit(3);
        assert.deepEqual(fates, []);
        await stage.hear('422["e",3]');
        assert.equal(socket.recovered, false);
        assert.deepEqual(stage.said().filter((p) => p.startsWith('42')), ['421["e",2]', '422["e",3]']);
        assert.deepEqual(fates, [[1, 'socket has been disconnected']]);
    }));

    it('a_server_that_does_not_count_is_sent_nothing_twice', withOurs({ connect: () => '40{"sid":"id","pid":"secret"}' }, {}, async (stage, socket) => {
        await heard(socket, 'connect');
        const fates = [];
        stage.answer = (rq) => {
            if (!isPost('["e",1]')(rq)) return undefined;
            stage.cut();
            rq.reply('{"code":1,"message":"Session ID unknown"}', 400);
            return true;
        };
        socket.timeout(60000).emit('e', 1, (err) => fates.push(err.message));
        await heard(socket, 'disconnect');
        stage.answer = () => undefined;
        await until(() => fates.length);
        socket.emit('e', 2);
        await stage.hear('42["e",2]');
        assert.deepEqual(stage.said().filter((p) => p.startsWith('42')), ['42["e",2]']);
        assert.deepEqual(fates, ['socket has been disconnected']);
    }));

    it('what_the_server_refuses_is_not_sent_for_ever', withOurs({ connect: counting(0) }, {}, async (stage, socket) => {
        await heard(socket, 'connect');
        stage.answer = (rq) => (isPost('too big')(rq) ? rq.reply('', 413) ?? true : undefined);
        const fate = socket.emitWithAck('e', 'too big').catch((err) => err.message);
        await heard(socket, 'connect');
        socket.emit('e', 'small');
        await stage.hear('42["e","small"]');
        assert.equal(stage.requests.filter(isPost('too big')).length, 1);
        assert.equal(await fate, '"e" was not sent: status 413');
    }));

    it('farewells_are_said, whenever', () => withPollux({}, async (server) => {
        const moments = {
            'at once': async () => {},
            'when an acknowledgement came': async (a) => { await a.socket.emitWithAck('asked'); },
            'a microtask later': async (a) => { await a.socket.emitWithAck('asked'); await null; },
            'a task later': async (a) => { await a.socket.emitWithAck('asked'); await new Promise(setImmediate); },
            'when something was heard': async (a, b) => {
                const came = new Promise((done) => a.socket.once('hello', done));
                b.socket.emit('hello');
                await came;
            },
            'with a POST under way': async (a) => { a.socket.emit('under way'); await null; await null; await null; },
            'with a large POST under way': async (a) => { a.socket.emit('under way', 'x'.repeat(300000)); await new Promise(setImmediate); },
        };
        const ends = {
            'disconnect()': async (a) => { a.socket.disconnect(); },
            'io.disconnect through close()': async (a) => { a.socket.close(); },
            'disconnect().connect()': async (a) => {
                const { id } = a.socket;
                a.socket.disconnect().connect();
                await heard(a.socket, 'connect');
                assert.notEqual(a.socket.id, id, 'a new socket');
                assert.equal(a.socket.recovered, false);
            },
        };
        for (const [when, moment] of Object.entries(moments)) {
            for (const [how, end] of Object.entries(ends)) {
                const channel = channelName();
                const a = await peer(shim, server.url), b = await peer(shim, server.url);
                try {
                    b.socket.emit('create or join', channel);
                    await b.tape.next('created');
                    a.socket.emit('create or join', channel);
                    await a.tape.next('ready');
                    await b.tape.next('ready');
                    await moment(a, b);
                    a.socket.emit('last');
                    await end(a);
                    await b.tape.next('leave').catch((error) => assert.fail(`${when}, ${how}: ${error.message}`));
                    const names = b.tape.names();
                    assert.equal(names.filter((name) => name === 'last').length, 1, `${when}, ${how}: ${names}`);
                    assert.ok(names.indexOf('last') < names.indexOf('leave'), `${when}, ${how}: ${names}`);
                } finally {
                    a.socket.close();
                    b.socket.close();
                }
            }
        }
    }));

    it('what_is_said_behind_engine_close_is_heard', () => withPollux({}, async (server) => {
        const channel = channelName();
        const a = await peer(shim, server.url), b = await peer(shim, server.url);
        try {
            b.socket.emit('create or join', channel);
            a.socket.emit('create or join', channel);
            await b.tape.next('ready');
            for (let round = 0; round < 5; round++) {
                a.socket.emit('n', `before ${round}`);
                a.socket.io.engine.close();
                a.socket.emit('n', `after ${round}`);
                await heard(a.socket, 'connect');
                assert.equal(a.socket.recovered, true);
            }
            a.socket.emit('end');
            await b.tape.next('end');
            const said = b.tape.list.filter(([name]) => name === 'n').map(([, text]) => text);
            assert.deepEqual(said, Array.from({ length: 10 }, (_, i) => `${i % 2 ? 'after' : 'before'} ${i >> 1}`));
        } finally {
            a.socket.close();
            b.socket.close();
        }
    }));

    it('nothing_larger_than_the_limit_is_ever_sent', withOurs({ hello: { maxPayload: 100 }, connect: counting(0) }, {}, async (stage, socket) => {
        await heard(socket, 'connect');
        const errors = [];
        socket.on('error', (error) => errors.push(error));
        socket.emit('before');
        socket.emit('long', 'x'.repeat(200));
        const fate = socket.emitWithAck('asked', 'x'.repeat(200)).catch((err) => err.message);
        socket.emit('file', new Uint8Array(200));
        socket.emit('after');
        await stage.hear('42["after"]');
        assert.deepEqual(errors.map(({ code, event }) => [code, event]), [['too_large', 'long'], ['too_large', 'file']]);
        assert.match(errors[0].message, /"long" was not sent: more than 100 bytes/);
        assert.match(await fate, /"asked" was not sent/);
        assert.deepEqual(stage.said(), ['40', '42["before"]', '42["after"]']);
        assert.equal(socket.connected, true);
    }));

    // As mod_fcgid does with a body that is too long for it.
    it('what_the_web_server_fails_over_is_given_up_and_the_rest_arrives',
        withOurs({ connect: counting(0) }, { reconnectionDelay: 1 }, async (stage, socket) => {
        await heard(socket, 'connect');
        stage.answer = (rq) => (rq.method === 'POST' && rq.body.length > 1000 ? rq.reply('', 500) ?? true : undefined);
        const errors = [];
        socket.on('error', (error) => errors.push(error));
        for (let i = 0; i < 5; i++) socket.emit('small', i);
        socket.emit('long', 'x'.repeat(2000));
        socket.emit('last');
        await until(() => stage.said().includes('42["last"]'), 60000, 'what is behind it');
        assert.deepEqual(errors.map(({ code, event }) => [code, event]), [['refused', 'long']]);
        assert.match(errors[0].message, /"long" was not sent: status 500/);
        assert.deepEqual(stage.said().filter((packet) => packet.startsWith('42["small"')), Array.from({ length: 5 }, (_, i) => `42["small",${i}]`));
    }));

    it('what_is_given_up_is_one_message_not_its_neighbours', withOurs({ connect: counting(0) }, {}, async (stage, socket) => {
        await heard(socket, 'connect');
        const told = [];
        socket.on('error', ({ code, event }) => told.push([code, event]));
        // A web server that takes less than the handshake says.
        stage.answer = (rq) => (rq.method === 'POST' && rq.body.length > 1000 ? rq.reply('too long', 413) ?? true : undefined);
        socket.emit('first', 'x'.repeat(400));
        socket.emit('long', 'x'.repeat(2000));
        const fate = socket.emitWithAck('asked', 'x'.repeat(3000)).catch((err) => err.message);
        socket.emit('last', 'x'.repeat(400));
        await until(() => stage.said().some((packet) => packet.startsWith('42["last"')), 60000, 'what is behind it');
        assert.deepEqual(told, [['refused', 'long']]);
        assert.equal(await fate, '"asked" was not sent: status 413');
        assert.equal(stage.said().filter((packet) => packet.startsWith('42["first"')).length, 1);
    }));

    it('what_was_taken_though_it_was_answered_500_costs_nothing_else', () => {
        let count = 0;
        const connect = () => `40{"sid":"id","pid":"secret","n":${count}}`;
        return withOurs({ connect }, { reconnectionDelay: 1 }, async (stage, socket) => {
            await heard(socket, 'connect');
            let tries = 0;
            stage.answer = (rq) => {
                if (!isPost('"odd"')(rq)) {
                    if (rq.method === 'POST') count += rq.body.split('42[').length - 1;
                    return undefined;
                }
                const { t } = rq.query;
                if (t !== stage.t) tries++;
                stage.t = t;
                if (tries > 3) count = 1; // taken at last, and answered as before
                return rq.reply('', 500) ?? true;
            };
            socket.emit('odd');
            socket.emit('next', 1);
            socket.emit('next', 2);
            await until(() => stage.said().includes('42["next",2]'), 60000, 'what is behind it');
            assert.deepEqual(stage.said().filter((packet) => packet.startsWith('42')), ['42["next",1]', '42["next",2]']);
        })();
    });

    it('what_json_cannot_say_throws_before_the_connection_too', withOurs({}, {}, async (stage, socket) => {
        const reasons = [];
        socket.on('disconnect', (reason) => reasons.push(reason));
        for (const emit of [() => socket.emit('e', 1n), () => socket.emit('e', 1n, () => {}), () => socket.emit({ toString: null })]) assert.throws(emit,
            TypeError);
        socket.emit('f');
        await stage.hear('42["f"]');
        assert.deepEqual([reasons, stage.said()], [[], ['40', '42["f"]']]);
    }));

    it('an_answer_that_is_too_large_is_not_sent', withOurs({ hello: { maxPayload: 100 }, connect: counting(0) }, {}, async (stage, socket) => {
        await heard(socket, 'connect');
        const told = [];
        socket.on('error', ({ code, event }) => told.push([code, event]));
        socket.on('q', (n, answer) => answer('x'.repeat(n)));
        stage.say('425["q",200]', '426["q",3]');
        await stage.hear('436["xxx"]');
        assert.deepEqual(told, [['too_large', 'q']]);
        assert.deepEqual(stage.said(), ['40', '436["xxx"]']);
    }));

    for (const status of [502, 503, 504]) {
        it(`an_outage_of_the_gateway_with_${status}_loses_nothing`, withOurs({ connect: counting(0) }, {}, async (stage, socket) => {
            await heard(socket, 'connect');
            const told = [];
            socket.on('error', (error) => told.push(error));
            stage.answer = (rq) => rq.reply('', status) ?? true;
            for (let i = 0; i < 3; i++) socket.emit('e', i);
            stage.cut(status);
            let tries = 0;
            await new Promise((done) => socket.io.on('reconnect_error', () => ++tries > 7 && done()));
            stage.answer = () => undefined;
            await stage.hear('42["e",2]');
            assert.deepEqual(stage.said().filter((packet) => packet.startsWith('42')), ['42["e",0]', '42["e",1]', '42["e",2]']);
            assert.deepEqual(told, []);
        }));
    }

    it('with_retries_nothing_is_doubled_by_the_recovery', withOurs({ connect: counting(0) }, { ackTimeout: 20000, retries: 3 }, async (stage, socket) => {
        await heard(socket, 'connect');
        stage.answer = (rq) => (isPost('"a"')(rq) && stage.sessions.length === 1 ? rq.drop() ?? true : undefined);
        const a = socket.emitWithAck('a'), b = socket.emitWithAck('b');
        await until(() => stage.requests.some(isPost('"a"')));
        stage.cut();
        await stage.hear('420["a"]');
        assert.equal(socket.recovered, true);
        stage.say('430[1]');
        await stage.hear('421["b"]');
        stage.say('431[2]');
        assert.deepEqual([await a, await b], [1, 2]);
        assert.deepEqual(stage.said().filter((packet) => packet.startsWith('42')), ['420["a"]', '421["b"]']);
    }));

    for (const status of [429, 503]) {
        it(`what_is_answered_${status}_for_too_long_is_sent_after_the_recovery`, withOurs({ connect: counting(0) }, {}, async (stage, socket) => {
            await heard(socket, 'connect');
            stage.answer = (rq) => (isPost('"e"')(rq) && stage.sessions.length === 1 ? rq.reply('', status) ?? true : undefined);
            const fate = new Promise((done) => socket.emit('e', 1, done));
            await heard(socket, 'connect');
            assert.equal(socket.recovered, true);
            await stage.hear('420["e",1]');
            stage.say('430["ok"]');
            assert.equal(await fate, 'ok');
        }));
    }

    it('a_disconnect_by_hand_forgets', withOurs({ connect: counting(0) }, {}, async (stage, socket) => {
        await heard(socket, 'connect');
        stage.answer = (rq) => (isPost('"e"')(rq) ? true : undefined);
        const fate = socket.emitWithAck('e').catch((err) => err.message);
        await until(() => stage.requests.some(isPost('"e"')));
        stage.say('1');
        await heard(socket, 'disconnect');
        socket.disconnect();
        assert.equal(await fate, 'socket has been disconnected');
        stage.answer = () => undefined;
        socket.connect();
        await heard(socket, 'connect');
        socket.emit('later');
        await stage.hear('42["later"]');
        assert.equal(stage.said().includes('42["e"]'), false);
    }));

    it('a_handler_that_throws_breaks_nothing', withOurs({}, {}, async (stage, socket) => {
        const thrown = [];
        const listeners = process.listeners('uncaughtException');
        process.removeAllListeners('uncaughtException');
        process.on('uncaughtException', (err) => thrown.push(err.message));
        try {
            await heard(socket, 'connect');
            for (const name of ['e', 'disconnect']) socket.on(name, () => { throw new Error(name); });
            stage.say('42["e"]', '42["f"]');
            await heard(socket, 'f');
            stage.say('1');
            await heard(socket, 'connect');
            assert.deepEqual(thrown, ['e', 'disconnect']);
        } finally {
            socket.off();
            process.removeAllListeners('uncaughtException');
            listeners.forEach((fn) => process.on('uncaughtException', fn));
        }
    }));

    const waits = { hello: { wait: true } };

    it('what_is_emitted_at_once_leaves_with_the_next_poll', withOurs(waits, {}, async (stage, socket) => {
        await heard(socket, 'connect');
        await until(() => stage.held);
        socket.on('ball', (n) => socket.emit('back', n));
        const before = stage.requests.length;
        for (let n = 0; n < 20; n++) {
            stage.say(`42["ball",${n}]`);
            await stage.hear(`42["back",${n}]`);
            await until(() => stage.held);
        }
        const rest = stage.requests.slice(before);
        assert.deepEqual(rest.map((rq) => [rq.method, rq.query.wait]), rest.map(() => ['POST', 'true']));
        assert.equal(rest.length, 20, 'one request each way');
    }));

    it('each_post_names_the_one_before', withOurs(waits, {}, async (stage, socket) => {
        await heard(socket, 'connect');
        socket.on('ball', (n) => socket.emit('back', n));
        for (let n = 0; n < 3; n++) {
            socket.emit('serve', n);
            await stage.hear(`42["serve",${n}]`);
            stage.say(`42["ball",${n}]`);
            await stage.hear(`42["back",${n}]`);
        }
        const posts = stage.requests.filter((rq) => rq.method === 'POST');
        assert.deepEqual(posts.map((rq) => rq.query.after), ['', ...posts.slice(0, -1).map((rq) => rq.query.t)]);
    }));

    it('what_is_emitted_while_a_post_waits_does_not_wait', withOurs(waits, {}, async (stage, socket) => {
        await heard(socket, 'connect');
        socket.on('ball', () => socket.emit('back'));
        stage.say('42["ball"]');
        await until(() => stage.held?.method === 'POST');
        socket.emit('more');
        await stage.hear('42["more"]');
        assert.equal(stage.held.method, 'POST', 'it waits still');
        socket.disconnect();
        await stage.hear('1');
        assert.deepEqual(stage.said(), ['40', '42["back"]', '42["more"]', '41', '1']);
    }));

    for (const wait of [false, true]) it(`each_event_arrives_once_and_in_order_over_a_bad_line, wait: ${wait}`, () => onStage(async (stage) => {
        // The stage becomes a server that keeps the promise: it counts, knows a repeated t, keeps what was not heard. The line loses
        // requests before and after they are taken, and sessions.
        const COUNT = 300;
        let seed = 7;
        const chance = (p) => (seed = (seed * 1103515245 + 12345) % 2147483648) / 2147483648 < p;
        const taken = [];
        const answered = new Set();
        const out = Array.from({ length: COUNT }, (_, i) => i); // what the server has to say
        let polls = new Map();
        let waited = 0;
        if (wait) stage.hello.wait = true;
        stage.connect = (text) => {
            const { offset = '-1' } = JSON.parse(text.slice(2));
            stage.next = Number(offset) + 1;
            return `40{"sid":"id","pid":"secret","n":${taken.length}}`;
        };
        stage.answer = async (rq) => {
            if (!rq.query.sid) {
                polls = new Map();
                stage.next = COUNT; // nothing to say before CONNECT
                return undefined;
            }
            await sleep(1);
            if (chance(0.1)) return rq.drop() ?? true; // on its way to the server
            if (chance(0.02)) stage.cut();
            if (rq.query.sid !== stage.sessions.at(-1)) return undefined;
            if (rq.method === 'POST') {
                if (wait && rq.query.after && !answered.has(rq.query.after)) return rq.reply('', 503) ?? true;
                if (!answered.has(rq.query.t)) {
                    stage.take(rq);
                    taken.push(...rq.body.split('\x1e').filter((p) => p.startsWith('42')).map((p) => JSON.parse(p.slice(2))[1]));
                }
                answered.add(rq.query.t);
                if (!wait || rq.query.wait !== 'true') {
                    if (chance(0.1)) return rq.drop() ?? true; // on its way back
                    return rq.reply('ok') ?? true;
                }
                waited++;
            }
            if (!polls.has(rq.query.t)) {
                const events = out.slice(stage.next, stage.next + 5);
                if (stage.waiting.length || !events.length) {
                    stage.held = rq;
                    stage.flush();
                    return true;
                }
                stage.next += events.length;
                polls.set(rq.query.t, [...events.map((i) => `42["e",${i}]`), `42["pollux","${stage.next - 1}"]`].join('\x1e'));
            }
            if (chance(0.1)) return rq.drop() ?? true;
            return rq.reply(polls.get(rq.query.t)) ?? true;
        };
        const socket = ours(stage.url, quick);
        const got = [];
        let said = 0;
        const say = () => { if (said < COUNT) socket.emit('e', said++); };
        socket.on('e', (i) => {
            got.push(i);
            if (i % 3 === 0) say(); // at once, as an answer
        });
        try {
            while (said < COUNT) {
                say();
                if (said % 3 === 0) await sleep(2);
            }
            await until(() => taken.length >= COUNT && got.length >= COUNT, 60000);
            assert.deepEqual(taken, out);
            assert.deepEqual(got, out);
            assert.ok(stage.sessions.length > 2, 'no session was lost');
            assert.equal(waited > 0, wait);
        } finally {
            socket.io.opts.reconnection = false;
            stage.answer = () => undefined;
            socket.disconnect();
        }
    }));
});

describe('our client file and the server', () => {
    it('what_mod_fcgid_fails_over_is_given_up_and_the_rest_arrives', async (t) => {
        const { url, logs } = await startFcgid(t, { env: { POLLUX_MAX_PAYLOAD_BYTES: 1000000 } });
        const channel = channelName();
        const [a, b] = [await peer(shim, url), await peer(shim, url)];
        try {
            b.socket.emit('create or join', channel);
            await b.tape.next('created');
            a.socket.emit('create or join', channel);
            await a.tape.next('ready');
            const told = [];
            a.socket.on('error', ({ code, event }) => told.push([code, event]));
            a.socket.emit('n', 1);
            a.socket.emit('large', 'x'.repeat(200000)); // FcgidMaxRequestLen is 131072
            a.socket.emit('n', 2);
            await until(() => b.tape.list.some(([name, n]) => name === 'n' && n === 2), 6 * LIMIT_MS, 'what is behind it');
            assert.deepEqual(told, [['refused', 'large']]);
            assert.deepEqual(b.tape.list.filter(([name]) => name === 'n' || name === 'large').map(([name, n]) => [name, n]), [['n', 1], ['n', 2]]);
            assert.match(logs(), /exceeds MaxRequestLen/);
        } finally {
            a.socket.close();
            b.socket.close();
        }
    });

    it('each_message_arrives_once_and_in_order_while_the_server_is_killed', () => withPollux({ procs: 2, allow: /./ }, async (server) => {
        const COUNT = 200;
        const channel = channelName();
        const [a, b] = [await peer(shim, server.url), await peer(shim, server.url)];
        const sides = [a, b];
        try {
            for (const [side, joined] of [[a, 'created'], [b, 'joined']]) {
                side.socket.emit('create or join', channel);
                await side.tape.next(joined);
            }
            const got = sides.map(({ socket }) => {
                const list = [];
                socket.on('message', (i) => list.push(i));
                return list;
            });
            const lost = sides.map(({ socket }) => {
                const list = [];
                socket.on('connect', () => list.push(socket.recovered));
                return list;
            });
            const acks = [];
            const killing = (async () => {
                for (const pause of [100, 4000, 100]) { // the retries cover a short one, recovery a long one
                    await sleep(300);
                    await server.crash();
                    await sleep(pause);
                    await server.start();
                }
            })();
            for (let i = 0; i < COUNT; i++) {
                a.socket.emit('message', { channel, message: i }, ({ recipients }) => acks.push([i, recipients]));
                b.socket.emit('message', { channel, message: i });
                await sleep(5);
            }
            await killing;
            await until(() => got.every((list) => list.length >= COUNT) && acks.length >= COUNT, 30000, 'all messages and acknowledgements');
            const all = Array.from({ length: COUNT }, (_, i) => i);
            assert.deepEqual(got, [all, all]);
            assert.deepEqual(acks, all.map((i) => [i, 1]));
            assert.ok(lost.flat().every(Boolean), `who lost its session recovered: ${lost}`); // retries may have outlasted the outage
        } finally {
            sides.forEach(({ socket }) => socket.disconnect());
        }
    }));
});
