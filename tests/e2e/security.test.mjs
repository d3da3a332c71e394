// What an attacker may try, with real requests: hearing or saying what is another's, bytes that no client sends, pages of other sites,
// files that nobody should see. Whatever is refused is refused with a reason, and the server goes on.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once as emitted } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { hostname, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { LIMIT_MS, channelName, engine, freePort, htdocs, request, startPollux, until, within } from './harness.mjs';
import { startSnippet } from './snippet.mjs';

const top = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..');
const SEP = '\x1e';
const UNKNOWN_SID = '400 {"code":1,"message":"Session ID unknown"}';
const FORBIDDEN = /^403 \{"code":4,"message":"Forbidden: [^"<>]+"\}$/;
const said = (answer) => `${answer.status} ${answer.text}`;

/** A server for the tests of a describe block. */
function served(options) {
    const of = { server: null, clients: [] };
    before(async () => { of.server = await startPollux(options); });
    after(async () => {
        of.clients.forEach((client) => client.end());
        await of.server?.stop();
    });
    of.client = () => {
        const client = engine(of.server.url);
        of.clients.push(client);
        return client;
    };
    /** A client in namespace NSP and in CHANNEL, if any, that has heard its greeting; with id and pid. */
    of.joined = async (channel, nsp = '/') => {
        const client = of.client();
        const { sid: id, pid } = await client.connect(nsp);
        client.secrets = [client.sid, pid];
        client.id = id;
        client.pid = pid;
        if (channel) {
            await client.send(`42${nsp === '/' ? '' : `${nsp},`}["create or join","${channel}"]`);
            for (;;) if (/\["(created|joined)"/.test(await client.next())) break;
        }
        return client;
    };
    return of;
}

/** Everything that CLIENT hears up to a packet that begins with LAST, as one text. */
async function heardUntil(client, last) {
    let text = '';
    for (;;) {
        const packet = await client.next();
        text += `${packet}\n`;
        if (packet.startsWith(last)) return text;
    }
}

/** Send BYTES to the web server as they are; all that it answers until it closes the connection, or until the answer is whole. */
function bytesTo(server, bytes) {
    return within(new Promise((done, fail) => {
        const socket = net.connect(server.port, '127.0.0.1', () => socket.write(bytes));
        let text = '';
        const end = () => done(text);
        socket.on('data', (data) => {
            text += data.toString('latin1');
            const [head, body] = text.split('\r\n\r\n');
            const length = /^content-length: (\d+)/im.exec(head)?.[1];
            if (body !== undefined && (bytes.startsWith?.('HEAD') || body.length >= Number(length ?? Infinity))) socket.destroy(end());
        });
        socket.on('close', end);
        socket.on('error', (error) => (text ? end() : fail(error)));
    }), 'an answer');
}

/** One request straight to the program, as a web server would hand it on. PARAMS win over what it would say. */
function fastcgi(server, params, body = '', { cut = 0 } = {}) {
    const record = (type, content) => {
        const head = Buffer.from([1, type, 0, 1, content.length >> 8, content.length & 255, 0, 0]);
        return Buffer.concat([head, content]);
    };
    const size = (n) => (n < 128 ? Buffer.from([n]) : Buffer.from([(n >>> 24) | 128, n >> 16 & 255, n >> 8 & 255, n & 255]));
    const all = {
        REQUEST_METHOD: 'POST', REQUEST_URI: '/socket.io/', SCRIPT_NAME: '/socket.io/', CONTENT_TYPE: 'text/plain',
        CONTENT_LENGTH: String(Buffer.byteLength(body) + cut), REMOTE_ADDR: '127.0.0.1', HTTP_HOST: 'here', ...params,
    };
    const pairs = Object.entries(all).map(([name, value]) => Buffer.concat([size(name.length), size(Buffer.byteLength(value)), Buffer.from(name + value)]));
    const bytes = Buffer.concat([record(1, Buffer.from([0, 1, 0, 0, 0, 0, 0, 0])), record(4, Buffer.concat(pairs)), record(4, Buffer.alloc(0)),
        ...(body ? [record(5, Buffer.from(body))] : []), record(5, Buffer.alloc(0))]);
    return within(new Promise((done, fail) => {
        const path = readdirSync(server.dir).find((name) => name.startsWith('fcgi.sock'));
        const socket = net.connect(join(server.dir, path), () => socket.write(bytes));
        const chunks = [];
        socket.on('data', (data) => chunks.push(data));
        socket.on('error', fail);
        socket.on('close', () => done(Buffer.concat(chunks).toString('latin1').replace(/^[^]{8}/, '')));
    }), 'an answer of the program');
}

describe('what is another\'s', () => {
    const of = served({ env: { POLLUX_NAMESPACES: '/ /other', POLLUX_CAPACITY: '3' } });

    it('no_secret_reaches_a_peer', async () => {
        const channel = channelName();
        const [a, b, c] = [await of.joined(channel), await of.joined(channel), await of.joined(channel)];
        const again = of.client();
        await a.send('1');
        await again.open();
        await again.send(`40${JSON.stringify({ pid: a.pid })}`);    // recovery, a refusal, an error, a farewell
        await again.send(`42["message",{"channel":"nowhere","message":1}]${SEP}42["x"]${SEP}40/none,`);
        await b.send('42["leave","nowhere"]', '42["Bye"]');
        await again.send('42["end"]');
        const told = await heardUntil(c, '42["end"]');
        for (const secret of [...a.secrets, ...b.secrets, again.sid]) assert.ok(!told.includes(secret), told);
        const log = of.server.logText();
        for (const secret of [...a.secrets, ...b.secrets, ...c.secrets, again.sid]) assert.ok(!log.includes(secret), 'nor the log');
        assert.doesNotMatch(JSON.stringify(of.server.sql('select * from conversation')), new RegExp([...a.secrets, ...b.secrets].join('|')));
    });

    it('ids_open_nothing_but_what_they_are_for', async () => {
        const a = await of.joined(channelName());
        for (const sid of [a.id, a.pid]) {
            const thief = of.client();
            thief.sid = sid;
            assert.equal(said(await thief.get()), UNKNOWN_SID);
            assert.equal(said(await thief.post('42["x"]')), UNKNOWN_SID);
        }
        for (const pid of [a.id, a.sid, '', '%', `${a.pid}x`, a.pid.slice(0, -1), a.pid.toLowerCase(), null, [a.pid], { pid: a.pid }]) {
            const thief = of.client();
            assert.notEqual((await thief.connect('/', { pid, offset: '0' })).sid, a.id, JSON.stringify(pid));
        }
        const other = of.client();
        assert.notEqual((await other.connect('/other', { pid: a.pid })).sid, a.id, 'in another namespace');
        await a.send('42["still here"]');
    });

    it('only_members_of_a_channel_hear_what_is_said_there', async () => {
        const [mine, theirs] = [channelName(), channelName()];
        const [a, b, stranger] = [await of.joined(mine), await of.joined(mine), await of.joined(theirs)];
        const abroad = await of.joined(mine, '/other');     // the same name, another namespace
        for (const key of ['to', 'target', 'targetId', 'recipient', 'receiver', 'peerId', 'socketId']) {
            for (const { id } of [stranger, abroad]) await a.send(`42["secret",{"${key}":"${id}"}]`);
        }
        await a.send(`42["message",{"channel":"${theirs}","message":"secret"}]`, `42["response",{"channel":"${theirs}","message":"secret"}]`);
        await a.send(`42["secret",{"channel":"${theirs}"}]`, `42["leave","${theirs}"]`, `42["bye","${theirs}"]`, `42["Bye","${theirs}"]`);
        await stranger.send('420["end"]');
        await abroad.send('42/other,0["end"]');
        assert.doesNotMatch(await heardUntil(stranger, '430'), /secret|bye|leave/i);
        assert.doesNotMatch(await heardUntil(abroad, '43/other,0'), /secret|bye|leave/i);
        assert.equal((await heardUntil(b, '42["Bye"]')).match(/secret/g).length, 1, 'what names no channel of the sender goes to its own');
    });

    it('nobody_speaks_for_another', async () => {
        const channel = channelName();
        const [a, b, c] = [await of.joined(channel), await of.joined(channel), await of.joined(channel)];
        await a.send(`42["x",{"from":"${b.id}","sender":"${b.id}","id":"${b.id}"}]`, `42["leave","${channel}","${b.id}"]`);
        const told = await heardUntil(c, '42["leave"');
        assert.ok(told.endsWith(`42["leave","${channel}","${a.id}"]\n`), told);
        const senders = of.server.sql(`select s.public as id from message m join socket s on s.id = m.sender
            where m.name in ('x', 'leave') and m.channel = '${channel}'`);
        assert.deepEqual([...new Set(senders.map(({ id }) => id))], [a.id]);
        await b.send('42["still here"]');
        await heardUntil(c, '42["still here"]');
    });
});

describe('bytes from outside', () => {
    const of = served({ procs: 2 });
    const fine = async () => assert.equal((await of.client().open()).status, 200, 'it goes on');

    it('queries', async () => {
        const { sid } = await of.joined(channelName());
        const ask = (query) => bytesTo(of.server, `GET /socket.io/?${query} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n`);
        const straight = (query) => fastcgi(of.server, { REQUEST_METHOD: 'GET', QUERY_STRING: query });
        const refused = [
            'EIO=4&transport=polling&sid=', 'EIO=4&transport=polling&sid=%00', `EIO=4&transport=polling&sid=${sid}%00`,
            `EIO=4&transport=polling&sid=${sid}x`, `EIO=4&transport=polling&sid=x&sid=${sid}`, `EIO=4&transport=polling&sid=%zz`,
            `EIO=4&transport=polling&sid=${sid.slice(0, 19)}%`, 'EIO=4&transport=polling&sid=%0d%0aX-Evil:%201',
                `EIO=4&transport=polling&sid=${'%27%20OR%201%3D1--'}`,
            'EIO=4&transport=', 'EIO=4&transport=pollingx', 'EIO=4&transport=polling%00', 'EIO=4%00&transport=polling', 'EIO=44444444444444&transport=polling',
            'transport=polling', '=&=&==&&&', '', '<script>alert(1)</script>', 'again=GET', 'again=POST&EIO=4&transport=polling&sid=x',
            `EIO=4&transport=polling&sid=${'x'.repeat(6000)}`, Array(3000).fill('a').join('&'),
        ];
        for (const query of refused) {
            const answer = await straight(query);
            assert.match(answer, /^Status: 400 [^]*\r\n\r\n\{"code":[0-5],"message":"[\w :]+"\}/, query);
            assert.doesNotMatch(answer, /evil|script/i, query);
            assert.match(await ask(query), /^HTTP\/1\.\d 400 /, query);   // it may have refused it itself
        }
        assert.match(await ask(`a=${'x'.repeat(200000)}`), /^HTTP\/1\.\d 4\d\d /);
        assert.match(await straight(`a=${'x'.repeat(60000)}`), /^Status: 400 /);
        await fine();
    });

    it('a_t_of_any_kind_is_taken', async () => {
        const a = await of.joined(channelName());
        for (const t of ['', ' ', 'a b', '\u0000', '\r\nX-Evil: 1', '%', 'é', '\u007f', 'x'.repeat(5000), 'x'.repeat(40), 'x'.repeat(41)]) {
            const answer = await fastcgi(of.server, { QUERY_STRING: `EIO=4&transport=polling&sid=${a.sid}&t=${encodeURIComponent(t)}` }, '3');
            assert.match(answer, /\r\n\r\nok/, JSON.stringify(t.slice(0, 50)));
            assert.doesNotMatch(answer, /evil/i);
        }
    });

    it('methods_and_headers', async () => {
        const a = await of.joined(channelName());
        const line = (method) => `${method} /socket.io/?EIO=4&transport=polling&sid=${a.sid} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n`;
        for (const method of ['HEAD', 'PUT', 'DELETE', 'PATCH', 'TRACE', 'PROPFIND', 'get', 'GETT']) {
            assert.match(await bytesTo(of.server, `${line(method)}Content-Length: 0\r\n\r\n`), /^HTTP\/1\.\d (400|405|501) /, method);
        }
        for (const header of [`X: ${'x'.repeat(100000)}`, `Origin: http://${'x'.repeat(5000)}`, `Cookie: ${'a=b; '.repeat(1500)}`]) {
            assert.match(await bytesTo(of.server, `${line('GET')}${header}\r\nOrigin: http://a\r\n\r\n`), /^HTTP\/1\.\d 4\d\d /, header.slice(0, 20));
        }
        for (const length of ['-1', '1e9', '99999999999999999999', '0x10', '1, 2']) {
            assert.match(await bytesTo(of.server, `${line('POST')}Content-Length: ${length}\r\n\r\n3`), /^HTTP\/1\.\d 4\d\d /, length);
        }
        await a.send('42["still here"]');
        await fine();
    });

    it('a_preflight_injects_nothing', async () => {
        const allowing = await startPollux({ env: { POLLUX_ALLOWED_ORIGINS: '*' } });
        try {
            for (const value of ['x, <script>', 'x\tX-Evil: 1', 'x; X-Evil: 1', '\u00e9']) {
                const answer = await bytesTo(allowing, `OPTIONS /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: here\r\nOrigin: http://a.example\r\n`
                    + `Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: ${value}\r\nConnection: close\r\n\r\n`);
                assert.doesNotMatch(answer, /^(x-evil|access-control-allow-headers)|script/im, value);
            }
            for (const origin of ['http://a\tX-Evil: 1', 'http://a<script>', 'http://a;b', 'http://a b']) {
                const answer = await bytesTo(allowing,
                    `GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: here\r\nOrigin: ${origin}\r\nConnection: close\r\n\r\n`);
                assert.doesNotMatch(answer, /^(x-evil|access-control-)|script/im, origin);
            }
        } finally {
            await allowing.stop();
        }
    });

    const bytes = (...parts) => Buffer.concat(parts.map((part) => Buffer.from(part)));
    for (const [rule, body] of Object.entries({
        invalid_utf8: bytes('42["x","', [0xff], '"]'),
        overlong_utf8: bytes('42["x","', [0xc0, 0xaf], '"]'),
        a_surrogate_as_utf8: bytes('42["x","', [0xed, 0xa0, 0x80], '"]'),
        utf8_beyond_unicode: bytes('42["x","', [0xf4, 0x90, 0x80, 0x80], '"]'),
        utf8_cut_short: bytes('42["x","', [0xe2, 0x82], '"]'),
        a_nul: bytes('42["x","', [0], '"]'),
        a_nul_as_packet: bytes([0]),
        a_bom: bytes([0xef, 0xbb, 0xbf], '42["x"]'),
        json_too_deep: Buffer.from(`42["x",${'['.repeat(100000)}${']'.repeat(100000)}]`),
        json_never_closed: Buffer.from(`42["x",${'['.repeat(900000)}`),
        an_ack_id_too_long: Buffer.from(`42${'9'.repeat(1000)}["x"]`),
        too_many_attachments: Buffer.from('451000000000000-["x"]'),
        attachments_beyond_numbers: Buffer.from('4599999999999999999999999-["x"]'),
        a_namespace_too_long: Buffer.from(`40/${'n'.repeat(100000)},`),
        a_namespace_of_no_utf8: bytes('40/', [0xff], ','),
        a_namespace_with_a_line: Buffer.from('40/a\nb,'),
        auth_that_is_a_list: Buffer.from('40[{"pid":"x"}]'),
        base64_of_no_kind: bytes('451-["x",{"_placeholder":true,"num":0}]', [0x1e], 'b????'),
        base64_cut_short: bytes('451-["x",{"_placeholder":true,"num":0}]', [0x1e], 'bA'),
        separators_alone: Buffer.alloc(5000, 0x1e),
    })) {
        it(`${rule}_closes_the_session_with_a_reason`, async () => {
            const a = await of.joined(channelName());
            const answer = await a.post(body);
            assert.match(said(answer), /^400 \{"code":3,"message":"Bad request: [\w ,]+"\}$/);
            await a.closed();
            await fine();
        });
    }

    it('what_is_odd_but_right_arrives_as_it_is', async () => {
        const channel = channelName();
        const [a, b] = [await of.joined(channel), await of.joined(channel)];
        for (const packet of ['42["x","\\ud800"]', '42["x","\\u0000"]', '42["\u202e<b>&amp;"]', '42["x",1e999999]', `42["x",${'9'.repeat(100000)}]`,
            `42["x",${'['.repeat(4000)}${']'.repeat(4000)}]`, `42[${'0'.repeat(1)}]`, `42["x",{"":{"":{"__proto__":{"to":1}}}}]`]) {
            await a.send(packet);
            assert.equal(await heardUntil(b, packet), `${b.greeted ? '' : `42["ready","${channel}"]\n`}${packet}\n`);
            b.greeted = true;
        }
    });

    it('a_body_cut_short_is_not_applied', async () => {
        const channel = channelName();
        const [a, b] = [await of.joined(channel), await of.joined(channel)];
        const params = { QUERY_STRING: `EIO=4&transport=polling&t=cut&sid=${a.sid}` };
        assert.match(await fastcgi(of.server, params, '42["half"]', { cut: 11 }), /Status: 503 [^]*did not arrive whole/);
        assert.match(await fastcgi(of.server, params, `42["half"]${SEP}42["whole"]`), /\r\n\r\nok/);
        assert.equal((await heardUntil(b, '42["whole"]')).match(/half/g).length, 1);
    });

    it('what_a_web_server_hands_on_may_be_anything', async () => {
        const odd = [{ REQUEST_METHOD: '' }, { REQUEST_URI: '' }, { REQUEST_URI: '/socket.io/../../x' }, { CONTENT_LENGTH: '-1' },
            { CONTENT_LENGTH: 'x'.repeat(1000) },
            { REMOTE_ADDR: '' }, { REMOTE_ADDR: 'x'.repeat(5000) }, { HTTP_ORIGIN: '\r\nX-Evil: 1' }, { QUERY_STRING: 'x'.repeat(30000) },
            { REDIRECT_STATUS: '500' }, { REDIRECT_STATUS: '500', QUERY_STRING: 'again=POST', REQUEST_URI: '/socket.io/' }, { ['X'.repeat(300)]: 'x' }];
        for (const params of odd) {
            const answer = await fastcgi(of.server, params, '3');
            assert.match(answer, /^Status: 4\d\d /, JSON.stringify(params).slice(0, 80));
            assert.doesNotMatch(answer, /x-evil/i);
        }
        await fine();
    });
});

describe('pages of other sites', () => {
    const of = served();
    const any = served({ env: { POLLUX_ALLOWED_ORIGINS: '* https://friend.example' } });
    const named = served({ env: { POLLUX_SERVED_HOSTS: 'call.example' } });
    const handshake = (server, headers) => request(`${server.url}/socket.io/?EIO=4&transport=polling`, { headers });
    const sessions = (server) => server.sql('select count(*) as n from session')[0].n;

    it('a_post_that_needs_no_preflight_does_nothing', async () => {
        const channel = channelName();
        const [a, b] = [await of.joined(channel), await of.joined(channel)];
        for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data']) {
            for (const Origin of ['https://evil.example', 'null', `${of.server.url}.evil.example`, 'file://']) {
                const answer = await a.post('42["forged"]', { headers: { Origin, 'Content-Type': type } });
                assert.match(said(answer), FORBIDDEN, Origin);
                assert.equal(answer.headers['access-control-allow-origin'], undefined);
            }
        }
        await a.send('42["end"]');
        assert.doesNotMatch(await heardUntil(b, '42["end"]'), /forged/);
    });

    it('the_refusal_names_both_and_says_where_to_look', async () => {
        const answer = await handshake(of.server, { Origin: 'https://evil.example' });
        assert.match(said(answer), /https:\/\/evil\.example .*127\.0\.0\.1:\d+.* allowed_origins/);
        const odd = await handshake(of.server, { Origin: 'https://a"b\\\\c' });
        assert.equal(odd.status, 403);
        assert.equal(JSON.parse(odd.text).code, 4);
    });

    it('a_host_that_is_not_served_is_refused', async () => {
        const Host = `rebound.example:${named.server.port}`;
        const answer = await handshake(named.server, { Host, Origin: `http://${Host}`, 'Sec-Fetch-Site': 'same-origin' });
        assert.match(said(answer), FORBIDDEN);
        assert.match(said(answer), /rebound\.example.* served_hosts/);
        for (const good of ['call.example', `CALL.example:${named.server.port}`, `127.0.0.1:${named.server.port}`, '[::1]'])
            assert.equal((await handshake(named.server, { Host: good })).status, 200, good);
    });

    it('an_image_or_a_link_opens_no_session', async () => {
        const count = sessions(of.server);
        for (const site of ['cross-site', 'same-site']) {
            const answer = await handshake(of.server, { 'Sec-Fetch-Site': site, 'Sec-Fetch-Mode': 'no-cors', 'Sec-Fetch-Dest': 'image' });
            assert.match(said(answer), FORBIDDEN, site);
        }
        assert.equal(sessions(of.server), count);
        for (const site of ['same-origin', 'none']) assert.equal((await handshake(of.server, { 'Sec-Fetch-Site': site })).status, 200, site);
        assert.equal((await handshake(any.server, { 'Sec-Fetch-Site': 'cross-site' })).status, 200, 'where any may');
    });

    it('any_site_may_is_not_with_the_visitors_cookies', async () => {
        for (const Origin of ['https://anybody.example', 'null']) {
            const answer = await handshake(any.server, { Origin });
            assert.equal(answer.status, 200);
            assert.equal(answer.headers['access-control-allow-origin'], Origin);
            assert.equal(answer.headers['access-control-allow-credentials'], undefined);
        }
        const friend = await handshake(any.server, { Origin: 'https://friend.example' });
        assert.equal(friend.headers['access-control-allow-credentials'], 'true');
        const held = engine(any.server.url);
        await held.open({}, { Origin: 'https://anybody.example' });
        const poll = held.get(undefined, { headers: { Origin: 'https://anybody.example' } });
        await held.post('40', { headers: { Origin: 'https://anybody.example' } });
        assert.equal((await within(poll, 'the greeting')).headers['access-control-allow-credentials'], undefined);
        held.end();
    });

    it('who_may_ask_may_read_why_it_is_refused', async () => {
        const query = { QUERY_STRING: 'EIO=4&transport=polling&sid=x', REQUEST_URI: '/socket.io/?EIO=4&transport=polling&sid=x' };
        const refusals = { 413: [{ ...query, REDIRECT_STATUS: '413', QUERY_STRING: 'again=POST' }], 503: [query, '42', { cut: 9 }] };
        for (const [status, [params, ...rest]] of Object.entries(refusals)) {
            const ask = (server, HTTP_ORIGIN) => fastcgi(server, { ...params, HTTP_ORIGIN }, ...rest);
            const readable = await ask(any.server, 'https://friend.example');
            assert.match(readable, new RegExp(`^Status: ${status} [^]*\r\nAccess-Control-Allow-Origin: https://friend\\.example\r\n`));
            const unreadable = await ask(of.server, 'https://evil.example');
            assert.match(unreadable, new RegExp(`^Status: ${status} `));
            assert.doesNotMatch(unreadable, /access-control-allow-origin/i);
        }
    });

    it('answers_are_nothing_that_a_browser_would_run', async () => {
        const a = await of.joined(channelName());
        for (const [answer, type] of [[await of.client().open(), 'text/plain; charset=UTF-8'],
            [await a.get(undefined, { query: { sid: '<script>' } }), 'application/json'],
            [await a.post('9'), 'application/json']]) {
            assert.equal(answer.headers['content-type'], type);
            assert.equal(answer.headers['cache-control'], 'no-store');
            assert.doesNotMatch(answer.text, /</);
            if (answer.status !== 200) assert.equal(answer.headers['x-content-type-options'], 'nosniff');
        }
    });
});

// ---- files

/** The environment without what is meant for the tests: the program would take it for settings. */
const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('POLLUX_')));
const hidden = 'nobody may see this';
/** Addresses by which one might get out of a folder that is served to NAME beside it. */
const ways = (prefix, name) => ['..', '%2e%2e', '.%2e', '%2e.', '..%2f..', '%252e%252e', '..\\', '..%5c', '..;', '.../...', '..%00', '%c0%ae%c0%ae']
    .flatMap((dots) => [`${prefix}${dots}/${name}`, `${prefix}${dots}%2f${name}`, `${prefix}${dots}/${dots}/${name}`, `${prefix}x/${dots}/${dots}/${name}`])
    .concat([`${prefix}${name}`, `${prefix}/${name}`, `${prefix}.%00/../${name}`]);

/** ./serve with ARGS, its temporary files in DIR, at PORT; text() is all that it says, stop() ends it. */
function serve(t, dir, port, ...args) {
    const child = spawn(join(top, 'serve'), ['--port', String(port), ...args], { env: { ...clean, TMPDIR: dir }, stdio: ['ignore', 'pipe', 'pipe'] });
    t.after(() => child.kill('SIGKILL'));
    const closed = emitted(child, 'close');
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (more) => { text += more; });
    return {
        child, text: () => text,
        ready: () => until(() => /^ready /m.test(text) || child.exitCode !== null, 10 * LIMIT_MS, 'serve being ready, or its refusal'),
        async stop() {
            child.kill('SIGTERM');
            await within(closed, 'the end of serve');
        },
    };
}

/** A folder that goes with the test. */
function folder(t) {
    const dir = mkdtempSync(join(tmpdir(), 'pollux-serve-'));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    return dir;
}

/** None of PATHS at PORT answers with what is hidden, or with a database. */
async function servesNone(port, paths) {
    for (const path of paths) {
        const answer = await bytesTo({ port }, `GET ${path} HTTP/1.0\r\nHost: here\r\n\r\n`);
        assert.match(answer, /^HTTP\/1\.\d (400|403|404) /, path);
        assert.ok(!answer.includes(hidden) && !answer.includes('SQLite format'), path);
    }
}

describe('files', () => {
    it('are_for_their_owner_alone', async () => {
        const old = process.umask(0);
        const server = await startPollux({ procs: 2 });
        process.umask(old);
        try {
            const client = engine(server.url);
            await client.connect();
            client.end();
            const counters = server.workers().map((pid) => `stats.${pid}`);
            assert.equal(counters.length, 2);
            await until(() => counters.every((name) => existsSync(join(server.dataDir, name))), LIMIT_MS, counters.join(' and '));
            const names = readdirSync(server.dataDir).sort();
            assert.deepEqual(names, ['bell', 'pollux.db', 'pollux.db-shm', 'pollux.db-wal', ...counters.sort()]);
            for (const name of names) assert.equal(statSync(join(server.dataDir, name)).mode & 0o777, 0o600, name);
        } finally {
            await server.stop();
        }
    });

    it('serve_gives_away_nothing_but_the_pages', async (t) => {
        const dir = folder(t);
        const port = await freePort();
        symlinkSync(htdocs, join(dir, 'link'));
        for (const data of [join(htdocs, 'data'), `${htdocs}/../htdocs/data/deeper`, join(dir, 'link', 'data')]) {
            const refused = serve(t, dir, port, '--data', data);
            await refused.ready();
            await refused.stop();
            const made = existsSync(join(htdocs, 'data'));
            rmSync(join(htdocs, 'data'), { recursive: true, force: true });
            assert.match(refused.text(), /--data .*data.* served to everybody/);
            assert.equal(refused.child.exitCode, 1);
            assert.ok(!made);
        }
        const server = serve(t, dir, port, '--data', join(dir, 'data'));
        await server.ready();
        assert.match(server.text(), /^ready /m);
        try {
            writeFileSync(join(dir, 'data', 'hidden'), hidden);
            for (const name of readdirSync(join(dir, 'data'))) await servesNone(port,
                [...ways('/', `data/${name}`), ...ways('/socket.io/', `data/${name}`), `/${name}`]);
            await servesNone(port,
                [...ways('/', 'README.md'), ...ways('/socket.io/', 'README.md'), '/.git/config', '/socket.io/', '/socket.io', join(dir, 'data', 'hidden')]);
            const page = await bytesTo({ port }, 'GET /call.html HTTP/1.0\r\n\r\n');
            assert.match(page, /^HTTP\/1\.\d 200 /);
            for (const header of [/^Content-Security-Policy: .*frame-ancestors 'none'/m, /^Referrer-Policy: same-origin/m,
                /^X-Content-Type-Options: nosniff/m]) assert.match(page, header);
        } finally {
            await server.stop();
        }
    });

    it('serve_answers_to_the_names_of_this_machine_alone', async (t) => {
        const dir = folder(t);
        const port = await freePort();
        const server = serve(t, dir, port, '--data', join(dir, 'data'));
        await server.ready();
        const ask = (name) =>
            bytesTo({ port }, `GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: ${name}:${port}\r\nOrigin: http://${name}:${port}\r\n`
            + 'Sec-Fetch-Site: same-origin\r\nConnection: close\r\n\r\n');
        try {
            for (const name of ['127.0.0.1', 'localhost', hostname(), `${hostname()}.local`]) assert.match(await ask(name), /^HTTP\/1\.1 200 /, name);
            assert.match(await ask('rebound.example'), /^HTTP\/1\.1 403 [^]*rebound\.example.* served_hosts/);
        } finally {
            await server.stop();
        }
    });

    it('the_snippet_gives_away_nothing_but_the_pages', async (t) => {
        const snippet = await startSnippet();
        t.after(() => snippet.remove());
        const { dir, port, url } = snippet;
        const status = (path) => request(`${url}${path}`).then((answer) => answer.status);
        for (const name of ['hidden', 'data/hidden', 'share/hidden', 'share/pollux/hidden', 'etc/hidden']) writeFileSync(join(dir, name), hidden);
        try {
            for (const path of ['/pollux/', '/pollux/call.html', '/socket.io/socket.io.js', '/socket.io/socket.io.mjs']) assert.equal(await status(path), 200,
                path);
            for (const prefix of ['/', '/pollux/', '/pollux', '/socket.io/', '/socket.io/socket.io.', '/pollux/socket.io/']) {
                await servesNone(port,
                    ['hidden', 'pollux/hidden', 'data/hidden', 'data/pollux.db', 'etc/hidden', 'etc/pollux.conf'].flatMap((name) => ways(prefix, name)));
            }
        } finally {
            await snippet.stop();
        }
    });
});

// ---- uploads

/** The size of all files below DIR, the store's left out. */
const stored = (dir) => readdirSync(dir, { withFileTypes: true, recursive: true }).map((one) => {
    try {
        const path = join(one.parentPath ?? one.path, one.name);
        return one.isFile() && !path.startsWith(join(dir, 'data', '/')) ? statSync(path).size : 0;
    } catch {
        return 0; // it has gone meanwhile
    }
}).reduce((sum, size) => sum + size, 0);

const BOUND = 1048576; // a little more than max_payload_bytes

/**
 * Begin a POST to PORT whose length is as HEAD says, and send until it is answered; it never ends. Meanwhile no more is in the files
 * below DIR than a POST may have. Returns the answer.
 */
function uploadTo(port, dir, head) {
    return within(new Promise((done, fail) => {
        const socket = net.connect(port, '127.0.0.1');
        const piece = `10000\r\n${'x'.repeat(65536)}\r\n`;
        let answer = '', sent = 0;
        const more = () => {
            const size = stored(dir);
            if (size > BOUND) socket.destroy(fail(new Error(`${size} bytes are stored`)));
            else if (!answer && sent < 20 * BOUND) {
                sent += piece.length;
                socket.write(piece, () => setImmediate(more));
            } else if (!answer) socket.destroy(fail(new Error(`${sent} bytes were taken, and no answer`)));
        };
        socket.on('data', (data) => { answer += data; });
        socket.on('error', () => {}); // it closes while we still send
        socket.on('close', () => done(answer));
        socket.write(`POST /socket.io/?EIO=4&transport=polling&sid=nobody HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nOrigin: http://127.0.0.1:${port}\r\n`
            + `Content-Type: text/plain\r\nConnection: close\r\n${head}\r\n\r\n`, more);
    }), 'an answer');
}

/** Whatever is as long as the program takes gets through at PORT; what is longer is refused before it is stored below DIR. */
async function takesNoMoreThanItMay(t, port, dir, words) {
    const client = engine(`http://127.0.0.1:${port}`);
    t.after(() => client.end());
    await client.connect();
    await client.send(`42["x","${'x'.repeat(999990)}"]`);
    for (const head of ['Content-Length: 40000000', 'Transfer-Encoding: chunked']) {
        const answer = await uploadTo(port, dir, head);
        assert.match(answer, /^HTTP\/1\.1 413 /, head);
        assert.match(answer, words, head);
        assert.doesNotMatch(answer, /^retry-after/im, head);
    }
    await client.send('42["still here"]');
}

const OURS = /\r\n\r\n[^]*\{"code":3,"message":"[^"]*413[^"]*maxPayload[^"]*"\}/;

describe('uploads', () => {
    for (const [how, words] of [['', OURS], ['--cgi', /413/]]) { // as CGI the words are the web server's own
        it(`that_are_too_long_are_stored_nowhere, serve ${how}`, async (t) => {
            const dir = folder(t);
            const port = await freePort();
            const server = serve(t, dir, port, '--data', join(dir, 'data'), ...how ? [how] : []);
            await server.ready();
            try {
                await takesNoMoreThanItMay(t, port, dir, words);
            } finally {
                await server.stop();
            }
        });
    }

    it('that_are_too_long_are_stored_nowhere, the snippet', async (t) => {
        const snippet = await startSnippet();
        t.after(() => snippet.remove());
        try {
            await takesNoMoreThanItMay(t, snippet.port, snippet.dir, OURS);
        } finally {
            await snippet.stop();
        }
    });
});
