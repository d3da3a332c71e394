// What the protocol documents of Engine.IO (v4) and Socket.IO (v5) demand of a server with long polling, one test a rule: each case that
// the official conformance suites have for that transport, and those of their WebSocket cases that say something about packets.
//
// The suites expect an echo server. Here what one client says comes out at the other member of its channel, and acknowledgements are ours.
// Nothing is recovered here, so that an answer to CONNECT is as the document has it: the id alone.

import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, describe, it } from 'node:test';
import { LIMIT_MS, channelName, engine, packets, request, startPollux, until } from './harness.mjs';

const SEP = '\x1e';
const UNKNOWN = '400 {"code":1,"message":"Session ID unknown"}';
const said = (answer) => `${answer.status} ${answer.text}`;
const code = (answer) => `${answer.status} ${JSON.parse(answer.text).code}`;

/** A server for the tests of a describe block: what one process is told, the other one has to know. */
function served(env) {
    const of = { server: null, clients: [] };
    before(async () => {
        of.server = await startPollux({ procs: 2, env: { POLLUX_RECOVERY_WINDOW_MS: 0, POLLUX_NAMESPACES: '/ /custom', POLLUX_LOG_EVENTS: 'no', ...env } });
    });
    after(async () => {
        of.clients.forEach((client) => client.end());
        await of.server?.stop();
    });
    of.client = () => {
        const client = engine(of.server.url);
        of.clients.push(client);
        return client;
    };
    of.opened = async () => {
        const client = of.client();
        assert.equal((await client.open()).status, 200);
        return client;
    };
    of.connected = async (nsp) => {
        const client = await of.opened();
        client.id = (await client.connect(nsp)).sid;
        return client;
    };
    /** Two in one channel who have heard all about that. */
    of.two = async () => {
        const channel = channelName(), a = await of.connected(), b = await of.connected();
        await a.send(`42["create or join","${channel}"]`);
        await a.take(1);
        await b.send(`42["create or join","${channel}"]`);
        await a.take(4);
        await b.take(2);
        return [a, b];
    };
    /** Poll, and come back when the server holds it: {answer: a promise of what it gets}. */
    of.held = async (client, t) => {
        const answer = client.get(t);
        const holders = `SELECT holder FROM polling JOIN session ON session.id = polling.session WHERE sid = '${client.sid}' AND holder != 0`;
        await until(() => of.server.sql(holders).length === 1, LIMIT_MS, 'the poll to be held');
        return { answer };
    };
    of.gone = (sid) => until(() => of.server.sql(`SELECT id FROM session WHERE sid = '${sid}'`).length === 0, LIMIT_MS, 'the end of the session');
    return of;
}

/** Unknown from now on, whatever asks. */
async function unknown(client) {
    assert.equal(said(await client.get()), UNKNOWN);
    assert.equal(said(await client.post('3')), UNKNOWN);
}

describe('engine.io: handshake', () => {
    const of = served({});
    const asked = (query, method = 'GET') => request(`${of.server.url}/socket.io/?${query}`, { method });

    it('a_session_is_opened', async () => {
        const answer = await asked('EIO=4&transport=polling');
        assert.equal(answer.status, 200);
        assert.equal(answer.text[0], '0');
        const hello = JSON.parse(answer.text.slice(1));
        assert.deepEqual(Object.keys(hello).sort(), ['maxPayload', 'pingInterval', 'pingTimeout', 'sid', 'upgrades']);
        assert.equal(typeof hello.sid, 'string');
        assert.deepEqual([hello.upgrades, hello.pingInterval, hello.pingTimeout, hello.maxPayload], [[], 25000, 20000, 1000000]);
    });

    it('without_a_known_EIO_it_is_refused', async () => {
        for (const query of ['transport=polling', 'EIO=abc&transport=polling', 'EIO=&transport=polling', 'EIO=5&transport=polling']) {
            assert.equal(code(await asked(query)), '400 5', query);
        }
    });

    it('without_a_known_transport_it_is_refused', async () => {
        for (const query of ['EIO=4', 'EIO=4&transport=abc', 'EIO=4&transport=', 'EIO=4&transport=websocket']) {
            assert.equal(code(await asked(query)), '400 0', query);
        }
    });

    it('with_another_method_it_is_refused', async () => {
        for (const method of ['POST', 'PUT']) assert.equal(code(await asked('EIO=4&transport=polling', method)), '400 2', method);
    });

    it('a_websocket_is_refused_before_it_is_one', async () => {
        for (const query of ['EIO=4&transport=websocket', `EIO=4&transport=websocket&sid=${(await of.opened()).sid}`]) {
            const answer = await new Promise((done, fail) => {
                http.get(`${of.server.url}/socket.io/?${query}`, {
                    headers: { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA==' },
                }, (rs) => done(rs.resume().statusCode)).on('upgrade', () => done('upgraded')).on('error', fail);
            });
            assert.equal(answer, 400, query);
        }
    });

    it('a_session_that_nobody_opened_is_unknown', async () => {
        assert.equal(said(await asked('EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAA')), UNKNOWN);
    });
});

describe('engine.io: message', () => {
    const of = served({});

    it('one_text_packet_goes_through', async () => {
        const [a, b] = await of.two();
        const answer = await a.post('42["message","hello"]');
        assert.equal(said(answer), '200 ok');
        assert.equal(said(await b.get()), '200 42["message","hello"]');
    });

    it('several_text_packets_of_one_payload_go_through_in_order', async () => {
        const [a, b] = await of.two();
        const payload = ['42["message","test1"]', '42["message","test2"]', '42["message","test3"]'].join(SEP);
        assert.equal(said(await a.post(payload)), '200 ok');
        assert.equal(said(await b.get()), `200 ${payload}`);
    });

    it('text_and_binary_packets_of_one_payload_go_through_in_order', async () => {
        const [a, b] = await of.two();
        const payload = ['42["message","hello"]', '451-["message",{"_placeholder":true,"num":0}]', 'bAQIDBA=='].join(SEP);
        assert.equal(said(await a.post(payload)), '200 ok');
        assert.equal(said(await b.get()), `200 ${payload}`);
    });

    for (const [what, body] of [['an unknown type', 'abc'], ['nothing', ''], ['a number out of range', '9'],
        ['nothing between two packets', `3${SEP}${SEP}3`]]) {
        it(`a_packet_of_no_known_form_closes_the_session: ${what}`, async () => {
            const client = await of.opened();
            assert.equal((await client.post(body)).status, 400);
            await unknown(client);
        });

        it(`a_packet_of_no_known_form_answers_the_held_poll_with_a_close: ${what}`, async () => {
            const client = await of.opened();
            const poll = await of.held(client);
            assert.equal((await client.post(body)).status, 400);
            assert.equal(said(await poll.answer), '200 1');
            await unknown(client);
        });
    }

    it('a_second_poll_at_a_time_closes_the_session', async () => {
        const client = await of.opened();
        const first = await of.held(client, 'first');
        const second = await client.get('burst');
        assert.equal(second.status, 400);
        assert.equal(said(await first.answer), '200 1');
        await unknown(client);
    });
});

describe('engine.io: heartbeat', () => {
    const of = served({ POLLUX_PING_INTERVAL_MS: 100, POLLUX_PING_TIMEOUT_MS: 60000 });

    it('pings_come_and_pongs_are_taken', async () => {
        const client = await of.opened();
        for (let i = 0; i < 3; i++) {
            assert.equal(said(await client.get()), '200 2');
            assert.equal(said(await client.post('3')), '200 ok');
        }
    });

    it('a_ping_from_the_client_closes_the_session', async () => {
        const client = await of.opened();
        assert.equal((await client.post('2')).status, 400);
        await unknown(client);
    });
});

// Time enough between a ping and its end for whoever polls again; the tests wait side by side.
describe('engine.io: heartbeat that stays away', { concurrency: true }, () => {
    const of = served({ POLLUX_PING_INTERVAL_MS: 300, POLLUX_PING_TIMEOUT_MS: 3000, POLLUX_RECOVERY_WINDOW_MS: 60000 });

    it('after_a_ping_timeout_the_session_is_unknown_at_once', async () => {
        const client = await of.opened();
        await of.gone(client.sid);
        await unknown(client);
    });

    it('after_a_ping_timeout_the_held_poll_is_answered_with_a_close_and_the_next_is_unknown', async () => {
        const client = await of.opened();
        assert.equal(said(await client.get()), '200 2');
        assert.equal(said(await client.get()), '200 1');
        await unknown(client);
    });

    it('after_a_ping_timeout_the_socket_can_be_recovered', async () => {
        const client = await of.opened();
        const { sid, pid } = await client.connect();
        await of.gone(client.sid);
        assert.equal(said(await client.post('1')), UNKNOWN); // as the official client says goodbye to a session it gave up
        const again = await of.opened();
        const back = await again.connect('/', { pid });
        assert.deepEqual([back.sid, back.pid], [sid, pid]);
    });
});

describe('engine.io: close', () => {
    const of = served({});

    it('a_close_from_the_client_answers_the_held_poll_with_a_noop_and_the_session_is_unknown', async () => {
        const client = await of.opened();
        const poll = await of.held(client);
        assert.equal(said(await client.post('1')), '200 ok');
        assert.equal(said(await poll.answer), '200 6');
        await unknown(client);
    });

    it('a_close_from_the_client_without_a_poll_makes_the_session_unknown', async () => {
        const client = await of.opened();
        assert.equal(said(await client.post('1')), '200 ok');
        await unknown(client);
    });
});

describe('socket.io: connect', () => {
    const of = served({});
    const token = '{"token":"123"}';

    for (const [rule, packet, head] of [
        ['the main namespace', '40', '40'],
        ['the main namespace, with a payload', `40${token}`, '40'],
        ['a custom namespace', '40/custom,', '40/custom,'],
        ['a custom namespace, with a payload', `40/custom,${token}`, '40/custom,'],
        ['a custom namespace, with a query', '40/custom?token=123,', '40/custom,'],
    ]) {
        it(`a_client_connects_to: ${rule}`, async () => {
            const client = await of.opened();
            await client.send(packet);
            const reply = await client.next();
            assert.ok(reply.startsWith(`${head}{`), reply);
            const { sid, ...rest } = JSON.parse(reply.slice(head.length));
            assert.match(sid, /^[\w-]{20}$/);
            assert.notEqual(sid, client.sid);
            assert.deepEqual(rest, {});
        });
    }

    it('an_unknown_namespace_is_refused_and_the_session_stays', async () => {
        const client = await of.opened();
        await client.send('40/random,');
        assert.equal(await client.next(), '44/random,{"message":"Invalid namespace"}');
        await client.connect('/custom');
    });

    it('an_unknown_namespace_without_its_comma_is_refused', async () => {
        const client = await of.opened();
        await client.send('40/random');
        assert.equal(await client.next(), '44/random,{"message":"Invalid namespace"}');
    });

    for (const packet of ['4abc', '42["message"]', '41', '43["x"]', '44{"message":"x"}', '40"text"', '40[1]', '40{']) {
        it(`what_is_no_handshake_closes_the_session: ${packet}`, async () => {
            const client = await of.opened();
            const poll = await of.held(client);
            await client.post(packet);
            assert.equal(said(await poll.answer), '200 1');
            await unknown(client);
        });
    }
});

describe('socket.io: disconnect', () => {
    const of = served({});

    it('who_leaves_the_main_namespace_is_gone_from_it', async () => {
        const [a, b] = await of.two();
        await a.send('41');
        const [name] = JSON.parse((await b.next()).slice(2));
        assert.equal(name, 'leave');
        const poll = await of.held(a);
        assert.equal((await a.post('42["message","from nobody"]')).status, 400);
        assert.equal(said(await poll.answer), '200 1');
        await unknown(a);
    });

    it('who_leaves_a_custom_namespace_stays_in_the_main_one', async () => {
        const [a, b] = await of.two();
        await a.connect('/custom');
        await a.send('41/custom,', '42["message","message to main namespace"]');
        assert.equal(await b.next(), '42["message","message to main namespace"]');
    });

    it('a_namespace_that_was_left_can_be_joined_again', async () => {
        const client = await of.connected('/custom');
        await client.send('41/custom');
        const { sid } = await client.connect('/custom');
        assert.notEqual(sid, client.id);
    });
});

describe('socket.io: message', () => {
    const of = served({});
    const two = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}';

    it('a_plain_text_event_goes_through', async () => {
        const [a, b] = await of.two();
        await a.send('42["message",1,"2",{"3":[true]}]');
        assert.equal(await b.next(), '42["message",1,"2",{"3":[true]}]');
    });

    it('an_event_with_attachments_goes_through', async () => {
        const [a, b] = await of.two();
        await a.send(`452-["message",${two}]`, 'bAQID', 'bBAUG');
        assert.deepEqual(await b.take(3), [`452-["message",${two}]`, 'bAQID', 'bBAUG']);
    });

    it('an_event_and_its_attachments_may_come_in_payloads_of_their_own', async () => {
        const [a, b] = await of.two();
        for (const packet of [`452-["message",${two}]`, 'bAQID', 'bBAUG']) await a.send(packet);
        assert.deepEqual(packets(await b.get()), [`452-["message",${two}]`, 'bAQID', 'bBAUG']);
    });

    it('an_event_with_an_acknowledgement_is_acknowledged', async () => {
        const [a, b] = await of.two();
        await a.send('42456["message",1,"2",{"3":[false]}]');
        assert.match(await a.next(), /^43456\[\{"seq":\d+,"recipients":1\}\]$/);
        assert.equal(await b.next(), '42["message",1,"2",{"3":[false]}]');
    });

    it('an_event_with_attachments_and_an_acknowledgement_is_acknowledged', async () => {
        const [a, b] = await of.two();
        await a.send(`452-789["message",${two}]`, 'bAQID', 'bBAUG');
        assert.match(await a.next(), /^43789\[\{"seq":\d+,"recipients":1\}\]$/);
        assert.deepEqual(await b.take(3), [`452-["message",${two}]`, 'bAQID', 'bBAUG']);
    });

    it('an_acknowledgement_in_a_custom_namespace_names_it', async () => {
        const client = await of.connected('/custom');
        await client.send('42/custom,7["message","x"]');
        assert.match(await client.next(), /^43\/custom,7\[\{"seq":\d+,"recipients":0\}\]$/);
    });

    for (const [what, packet] of [
        ['an unknown packet type', '4abc'],
        ['an unknown packet number', '49'],
        ['a payload that is no list', '42{}'],
        ['a payload that is a text', '42"message"'],
        ['an empty list', '42[]'],
        ['a list without a name', '42[{"name":"message"}]'],
        ['no payload', '42'],
        ['an acknowledgement id that is no number', '42abc["message",1,"2",{"3":[false]}]'],
        ['half a list', '42["message"'],
        ['a reserved name', '42["disconnect"]'],
        ['a connection that is there already', '40'],
        ['an acknowledgement that is no list', '431{}'],
        ['a binary event without a count', '45["message"]'],
        ['an attachment that nothing announced', 'bAQID'],
        ['text in place of an attachment', `451-["message",{"_placeholder":true,"num":0}]${SEP}42["message"]`],
        ['a namespace that it is not in', '42/custom,["message"]'],
    ]) {
        it(`a_broken_packet_closes_the_session: ${what}`, async () => {
            const client = await of.connected();
            const poll = await of.held(client);
            await client.post(packet);
            assert.equal(said(await poll.answer), '200 1');
            await unknown(client);
        });
    }
});
