// The wire, byte for byte: what the official clients send and expect, from a client that has no cleverness of its own.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { channelName, engine, packets, request, startPollux, until, withPollux, within } from './harness.mjs';

const SEP = '\x1e';
const UNKNOWN_SID = '400 {"code":1,"message":"Session ID unknown"}';
const said = (answer) => `${answer.status} ${answer.text}`;

/** A server for the tests of a describe block; `of.server` within them. */
function served(options) {
    const of = { server: null, clients: [] };
    before(async () => { of.server = await startPollux(options); });
    after(async () => {
        of.clients.forEach((client) => client.end());
        await of.server?.stop();
    });
    /** A raw client of that server. */
    of.client = () => {
        const client = engine(of.server.url);
        of.clients.push(client);
        return client;
    };
    /** One that has opened a session and joined the namespace; `id` is its socket id. */
    of.connected = async (nsp, auth, { plain = false } = {}) => {
        const client = of.client();
        if (plain) client.post = ((post) => (body, more) => post(body, { query: { t: undefined }, ...more }))(client.post);
        client.id = (await client.connect(nsp, auth)).sid;
        return client;
    };
    /** Two in one channel, who have heard all that there is to hear about it. PLAIN: the second gives its POSTs no t, as python-socketio. */
    of.two = async (how) => {
        const channel = channelName();
        const a = await of.connected();
        await a.send(`42["create or join","${channel}"]`);
        assert.equal(await a.next(), `42["created","${channel}","${a.id}"]`);
        const b = await of.connected(undefined, undefined, how);
        await b.send(`42["create or join","${channel}"]`);
        assert.deepEqual(await a.take(4), [
            `42["remotePeerJoining","${channel}"]`,
            `42["join","${channel}"]`,
            `42["broadcast: joined","S --> broadcast(): client ${b.id} joined channel ${channel}"]`,
            `42["ready","${channel}"]`,
        ]);
        assert.deepEqual(await b.take(2), [`42["joined","${channel}","${b.id}"]`, `42["ready","${channel}"]`]);
        return { a, b, channel };
    };
    return of;
}

describe('handshake', () => {
    const of = served();

    it('handshake_has_exactly_five_keys_in_order', async () => {
        const client = of.client();
        const answer = await client.open();
        assert.equal(answer.status, 200);
        assert.match(answer.text, /^0\{"sid":"[\w-]{20}","upgrades":\[\],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000\}$/);
    });

    it('every_session_id_differs', async () => {
        const sids = new Set();
        for (let i = 0; i < 20; i++) sids.add(JSON.parse((await of.client().open()).text.slice(1)).sid);
        assert.equal(sids.size, 20);
    });

    it('poll_answers_are_whole_plain_and_uncached', async () => {
        const { headers, bytes } = await of.client().open();
        assert.equal(headers['content-type'], 'text/plain; charset=UTF-8');
        assert.equal(headers['content-length'], String(bytes.length));
        assert.equal(headers['transfer-encoding'], undefined);
        assert.equal(headers['cache-control'], 'no-store');
        assert.equal(headers['x-accel-buffering'], 'no');
    });

    it('query_is_read_by_name', async () => {
        const { url } = of.server;
        for (const query of ['transport=polling&EIO=4', 'EIO=4&transport=polling', 't=x&b64=1&transport=polling&EIO=4&foo=bar',
            'transport=polling&EIO=4&t=1.2']) {
            const answer = await request(`${url}/socket.io/?${query}`);
            assert.match(said(answer), /^200 0\{"sid"/, query);
        }
    });

    it('a_path_that_is_named_needs_its_slash', () => withPollux({ env: { POLLUX_PATH: '/socket.io/' } }, async (server) => {
        const answer = await request(`${server.url}/socket.io?EIO=4&transport=polling`);
        assert.equal(answer.status, 404);
    }));

    it('the_client_file_has_an_etag', async () => {
        const address = `${of.server.url}/socket.io/socket.io.js`;
        const { status, headers, text } = await request(address);
        assert.equal(status, 200);
        assert.match(headers['content-type'], /javascript/);
        assert.ok(text.length > 1000);
        const again = await request(address, { headers: { 'If-None-Match': headers.etag } });
        assert.equal(again.status, 304);
    });

    it('errors_have_code_message_and_status', async () => {
        const { url } = of.server;
        const known = of.client();
        await known.open();
        const cases = [
            ['GET', 'EIO=4', '400 {"code":0,"message":"Transport unknown"}'],
            ['GET', 'EIO=4&transport=smoke', '400 {"code":0,"message":"Transport unknown"}'],
            ['GET', 'EIO=4&transport=websocket', '400 {"code":0,"message":"Transport unknown"}'],
            ['GET', 'EIO=3&transport=smoke&sid=nobody', '400 {"code":0,"message":"Transport unknown"}'],
            ['GET', 'EIO=4&transport=polling&sid=nobody', UNKNOWN_SID],
            ['POST', 'EIO=4&transport=polling&sid=nobody', UNKNOWN_SID],
            ['GET', 'EIO=3&transport=polling&sid=nobody', UNKNOWN_SID],
            ['GET', `EIO=4&transport=polling&sid=${known.sid}x`, UNKNOWN_SID],
            ['GET', `EIO=4&transport=polling&sid=${'x'.repeat(3000)}`, UNKNOWN_SID],
            ['GET', 'EIO=4&transport=polling&sid=%zz', UNKNOWN_SID],
            ['POST', 'EIO=4&transport=polling', '400 {"code":2,"message":"Bad handshake method"}'],
            ['PUT', 'EIO=4&transport=polling', '400 {"code":2,"message":"Bad handshake method"}'],
            ['POST', 'EIO=3&transport=polling', '400 {"code":2,"message":"Bad handshake method"}'],
            ['GET', 'EIO=3&transport=polling', '400 {"code":5,"message":"Unsupported protocol version"}'],
            ['GET', 'transport=polling', '400 {"code":5,"message":"Unsupported protocol version"}'],
        ];
        for (const [method, query, expected] of cases) {
            const answer = await request(`${url}/socket.io/?${query}`, { method, body: method === 'GET' ? undefined : '40' });
            assert.equal(said(answer), expected, `${method} ${query.slice(0, 80)}`);
            assert.match(answer.headers['content-type'], /^application\/json/, query);
        }
    });

    it('other_methods_are_refused', async () => {
        const client = of.client();
        await client.open();
        for (const method of ['PUT', 'DELETE', 'PATCH']) {
            assert.equal((await request(client.address(), { method })).status, 400, method);
        }
        assert.equal(await client.post('40').then(said), '200 ok', 'the session is none the worse');
    });
});

describe('requests of a session', () => {
    const of = served({ env: { POLLUX_NAMESPACES: '/ /chat' } });

    it('post_is_answered_ok', async () => {
        const client = of.client();
        await client.open();
        const answer = await client.post('40');
        assert.equal(said(answer), '200 ok');
        assert.equal(answer.headers['content-type'].split(';')[0], 'text/html');
        assert.equal(answer.headers['content-length'], '2');
    });

    it('connect_may_come_before_or_after_the_first_poll', async () => {
        const first = of.client();
        await first.open();
        first.startPoll();
        await first.send('40');
        assert.match(await first.next(), /^40\{"sid":"[\w-]{20}","pid":"[\w-]+"\}$/);
        const second = of.client();
        await second.open();
        await second.send('40');
        second.startPoll();
        assert.match(await second.next(), /^40\{"sid":"[\w-]{20}","pid":"[\w-]+"\}$/);
    });

    it('the_session_id_is_no_socket_id', async () => {
        const client = of.client();
        const { sid, pid } = await client.connect();
        assert.equal(new Set([client.sid, sid, pid]).size, 3);
    });

    it('repeated_poll_gets_the_same_answer', async () => {
        const { a, b, channel } = await of.two();
        await a.send(`42["message",{"channel":"${channel}","message":1}]`);
        const answers = [];
        for (let i = 0; i < 3; i++) answers.push(await within(b.get('again'), 'the answer'));
        assert.equal(packets(answers[0])[0], '42["message",1]');
        assert.equal(answers[1].text, answers[0].text);
        assert.equal(answers[2].text, answers[0].text);
        await a.send(`42["message",{"channel":"${channel}","message":2}]`);
        assert.equal(await b.next(), '42["message",2]', 'the next poll goes on behind it');
    });

    it('repeated_post_is_applied_once', async () => {
        const { a, b, channel } = await of.two();
        const say = (n) => `42["message",{"channel":"${channel}","message":${n}}]`;
        for (let i = 0; i < 3; i++) assert.equal(said(await a.post(say(1), { t: 'again' })), '200 ok');
        await a.send(say(2));
        assert.equal(said(await a.post(say(1), { t: 'again' })), '200 ok', 'a late repetition');
        await a.send(say(3));
        assert.deepEqual(await b.take(3), ['42["message",1]', '42["message",2]', '42["message",3]']);
    });

    it('posts_without_t_are_each_applied', async () => {
        const { a, b, channel } = await of.two();
        for (let i = 0; i < 3; i++) {
            const answer = await a.post(`42["message",{"channel":"${channel}","message":0}]`, { query: { t: undefined } });
            assert.equal(said(answer), '200 ok');
        }
        assert.deepEqual(await b.take(3), Array(3).fill('42["message",0]'));
    });

    it('second_poll_closes_session', async () => {
        const client = await of.connected();
        const answers = await within(Promise.all([client.get('one'), client.get('two')]), 'both polls answered');
        assert.deepEqual(answers.map((answer) => answer.status).sort(), [200, 400]);
        assert.equal(answers.find((answer) => answer.status === 200).text, '1');
        assert.equal(said(await client.get()), UNKNOWN_SID);
    });

    it('repeated_poll_takes_the_place_of_the_held_one', async () => {
        const { a, b, channel } = await of.two();
        const first = b.get('same');
        first.catch(() => {});
        const second = b.get('same');
        await a.send(`42["message",{"channel":"${channel}","message":"here"}]`);
        // Whichever of the two came last holds the place; the other may hear anything that does no harm.
        const heard = await within(Promise.any([first, second].map(async (poll) => {
            const answer = await poll;
            assert.equal(answer.status, 200);
            assert.equal(packets(answer)[0], '42["message","here"]');
            return answer;
        })), 'the message on one of the two');
        assert.equal(heard.status, 200);
        await a.send(`42["message",{"channel":"${channel}","message":"there"}]`);
        assert.equal(await b.next(), '42["message","there"]', 'the session lives on');
    });

    it('octet_stream_is_refused', async () => {
        const client = await of.connected();
        assert.equal((await client.post('42["x"]', { headers: { 'Content-Type': 'application/octet-stream' } })).status, 400);
        await client.closed();
    });

    it('too_large_a_payload_is_413', async () => {
        const client = await of.connected();
        const answer = await client.post(`42["x","${'x'.repeat(1000000)}"]`);
        assert.equal(answer.status, 413);
    });

    it('the_largest_payload_passes', async () => {
        const { a, b } = await of.two();
        const packet = `42["x","${'x'.repeat(1000000 - 10)}"]`;
        assert.equal(packet.length, 1000000);
        await a.send(packet);
        assert.ok(await b.next() === packet);
    });

    it('heartbeats_from_the_client_are_errors', async () => {
        const client = await of.connected();
        client.startPoll();
        await client.post('2');
        await client.closed();
    });

    for (const [rule, body, refused] of [
        ['empty_post', '', true], ['unknown_packet_type', '9', true], ['letter_for_a_type', 'x', true], ['bad_base64', 'b***', true],
        ['empty_packet', `42["x"]${SEP}${SEP}42["x"]`], ['empty_message', '4'], ['unknown_message_type', '47["x"]'],
    ]) {
        it(`${rule}_closes_session`, async () => {
            const client = await of.connected();
            client.startPoll();
            const answer = await client.post(body);
            if (refused) assert.equal(answer.status, 400);
            await client.closed();
        });
    }

    it('noop_and_pong_from_the_client_are_taken', async () => {
        const { a, b } = await of.two();
        await a.send('3');
        await a.send('42["x"]');
        assert.equal(await b.next(), '42["x"]');
    });

    it('close_packet_ends_the_session', async () => {
        const client = await of.connected();
        const held = client.get();
        await client.send('1');
        const answer = await within(held, 'the end of the held poll');
        assert.ok(['200 6', UNKNOWN_SID].includes(said(answer)), said(answer)); // the poll may have come second
        assert.equal(said(await client.get()), UNKNOWN_SID);
        assert.equal(said(await client.post('40')), UNKNOWN_SID);
    });

    it('packets_are_applied_to_the_last', async () => {
        const { a, b, channel } = await of.two();
        await a.send(`42["Bye","${channel}"]`, '41', '1');
        assert.equal(await b.next(), '42["Bye"]');
        assert.equal(said(await a.get()), UNKNOWN_SID);
    });

    it('an_answer_has_many_packets_for_clients_that_bear_them', async () => {
        const { a, b, channel } = await of.two();
        await a.send(...Array.from({ length: 500 }, (_, i) => `42["message",{"channel":"${channel}","message":${i}}]`));
        const list = packets(await within(b.get(), 'all of it'));
        assert.equal(list.length, 501, 'and the marker');
    });

    it('an_answer_has_at_most_16_packets_for_others', async () => {
        const { a, b, channel } = await of.two({ plain: true });
        const all = Array.from({ length: 50 }, (_, i) => i);
        await a.send(...all.map((i) => `42["message",{"channel":"${channel}","message":${i}}]`));
        const heard = [];
        while (heard.length < all.length) {
            const list = packets(await within(b.get(), 'the rest'));
            assert.ok(list.length <= 16, `${list.length} packets`);
            heard.push(...list.filter((packet) => packet.startsWith('42["message"')));
        }
        assert.deepEqual(heard, all.map((i) => `42["message",${i}]`));
    });

    it('the_marker_closes_answers_with_events', async () => {
        const { a, b, channel } = await of.two();
        await a.send(`42["message",{"channel":"${channel}","message":1}]`, `42["message",{"channel":"${channel}","message":2}]`);
        const list = packets(await b.get());
        assert.deepEqual(list.slice(0, 2), ['42["message",1]', '42["message",2]']);
        assert.equal(list.length, 3);
        assert.match(list[2], /^42\["pollux","[^"]+"\]$/);
    });
});

describe('Socket.IO packets', () => {
    const of = served({ env: { POLLUX_NAMESPACES: '/ /chat' } });

    it('connect_takes_auth', async () => {
        const client = await of.connected('/', { token: 'x', deep: { er: [1] } });
        assert.match(client.id, /^[\w-]{20}$/);
    });

    it('configured_namespace_is_joined', async () => {
        const client = of.client();
        await client.connect();
        await client.send('40/chat,');
        assert.match(await client.next(), /^40\/chat,\{"sid":"[\w-]{20}","pid":"[\w-]+"\}$/);
        await client.send('42/chat,["create or join","x"]');
        assert.match(await client.next(), /^42\/chat,\["created","x","[\w-]{20}"\]$/);
    });

    it('namespace_may_carry_a_query', async () => {
        const client = of.client();
        await client.open();
        await client.send('40/chat?token=1,{}');
        assert.match(await client.next(), /^40\/chat,\{"sid":/);
    });

    it('unknown_namespace_is_refused', async () => {
        const client = await of.connected();
        await client.send('40/nowhere,');
        assert.equal(await client.next(), '44/nowhere,{"message":"Invalid namespace"}');
        await client.send('420["anything"]');
        assert.match(await client.next(), /^430\[/, 'the session goes on');
    });

    it('namespaces_are_apart', async () => {
        const channel = channelName();
        const here = await of.connected();
        const there = await of.connected('/chat');
        await here.send(`42["create or join","${channel}"]`);
        assert.equal(await here.next(), `42["created","${channel}","${here.id}"]`);
        await there.send(`42/chat,["create or join","${channel}"]`);
        assert.equal(await there.next(), `42/chat,["created","${channel}","${there.id}"]`, 'another channel of the same name');
    });

    it('acks_carry_seq_and_recipients', async () => {
        const { a, b, channel } = await of.two();
        const ids = ['0', '7', '12345678901234567890'];
        let last = 0;
        for (const id of ids) {
            await a.send(`42${id}["other","${channel}"]`);
            const reply = await a.next();
            const [, got, seq] = /^43(\d+)\[\{"seq":(\d+),"recipients":1\}\]$/.exec(reply) ?? assert.fail(reply);
            assert.equal(got, id);
            assert.ok(Number(seq) > last, `${seq} > ${last}`);
            last = Number(seq);
        }
        assert.deepEqual(await b.take(3), Array(3).fill(`42["other","${channel}"]`), 'the peer is asked for no ack');
    });

    it('ack_says_when_nobody_heard', async () => {
        const client = await of.connected();
        await client.send('421["other",1]');
        assert.match(await client.next(), /^431\[\{"seq":\d+,"recipients":0\}\]$/);
    });

    it('unasked_acks_are_taken_quietly', async () => {
        const { a, b } = await of.two();
        await a.send('435["x"]', `461-6[{"_placeholder":true,"num":0}]`, 'bAQID', '42["still here"]');
        assert.equal(await b.next(), '42["still here"]');
    });

    it('the_marker_is_the_servers_own', async () => {
        const { a, b } = await of.two();
        await a.send('421["pollux","9007199254740991"]', '42["behind"]');
        const list = [];
        while (list.at(-1) !== '42["behind"]') list.push(...packets(await within(b.get(), 'what comes behind it')).filter((packet) => packet !== '6').slice(0,
            -1));
        assert.deepEqual(list, ['42["behind"]']);
        assert.match(await a.next(), /^431\[\{"seq":0,"recipients":0,"error":\{"code":"reserved",/);
    });

    it('event_names_may_be_numbers', async () => {
        const { a, b } = await of.two();
        await a.send('42[5,"x"]');
        assert.equal(await b.next(), '42[5,"x"]');
    });

    it('leaving_a_namespace_is_quiet', async () => {
        const client = await of.connected();
        client.startPoll();
        await client.send('41');
        await client.send('40');
        assert.match(await client.next(), /^40\{"sid":/, 'the answer to the second CONNECT is the first that comes');
    });

    it('disconnect_after_the_server_did_is_quiet', async () => {
        const client = await of.connected();
        await client.send('42["Ack"]');
        assert.equal(await client.next(), '41');
        await client.send('41');
        await client.send('40');
        assert.match(await client.next(), /^40\{"sid":/);
    });

    describe('violations close the session', () => {
        const event = '["x",{"_placeholder":true,"num":0}]';
        const violations = {
            connect_twice: ['40'],
            event_in_another_namespace: ['42/chat,["x"]'],
            connect_error_from_client: ['44{"message":"x"}'],
            event_without_data: ['42'],
            event_that_is_an_object: ['42{"x":1}'],
            empty_event: ['42[]'],
            event_named_null: ['42[null]'],
            event_named_by_an_array: ['42[["x"]]'],
            not_json: ['42["x",]'],
            json_with_more_behind: ['42["x"] 1'],
            control_character_in_a_string: ['42["x","\n"]'],
            not_utf8: [Buffer.from('343278225d', 'hex')],
            truncated_utf8: [Buffer.from('34325b2278222c22c3225d', 'hex')],
            too_deep: [`42["x",${'['.repeat(5000)}${']'.repeat(5000)}]`],
            ack_without_id: ['43["x"]'],
            ack_id_too_long: ['42111111111111111111111["x"]'],
            attachments_missing: [`451-${event}`, '42["y"]'],
            attachments_too_few: ['452-["x",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]', 'bAQID', '42["y"]'],
            attachment_unasked: ['bAQID'],
            attachments_too_many: [`4511-["x"${Array.from({ length: 11 }, (_, i) => `,{"_placeholder":true,"num":${i}}`).join('')}]`],
            attachment_count_missing: [`45${event}`],
            placeholder_out_of_range: ['451-["x",{"_placeholder":true,"num":1}]', 'bAQID'],
        };
        for (const name of ['connect', 'connect_error', 'disconnect', 'disconnecting', 'newListener', 'removeListener']) {
            violations[`event_named_${name}`] = [`42["${name}"]`];
        }
        for (const [rule, posts] of Object.entries(violations)) {
            it(rule, async () => {
                const client = await of.connected();
                client.startPoll();
                for (const post of posts) await client.post(post);
                await client.closed();
            });
        }

        it('event_before_connect', async () => {
            const client = of.client();
            await client.open();
            client.startPoll();
            await client.post('42["x"]');
            await client.closed();
        });

        it('connect_with_anything_but_an_object', async () => {
            const client = of.client();
            await client.open();
            client.startPoll();
            await client.post('40["x"]');
            await client.closed();
        });

        it('peers_hear_nothing_of_it_but_the_leaving', async () => {
            const { a, b } = await of.two();
            await a.post(`42["before"]${SEP}42["disconnect"]${SEP}42["after"]`);
            assert.equal(await b.next(), '42["before"]');
            await a.closed();
        });
    });

    it('escaped_reserved_names_are_reserved', async () => {
        const client = await of.connected();
        client.startPoll();
        await client.post('42["d\\u0069sconnect"]');
        await client.closed();
    });

    describe('binary events', () => {
        const blob = (n) => `{"_placeholder":true,"num":${n}}`;

        it('attachments_in_the_same_post', async () => {
            const { a, b } = await of.two();
            await a.send(`451-["blob",${blob(0)}]`, 'bAQID');
            assert.deepEqual(await b.take(2), [`451-["blob",${blob(0)}]`, 'bAQID']);
        });

        it('attachments_in_posts_of_their_own', async () => {
            const { a, b } = await of.two();
            await a.send(`452-["blob",${blob(0)},"between",${blob(1)}]`);
            await a.send('bAQID');
            await a.send('bBAUG');
            assert.deepEqual(await b.take(3), [`452-["blob",${blob(0)},"between",${blob(1)}]`, 'bAQID', 'bBAUG']);
        });

        it('ten_attachments_pass', async () => {
            const { a, b } = await of.two();
            const all = Array.from({ length: 10 }, (_, i) => i);
            const event = `4510-["blob",${all.map(blob).join()}]`;
            const attached = all.map((i) => `b${Buffer.alloc(i, i).toString('base64')}`);
            await a.send(event, ...attached);
            assert.deepEqual(await b.take(11), [event, ...attached]);
        });

        it('answers_never_part_an_event_from_its_attachments', async () => {
            const { a, b } = await of.two({ plain: true });
            const event = `453-["blob",${blob(0)},${blob(1)},${blob(2)}]`;
            for (let i = 0; i < 10; i++) await a.send(event, 'bAQID', 'bBAUG', 'bBwgJ');
            let heard = 0;
            while (heard < 10) {
                const list = packets(await within(b.get(), 'the rest')).filter((packet) => !packet.startsWith('42["pollux"'));
                assert.ok(list.length <= 16);
                assert.equal(list.length % 4, 0, list.join(' '));
                for (let i = 0; i < list.length; i += 4) assert.deepEqual(list.slice(i, i + 4), [event, 'bAQID', 'bBAUG', 'bBwgJ']);
                heard += list.length / 4;
            }
        });

        it('an_unfinished_event_is_not_relayed', async () => {
            const { a, b } = await of.two();
            await a.send(`451-["blob",${blob(0)}]`);
            await b.send('42["from b"]');
            assert.equal(await a.next(), '42["from b"]', 'the sender hears meanwhile');
            await a.send('bAQID');
            assert.deepEqual(await b.take(2), [`451-["blob",${blob(0)}]`, 'bAQID']);
        });

        it('binary_ack_id_and_channel', async () => {
            const { a, b, channel } = await of.two();
            await a.send(`451-3["message",{"channel":"${channel}","message":${blob(0)}}]`, 'bAQID');
            // The sender hears its own log first, attachment included.
            assert.deepEqual(await a.take(2), [`451-["log",[">>> ","S --> Got message: ",{"channel":"${channel}","message":${blob(0)}}]]`, 'bAQID']);
            assert.match(await a.next(), /^433\[\{"seq":\d+,"recipients":1\}\]$/);
            assert.deepEqual(await b.take(2), [`451-["message",${blob(0)}]`, 'bAQID']);
        });
    });

    describe('payloads are relayed byte for byte', () => {
        const values = {
            nul: '"a\\u0000b"',
            lone_surrogate: '"\\ud800"',
            low_surrogate: '"\\udc00 and \\ud800\\u0061"',
            twenty_digits: '12345678901234567890',
            beyond_double: '1e400',
            tiny: '-0.000000000000000000000000000000000000000000000000001e-400',
            minus_zero: '-0',
            exponent_form: '1E+2',
            duplicate_keys: '{"a":1,"a":2,"":{},"":[]}',
            escaped_slash: '"\\/\\b\\f\\n\\r\\t\\"\\\\"',
            escaped_ascii: '"\\u0041"',
            escaped_separator: '"\\u001e"',
            delete_and_beyond: '"\x7f\u0080\ufffe\uffff"',
            utf8: '"žluťoučký 狗 🐕 \u2028\u2029"',
            white_space: '{ "a" :\t[ 1 ,\n2 ] }',
            a_thousand_levels: `${'['.repeat(1000)}${']'.repeat(1000)}`,
            a_thousand_objects: `${'{"a":'.repeat(1000)}1${'}'.repeat(1000)}`,
            proto: '{"__proto__":{"x":1},"constructor":null}',
        };
        for (const [name, value] of Object.entries(values)) {
            it(name, async () => {
                const { a, b, channel } = await of.two();
                await a.send(`42["message",{"channel":"${channel}","message":${value}}]`, `42["else",${value},${value}]`);
                assert.deepEqual(await b.take(2), [`42["message",${value}]`, `42["else",${value},${value}]`]);
            });
        }

        it('members_are_found_as_a_parser_would', async () => {
            const { a, b, channel } = await of.two();
            await a.send(
                `42["message",{"message":1,"ch\\u0061nnel":"${channel}","message":2}]`,
                `42["message", { "x" : {"channel":"no","message":0}, "channel" : "${channel}" , "message" : [ 3 ] } ]`,
            );
            assert.equal(await b.next(), '42["message",2]');
            assert.equal(await b.next(), '42["message",[ 3 ]]');
        });

        it('nine_hundred_kilobytes', async () => {
            const { a, b, channel } = await of.two();
            const value = JSON.stringify('狗\u0000🐕"\\x'.repeat(45000) + '.'.repeat(100));
            const packet = Buffer.from(`42["message",{"channel":"${channel}","message":${value}}]`);
            assert.ok(packet.length > 800000 && packet.length < 1000000, `${packet.length} bytes`);
            await a.send(packet.toString());
            assert.ok(await b.next() === `42["message",${value}]`);
        });

        it('a_body_that_comes_in_pieces', async () => {
            const { a, b } = await of.two();
            const packet = Buffer.from(`42["x","${'狗🐕'.repeat(300)}"]`);
            const pieces = [];
            for (let at = 0, n = 1; at < packet.length; at += n, n = (n * 3) % 17 + 1) pieces.push(packet.subarray(at, at + n));
            assert.equal(said(await a.post('', { pieces })), '200 ok');
            assert.equal(await b.next(), packet.toString());
        });
    });
});

describe('heartbeat', () => {
    const of = served({ env: { POLLUX_PING_INTERVAL_MS: 300, POLLUX_PING_TIMEOUT_MS: 700, POLLUX_CONNECT_TIMEOUT_MS: 20000 } });

    it('handshake_names_the_settings', async () => {
        const answer = await of.client().open();
        assert.match(answer.text, /"pingInterval":300,"pingTimeout":700,/);
    });

    it('ping_comes_after_each_pong', async () => {
        const client = await of.connected();
        for (let i = 0; i < 3; i++) {
            const began = Date.now();
            assert.equal((await within(client.get(), 'a ping')).text, '2');
            assert.ok(Date.now() - began >= 150, 'not at once');
            await client.send('3');
        }
    });

    it('without_a_pong_the_session_ends', async () => {
        const client = await of.connected();
        assert.equal((await within(client.get(), 'a ping')).text, '2');
        const answer = await within(client.get(), 'the end');
        assert.ok(['200 1', UNKNOWN_SID].includes(said(answer)), said(answer));
        await until(async () => said(await client.get()) === UNKNOWN_SID);
    });

    it('the_limit_runs_without_a_poll_too', async () => {
        const client = await of.connected();
        await until(async () => {
            const answer = await client.post('6'); // says nothing, and is no pong
            return answer.status !== 200;
        });
        await client.closed();
    });

    it('a_client_that_polls_and_pongs_stays', async () => {
        const client = await of.connected();
        await client.send('42["create or join","stay"]');
        const end = Date.now() + 3000;
        let pings = 0;
        while (Date.now() < end) {
            const answer = await within(client.get(), 'an answer');
            assert.equal(answer.status, 200);
            if (packets(answer).includes('2')) {
                pings++;
                await client.send('3');
            }
        }
        assert.ok(pings >= 3, `${pings} pings`);
    });
});

describe('connect timeout', () => {
    const of = served({ env: { POLLUX_CONNECT_TIMEOUT_MS: 400 } });

    it('a_session_without_a_namespace_is_closed', async () => {
        const client = of.client();
        await client.open();
        assert.equal((await within(client.get(), 'the end')).text, '1');
        assert.equal(said(await client.get()), UNKNOWN_SID);
    });

    it('one_with_a_namespace_is_not', async () => {
        const idle = of.client();
        const client = await of.connected();
        await idle.open();
        await within(idle.get(), 'the end of one that began later');
        await client.send('421["x"]');
        assert.match(await client.next(), /^431\[/);
    });
});

describe('recovery turned off', () => {
    const of = served({ env: { POLLUX_RECOVERY_WINDOW_MS: 0 } });

    it('no_pid_and_no_marker', async () => {
        const client = of.client();
        await client.open();
        await client.send('40');
        assert.match(await client.next(), /^40\{"sid":"[\w-]{20}"\}$/);
        const { a, b } = await of.two();
        await a.send('42["x"]');
        assert.equal((await b.get()).text, '42["x"]');
    });
});

describe('other origins', () => {
    const handshake = (server, origin, options) => request(`${server.url}/socket.io/?EIO=4&transport=polling`, { headers: { Origin: origin }, ...options });
    const FORBIDDEN = /^403 \{"code":4,"message":"Forbidden[^"]*"\}$/;

    describe('by default', () => {
        const of = served();

        it('the_same_origin_may', async () => {
            assert.equal((await handshake(of.server, of.server.url)).status, 200);
            // TLS may end at a proxy in front of the web server.
            assert.equal((await handshake(of.server, of.server.url.replace('http:', 'https:'))).status, 200);
        });

        it('foreign_origins_may_not', async () => {
            const { port } = of.server;
            for (const origin of ['https://evil.example', 'null', `http://localhost:${port}`, 'http://127.0.0.1', `http://127.0.0.1:${port}.evil.example`]) {
                assert.match(said(await handshake(of.server, origin)), FORBIDDEN, origin);
            }
        });

        it('foreign_origins_may_not_use_a_known_session', async () => {
            const client = await of.connected();
            const answer = await client.post('42["x"]', { headers: { Origin: 'https://evil.example' } });
            assert.match(said(answer), FORBIDDEN);
        });
    });

    describe('allowed by name', () => {
        const of = served({ env: { POLLUX_ALLOWED_ORIGINS: 'https://app.example:8443 https://*.example.org' } });

        it('allowed_origins_are_told_so', async () => {
            for (const origin of ['https://app.example:8443', 'https://a.example.org', 'https://b.a.example.org']) {
                const answer = await handshake(of.server, origin);
                assert.equal(answer.status, 200, origin);
                assert.equal(answer.headers['access-control-allow-origin'], origin);
                assert.equal(answer.headers['access-control-allow-credentials'], 'true');
                assert.match(answer.headers.vary ?? '', /Origin/i, 'caches keep origins apart');
            }
        });

        it('errors_carry_the_headers_too', async () => {
            const origin = 'https://a.example.org';
            const answer = await request(`${of.server.url}/socket.io/?EIO=4&transport=polling&sid=x`, { headers: { Origin: origin } });
            assert.equal(said(answer), UNKNOWN_SID);
            assert.equal(answer.headers['access-control-allow-origin'], origin);
        });

        it('others_may_not', async () => {
            for (const origin of ['https://app.example', 'http://app.example:8443', 'https://example.org', 'https://evilexample.org',
                'https://a.example.org.evil.example']) {
                const answer = await handshake(of.server, origin);
                assert.match(said(answer), FORBIDDEN, origin);
                assert.equal(answer.headers['access-control-allow-origin'], undefined);
            }
        });

        it('preflight_is_answered', async () => {
            const answer = await handshake(of.server, 'https://a.example.org', {
                method: 'OPTIONS',
                headers: { Origin: 'https://a.example.org', 'Access-Control-Request-Method': 'POST',
                    'Access-Control-Request-Headers': 'x-token, content-type' },
            });
            assert.equal(answer.status, 204);
            assert.equal(answer.text, '');
            assert.equal(answer.headers['access-control-allow-origin'], 'https://a.example.org');
            assert.match(answer.headers['access-control-allow-methods'], /POST/);
            assert.equal(answer.headers['access-control-allow-headers'], 'x-token, content-type');
        });
    });

    describe('any', () => {
        const of = served({ env: { POLLUX_ALLOWED_ORIGINS: '*' } });

        it('every_origin_may', async () => {
            const answer = await handshake(of.server, 'https://anybody.example');
            assert.equal(answer.status, 200);
            assert.match(answer.headers['access-control-allow-origin'], /^(\*|https:\/\/anybody\.example)$/);
        });
    });
});

describe('another path', () => {
    it('the_configured_path_is_served_and_no_other', async () => {
        const server = await startPollux({ env: { POLLUX_PATH: '/signal/' } });
        try {
            const client = engine(server.url, '/signal/');
            await client.connect();
            client.end();
            assert.notEqual((await request(`${server.url}/socket.io/?EIO=4&transport=polling`)).status, 200);
        } finally {
            await server.stop();
        }
    });
});
