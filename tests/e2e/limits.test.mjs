// Every limit, reached: the clear answer, to the one whom it concerns; and what is kept of a conversation, and for how long.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { LIMIT_MS, ask, channelName, engine, official, peer, until, withPollux } from './harness.mjs';

/** Run BODY with a server of these settings and a list of things to close. */
const limited = (env, body, options = {}) => () => withPollux({ env, ...options }, async (server) => {
    const open = [];
    const client = () => {
        const raw = engine(server.url);
        open.push(() => raw.end());
        return raw;
    };
    const joined = async (channel) => {
        const one = await peer(official, server.url);
        open.push(() => one.socket.close());
        if (channel) {
            one.socket.emit('create or join', channel);
            await Promise.race([one.tape.next('created'), one.tape.next('joined')]);
        }
        return one;
    };
    try {
        await body({ server, client, joined });
    } finally {
        open.forEach((close) => close());
    }
});

/** One that asks and one that joined and polls no more. */
async function deaf({ client, joined }) {
    const channel = channelName();
    const sender = await joined(channel);
    const receiver = client();
    const { sid } = await receiver.connect();
    await receiver.send(`42["create or join","${channel}"]`);
    assert.deepEqual(await receiver.take(2), [`42["joined","${channel}","${sid}"]`, `42["ready","${channel}"]`]);
    return { sender, receiver, channel };
}

/** What RECEIVER is told up to the event "end". */
async function heardUntilEnd(receiver) {
    const list = [];
    for (;;) {
        const packet = await receiver.next();
        if (packet.startsWith('42["end"')) return list;
        list.push(packet);
    }
}

/** Emit EVENT until it is refused; returns how many were taken and the error. */
async function fill(sender, event, pad, most) {
    for (let taken = 0; taken <= most; taken++) {
        const reply = await ask(sender.socket, event, taken, pad);
        if (reply.error) return { taken, error: reply.error };
        assert.equal(reply.recipients, 1);
    }
    return assert.fail(`${most} messages, and none refused`);
}

describe('limits', () => {
    it('max_payload_bytes', limited({ POLLUX_MAX_PAYLOAD_BYTES: 1000 }, async ({ client }) => {
        const one = client();
        await one.connect();
        assert.equal(one.handshake.maxPayload, 1000);
        await one.send(`42["x","${'x'.repeat(990)}"]`);
        const answer = await one.post(`42["x","${'x'.repeat(991)}"]`);
        assert.equal(answer.status, 413);
    }));

    it('max_payload_bytes_in_pieces', limited({ POLLUX_MAX_PAYLOAD_BYTES: 1000 }, async ({ client }) => {
        const one = client();
        await one.connect();
        const pieces = Array.from({ length: 20 }, () => Buffer.alloc(1000, 'x'));
        assert.equal((await one.post('', { pieces })).status, 413);
    }));

    it('max_packets_per_payload', limited({ POLLUX_MAX_PACKETS_PER_PAYLOAD: 3 }, async ({ client, joined }) => {
        const { sender, receiver } = await deaf({ client, joined });
        const other = client();
        await other.connect();
        await other.send('3', '3', '3');
        const answer = await receiver.post(Array(4).fill('42["x"]').join('\x1e'));
        assert.ok([400, 413].includes(answer.status), `${answer.status} ${answer.text}`);
        assert.match(answer.text, /packets/i, 'it says what was too much');
        await receiver.send('42["three"]', '3', '3');
        await sender.tape.next('three');
        assert.ok(!sender.tape.names().includes('x'), 'nothing of the other one was taken');
    }));

    it('max_channel_name_bytes', limited({ POLLUX_MAX_CHANNEL_NAME_BYTES: 8 }, async ({ joined }) => {
        const one = await joined();
        assert.equal((await ask(one.socket, 'create or join', 'ěščř')).error, undefined);
        const { error } = await ask(one.socket, 'create or join', 'ěščř!');
        assert.equal(error.code, 'bad_channel');
        assert.match(error.message, /8|max_channel_name_bytes/, 'it names the limit');
    }));

    it('max_channels_per_socket', limited({ POLLUX_MAX_CHANNELS_PER_SOCKET: 2 }, async ({ joined }) => {
        const one = await joined('a');
        assert.equal((await ask(one.socket, 'create or join', 'b')).error, undefined);
        const { error } = await ask(one.socket, 'create or join', 'c');
        assert.equal(error.code, 'too_many_channels');
        assert.ok(error.message.length > 0);
        one.socket.emit('create or join', 'c');
        const [told] = await one.tape.next('error');
        assert.deepEqual({ ...told, message: '' }, { code: 'too_many_channels', message: '', event: 'create or join', channel: 'c' });
        await ask(one.socket, 'leave', 'a');
        assert.equal((await ask(one.socket, 'create or join', 'c')).error, undefined, 'there is room again');
    }));

    for (const key of ['POLLUX_MAX_SESSIONS', 'POLLUX_MAX_SESSIONS_PER_ADDRESS']) {
        it(key.slice(7).toLowerCase(), limited({ [key]: 3 }, async ({ client }) => {
            const inside = [client(), client(), client()];
            for (const one of inside) await one.connect();
            const refused = await client().open();
            assert.equal(refused.status, 403, refused.text);
            const { code, message } = JSON.parse(refused.text);
            assert.equal(code, 4);
            assert.ok(message.length > 0);
            await inside[0].send('41', '1');
            await client().connect();
        }));
    }

    it('max_requests_per_second', limited({ POLLUX_MAX_REQUESTS_PER_SECOND: 5 }, async ({ client }) => {
        const one = client();
        await one.open();
        const answers = [];
        for (let i = 0; i < 30; i++) answers.push(await one.post('3'));
        const refused = answers.filter((answer) => answer.status === 429);
        assert.ok(refused.length > 0, answers.map((answer) => answer.status).join(' '));
        assert.equal(JSON.parse(refused[0].text).code, 4);
        assert.deepEqual(answers.slice(0, 4).map((answer) => answer.status), [200, 200, 200, 200]);
        await until(async () => (await one.post('3')).status === 200, LIMIT_MS, 'a second later it goes on');
        await client().connect(); // others are not concerned
    }));

    it('max_queued_messages', limited({ POLLUX_MAX_QUEUED_MESSAGES: 5 }, async ({ client, joined }) => {
        const { sender, receiver } = await deaf({ client, joined });
        const { taken, error } = await fill(sender, 'n', '', 5);
        assert.ok(taken >= 2, `${taken} taken`); // some room is still taken by what the receiver has heard without saying so
        assert.equal(error.code, 'queue_full');
        sender.socket.emit('n', 'unasked');
        const [told] = await sender.tape.next('error');
        assert.equal(told.code, 'queue_full');
        assert.equal(told.event, 'n');
        assert.deepEqual(await receiver.take(taken), Array.from({ length: taken }, (_, i) => `42["n",${i},""]`));
        receiver.startPoll();
        await until(async () => !(await ask(sender.socket, 'end')).error, LIMIT_MS, 'there is room again');
        assert.deepEqual(await heardUntilEnd(receiver), [], 'nothing that was refused arrives after all');
    }));

    it('max_queued_bytes', limited({ POLLUX_MAX_QUEUED_BYTES: 2000, POLLUX_MAX_PAYLOAD_BYTES: 2000 }, async ({ client, joined }) => {
        const { sender, receiver } = await deaf({ client, joined });
        const { taken, error } = await fill(sender, 'n', 'x'.repeat(400), 5);
        assert.ok(taken >= 3 && taken <= 5, `${taken} taken`);
        assert.equal(error.code, 'queue_full');
        assert.equal((await receiver.take(taken)).length, taken);
    }));
});

describe('what is refused', () => {
    // The first is told at once; how many there were, ten seconds later.
    const lines = (server, code) => server.logText().split('\n').filter((line) => line.includes(` ${code} `));
    const cases = {
        P301: [{}, async ({ client }) => {
            for (let i = 0; i < 30; i++) {
                const one = client();
                await one.open();
                assert.equal((await one.post('broken')).status, 400);
            }
        }, /broke the protocol/],
        P310: [{}, async ({ client }) => {
            for (let i = 0; i < 30; i++) assert.equal((await client().open({}, { Origin: 'https://evil.example' })).status, 403);
        }, /https:\/\/evil\.example .* allowed_origins/],
        P311: [{ POLLUX_SERVED_HOSTS: '127.0.0.1' }, async ({ client }) => {
            for (let i = 0; i < 30; i++) assert.equal((await client().open({}, { Host: 'rebound.example' })).status, 403);
        }, /rebound\.example .* served_hosts/],
        P312: [{ POLLUX_MAX_SESSIONS: 1 }, async ({ client }) => {
            // starting has asked for one, which is there for a while
            for (let refused = 0; refused < 30;) refused += (await client().open()).status === 403;
        }, /max_sessions/],
        P313: [{ POLLUX_MAX_SESSIONS_PER_ADDRESS: 1 }, async ({ client }) => {
            await client().open();
            for (let i = 0; i < 30; i++) assert.equal((await client().open()).status, 403);
        }, /max_sessions_per_address/],
        P314: [{ POLLUX_MAX_REQUESTS_PER_SECOND: 1 }, async ({ client }) => {
            const one = client();
            await one.open();
            let refused = 0;
            while (refused < 10) refused += (await one.post('3')).status === 429;
        }, /max_requests_per_second \(1\)/],
        P315: [{ POLLUX_MAX_QUEUED_MESSAGES: 20 }, async (at) => {
            const { sender } = await deaf(at);
            let refused = 0;
            while (refused < 10) refused += (await ask(sender.socket, 'x')).error?.code === 'queue_full';
        }, /more waits for \S+ than max_queued_messages \(20\)/],
        P316: [{ POLLUX_MAX_QUEUED_MESSAGES: 20 }, async ({ client }) => {
            const one = client();
            await one.connect();
            for (let refused = 0; refused < 10;) refused += (await one.post('427["create or join",7]')).status === 429;
        }, /max_queued_messages \(20\)/],
        P320: [{ POLLUX_MAX_QUEUED_MESSAGES: 20, POLLUX_CAPACITY: 3 }, async (at) => {
            const { sender, channel } = await deaf(at);
            await at.joined(channel);
            let refused = 0;
            while (refused < 10) refused += (await ask(sender.socket, 'x')).error?.code === 'queue_full';
        }, /has filled half of the queue of \S+; see max_queued_messages \(20\)/],
        P317: [{ POLLUX_MAX_PAYLOAD_BYTES: 1000 }, async ({ client }) => {
            const one = client();
            await one.open();
            for (let i = 0; i < 10; i++) assert.equal((await one.post(`42["x","${'x'.repeat(1000)}"]`)).status, 413);
        }, /max_payload_bytes \(1000\)/],
        P322: [{ POLLUX_MAX_PACKETS_PER_PAYLOAD: 3 }, async ({ client }) => {
            const one = client();
            await one.open();
            for (let i = 0; i < 10; i++) assert.equal((await one.post('3\x1e3\x1e3\x1e3')).status, 413);
        }, /max_packets_per_payload \(3\)/],
        P327: [{}, async ({ client }) => {
            for (let i = 0; i < 10; i++) assert.equal((await client().open({ EIO: '3' })).status, 400);
        }, /version 3 of Engine\.IO/],
        P328: [{}, async ({ client }) => {
            for (let i = 0; i < 10; i++) assert.equal((await client().open({ transport: 'websocket' })).status, 400);
        }, /the transport websocket/],
        P329: [{}, async ({ client }) => {
            const one = client();
            await one.open();
            for (let i = 0; i < 10; i++) {
                await one.send(`40/nowhere${i},`);
                assert.match(await one.next(), /^44\/nowhere.*Invalid namespace/);
            }
        }, /no namespace \/nowhere0; see namespaces/],
        P318: [{ POLLUX_MAX_WORK_PERCENT: 1, POLLUX_MAX_QUEUED_MESSAGES: 1000000 }, async ({ client }) => {
            const one = client();
            await one.connect();
            const much = Array.from({ length: 200 }, (_, i) => `42["x",${i}]`).join('\x1e');
            for (let refused = 0; refused < 10;) {
                const answers = await Promise.all(Array.from({ length: 100 },
                    () => fetch(one.address(), { method: 'POST', body: much, headers: { Origin: one.origin } })));
                refused += answers.filter(({ status }) => status === 429).length;
            }
        }, /max_work_percent \(1\)/],
    };
    for (const [code, [env, body, expected]] of Object.entries(cases)) {
        it(`leaves_few_lines, ${code}`, limited(env, async (at) => {
            await body(at);
            await until(() => lines(at.server, code).length > 0, LIMIT_MS, `a line with ${code}`);
            const told = lines(at.server, code);
            assert.match(told[0], expected);
            assert.ok(told.length < 5, told.join('\n'));
        }));
    }
});

describe('uploads', () => {
    for (const cgi of [false, true]) {
        it(`too_large_a_body_is_413_and_stored_nowhere, ${cgi ? 'CGI' : 'FastCGI'}`, limited({}, async ({ server, client }) => {
            const inFolder = () => readdirSync(server.dir, { withFileTypes: true }).filter((file) => file.isFile())
                .map((file) => [file.name, statSync(join(server.dir, file.name)).size]).filter(([, size]) => size > 1500000);
            const one = client();
            await one.connect();
            const sid = one.sid;
            for (const size of [1000001, 1100000, 40000000]) {
                for (const who of [sid, 'nobody']) {
                    one.sid = who;
                    const answer = await one.post('4'.repeat(size), { headers: { Origin: server.url } });
                    assert.ok(who === 'nobody' ? [400, 413].includes(answer.status) : answer.status === 413, `${size} of ${who}: ${answer.status}`);
                    assert.match(answer.headers['content-type'] ?? '', size > 1050000 && cgi ? /./ : /^application\/json/);
                    assert.equal(answer.headers['retry-after'], undefined);
                    assert.deepEqual(inFolder(), []);
                }
            }
            one.sid = sid;
            await one.send('42["still","there"]');
        }, { cgi }));
    }
});

describe('a full disk', () => {
    it('says_so_promises_nothing_and_recovers', async (t) => {
        const mount = mkdtempSync('/tmp/pollux-small-');
        try {
            execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m,mode=0700', 'tmpfs', mount], { stdio: 'ignore' });
        } catch {
            rmSync(mount, { recursive: true });
            return t.skip('needs the right to mount a small file system');
        }
        try {
            await limited({ POLLUX_STORE: mount }, async ({ server, client, joined }) => {
                const { sender, receiver } = await deaf({ client, joined });
                const filler = join(mount, 'filler');
                try {
                    for (let size = 1 << 20; size >= 1024; size /= 2) {
                        for (;;) writeFileSync(filler, Buffer.alloc(size), { flag: 'a' });
                    }
                } catch (error) {
                    assert.equal(error.code, 'ENOSPC');
                }
                const big = 'x'.repeat(200000);
                const one = client();
                const answer = await until(async () => {
                    const tried = one.sid ? await one.post(`42["big","${big}"]`) : await one.open();
                    if (tried.status === 200 && one.handshake && !one.told) {
                        one.told = true;
                        await one.post('40');
                    }
                    return tried.status !== 200 && tried;
                });
                assert.equal(answer.status, 503);
                assert.equal(answer.headers['retry-after'], '1');
                assert.equal(JSON.parse(answer.text).code, 4);
                assert.match(server.logText(), /error P\d+ .*(full|space)/);
                rmSync(filler);
                await until(() => sender.socket.connected);
                const { recipients } = await until(async () => {
                    const reply = await Promise.race([ask(sender.socket, 'after'), new Promise((done) => setTimeout(done, 1000))]);
                    return reply && !reply.error && reply;
                });
                assert.equal(recipients, 1);
                assert.match(await receiver.next(), /^42\["after"\]$/);
            }, { allow: / (error|warning) P\d+ / })();
        } finally {
            execFileSync('umount', ['-l', mount]);
            rmSync(mount, { recursive: true, force: true });
        }
    });
});

describe('what is kept', () => {
    const exchange = async ({ joined }, ...args) => {
        const channel = channelName();
        const [a, b] = [await joined(channel), await joined(channel)];
        assert.equal((await ask(a.socket, 'message', ...args)).recipients, 1);
        assert.deepEqual(await b.tape.next('message'), args);
        return { a, b, channel };
    };
    const rows = (server) => server.sql("select * from message where name = 'message'");
    /** All bytes of the store's files, as Latin-1. */
    const bytes = (server) => readdirSync(server.dataDir).map((name) => readFileSync(join(server.dataDir, name), 'latin1')).join('');
    const arrivals = "select 1 from delivery d join message m on m.id = d.message where m.name = 'message' and d.arrived_ms > 0";
    const arrived = (server) => until(() => server.sql(arrivals).length, LIMIT_MS, 'the arrival in the log');

    it('by_default_all_of_it', limited({}, async ({ server, joined }) => {
        const { a, b, channel } = await exchange({ joined }, 'candidate 192.0.2.7', 1);
        await arrived(server);
        const [row] = server.sql(`select * from conversation where channel = '${channel}' and event = 'message'`);
        assert.match(row.said, /"candidate 192\.0\.2\.7",1/);
        assert.ok(a.id.startsWith(row.sender) && b.id.startsWith(row.recipient), JSON.stringify(row));
        assert.ok(row.took_ms >= 0 && row.took_ms < LIMIT_MS, `${row.took_ms}`);
        assert.equal(server.sql(`select address from socket where public = '${a.id}'`)[0].address, '127.0.0.1');
    }));

    it('log_age_days_0_removes_what_has_arrived', limited({ POLLUX_LOG_AGE_DAYS: 0 }, async (of) => {
        await exchange(of, 'soon gone');
        await until(() => rows(of.server).length === 0, LIMIT_MS, 'the message is removed');
    }));

    it('log_age_days_0_keeps_what_is_owed', limited({ POLLUX_LOG_AGE_DAYS: 0 }, async (of) => {
        await exchange(of, 'something else');
        const { sender, receiver } = await deaf(of);
        await ask(sender.socket, 'message', 'wait for me');
        await until(() => rows(of.server).length === 1, LIMIT_MS, 'the other message is removed');
        assert.equal(await receiver.next(), '42["message","wait for me"]');
    }));

    it('log_max_bytes_removes_the_oldest', limited({ POLLUX_LOG_MAX_BYTES: 1000000 }, async (of) => {
        const { a, b } = await exchange(of, 'the oldest');
        for (let i = 0; i < 100; i++) await ask(a.socket, 'pad', 'x'.repeat(30000));
        await ask(a.socket, 'pad', 'the end');
        await until(() => b.tape.names().filter((name) => name === 'pad').length === 101);
        await until(() => of.server.sql('select sum(size) as n from message')[0].n < 1000000, LIMIT_MS, 'the log shrinks below its limit');
        assert.deepEqual(rows(of.server), [], 'the oldest went first');
    }));

    it('keep_payloads_no', limited({ POLLUX_KEEP_PAYLOADS: 'no' }, async (of) => {
        const secret = 'a secret that nobody else may read';
        const { channel } = await exchange(of, secret);
        const [row] = await until(() => {
            const list = rows(of.server);
            return list[0]?.body === null && list;
        }, LIMIT_MS, 'the payload is removed');
        assert.ok(row.size >= secret.length);
        assert.equal(row.channel, channel);
        assert.equal(of.server.sql("select count(*) as n from conversation where event = 'message'")[0].n, 1);
        await of.server.halt();
        assert.ok(!bytes(of.server).includes(secret), 'it is in no file any more');
    }));

    it('keep_payloads_no_binary', limited({ POLLUX_KEEP_PAYLOADS: 'no' }, async (of) => {
        await exchange(of, Buffer.from('secret bytes'));
        await until(() => rows(of.server)[0]?.body === null, LIMIT_MS, 'the payload is removed');
        assert.equal(rows(of.server)[0].attached, null);
    }));

    it('keep_addresses_no', limited({ POLLUX_KEEP_ADDRESSES: 'no' }, async (of) => {
        const candidate = 'candidate:1 1 udp 2122260223 192.0.2.77 54321 typ host raddr 2001:db8::77';
        const { a } = await exchange(of, candidate);
        await until(() => rows(of.server)[0]?.body?.includes('x.x.x.x'), LIMIT_MS, 'the addresses are blanked');
        assert.equal(rows(of.server)[0].body, '["message","candidate:1 1 udp 2122260223 x.x.x.x 54321 typ host raddr x::x"]');
        assert.equal(of.server.sql(`select address from socket where public = '${a.id}'`)[0].address, '');
        await of.server.halt();
        assert.ok(!/192\.0\.2\.77|2001:db8::77/.test(bytes(of.server)), 'they are in no file any more');
    }));

    it('the_folder_is_private', limited({}, async ({ server }) => {
        for (const name of readdirSync(server.dataDir)) {
            assert.equal(statSync(join(server.dataDir, name)).mode & 0o007, 0, name);
        }
    }));
});
