// polluxctl over a store that each test fills itself: the schema of the sources, and rows as a server would have written them.
//
//   POLLUX_CTL       the program under test (default: $POLLUX_BUILD/polluxctl, else polluxctl at the top of the sources)

import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { official, once, peer, startPollux } from './harness.mjs';

const top = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..');
const program = resolve(process.env.POLLUX_CTL ?? join(process.env.POLLUX_BUILD ?? top, 'polluxctl'));
const slow = Number(process.env.POLLUX_SLOW ?? 1);
const sources = (name) => readFileSync(join(top, 'sql', 'sqlite', name), 'utf8');
const VERSION = Number(/STORE_VERSION (\d+)/.exec(readFileSync(join(top, 'src', 'store', 'sqlite', 'format.h'), 'utf8'))[1]);
const quote = (text) => `'${text.replaceAll("'", "''")}'`;

const T0 = 1764000000000;               // 2025-11-24 16:00:00 UTC
const ALICE = 'AAAAAAaaaaaaaaaaaaaa', BOB = 'BBBBBBbbbbbbbbbbbbbb', BERT = 'BBBBBBbcbbbbbbbbbbbb', DORA = 'DDDDDDdddddddddddddd';
const ODD = String.raw`["message",{"n":12345678901234567890,"u":"\ud800","z":"a\u0000b","x":1e400,"n":1}]`;
const NASTY = '["message","\u009b31m\u007f\u202e<b>;#end"]';

// Alice opened "room", Bob joined, Bert was refused, Dora has joined and is away; Alice and Dora are in "other" too.
const CALL = `
INSERT INTO session (id, sid, address, origin, shim, opened_ms, due_ms) VALUES
    (1, 'sid-of-alice', '192.0.2.1', '', 1, ${T0}, 0), (2, 'sid-of-bob', '192.0.2.2', '', 0, ${T0}, 0);
INSERT INTO polling SELECT id, 0, 0, 0, 0, 0, 0, 4711, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 FROM session;
INSERT INTO socket (id, public, private, nsp, session, address, opened_ms, away_ms, gone_ms) VALUES
    (1, '${ALICE}', 'pid-of-alice', '/', 1, '192.0.2.1', ${T0}, NULL, NULL),
    (2, '${BOB}', 'pid-of-bob', '/', 2, '192.0.2.2', ${T0}, NULL, NULL),
    (3, '${BERT}', NULL, '/', NULL, '192.0.2.3', ${T0}, NULL, ${T0 + 2500}),
    (4, '${DORA}', 'pid-of-dora', '/', NULL, '192.0.2.4', ${T0}, ${T0 + 9000}, NULL);
INSERT INTO channel (id, nsp, name, opened_ms) VALUES (1, '/', 'room', ${T0}), (2, '/', 'other', ${T0});
INSERT INTO member (channel, socket, role, joined_ms) VALUES
    (1, 1, 'creator', ${T0}), (1, 2, 'joiner', ${T0 + 1}), (2, 2, 'creator', ${T0}), (2, 4, 'joiner', ${T0 + 3000});
INSERT INTO message (id, at_ms, type, sender, channel, name, body, attached, attachments, size, recipients, unheard) VALUES
    (1, ${T0}, 0, NULL, NULL, '', '{"sid":"${ALICE}","pid":"pid-of-alice"}', NULL, 0, 51, 1, 1),
    (2, ${T0 + 100}, 2, 1, 'room', 'create or join', '["create or join","room"]', NULL, 0, 25, 0, 0),
    (3, ${T0 + 100}, 2, NULL, 'room', 'created', '["created","room","${ALICE}"]', NULL, 0, 41, 1, 1),
    (4, ${T0 + 1200}, 2, 1, 'room', 'message', ${quote(ODD)}, NULL, 0, ${ODD.length}, 1, 1),
    (5, ${T0 + 1300}, 2, NULL, 'room', 'log', '["log",[">>> ","x"]]', NULL, 0, 20, 1, 1),
    (6, ${T0 + 1400}, 5, 2, 'room', 'file', '["file",{"_placeholder":true,"num":0}]', char(30) || 'AQID', 1, 43, 1, 1),
    (7, ${T0 + 2200}, 2, NULL, 'room', 'full', '["full","room"]', NULL, 0, 15, 1, 1),
    (8, ${T0 + 9500}, 2, 1, 'room', 'message', ${quote(NASTY)}, NULL, 0, 30, 1, 1),
    (9, ${T0 + 9600}, 2, 2, 'other', 'note', '["note",1]', NULL, 0, 10, 1, 1);
INSERT INTO delivery (id, message, socket, nth, upto_bytes, sent_ms, arrived_ms) VALUES
    (1, 1, 1, 1, 51, ${T0}, ${T0 + 10}), (2, 3, 1, 1, 41, ${T0 + 101}, ${T0 + 130}),
    (3, 4, 2, 1, ${ODD.length}, ${T0 + 1201}, ${T0 + 1212}), (4, 5, 1, 1, 20, ${T0 + 1300}, ${T0 + 1320}),
    (5, 6, 1, 1, 43, ${T0 + 1400}, ${T0 + 3000}), (6, 7, 3, 1, 15, ${T0 + 2200}, 0),
    (7, 8, 2, 4, 130, ${T0 + 9501}, NULL), (8, 9, 4, 1, 10, NULL, NULL);`;

/** A store of its own for the test T, with ROWS in it. */
function store(t, rows = CALL) {
    const dir = mkdtempSync(join(tmpdir(), 'pollux-ctl-'));
    t.after(() => rmSync(dir, { recursive: true }));
    const db = join(dir, 'pollux.db');
    const sql = (text) => execFileSync('sqlite3', [db], { input: text, encoding: 'utf8' }).trim();
    const env = { PATH: process.env.PATH, LC_ALL: 'C.UTF-8', TZ: 'UTC', POLLUX_STORE: dir };
    sql(`PRAGMA journal_mode = WAL; PRAGMA user_version = ${VERSION}; BEGIN; ${sources('schema.sql')} ${sources('views.sql')} ${rows}
         COMMIT;`);
    return {
        dir, sql, env,
        /** Run polluxctl; its output, and that it ended with STATUS. */
        run(args, { status = 0, more = {} } = {}) {
            const done = spawnSync(program, args, { env: { ...env, ...more }, encoding: 'utf8',
                maxBuffer: 1 << 26 });
            assert.equal(done.status, status, `polluxctl ${args.join(' ')}: ${done.stderr || done.signal || done.error}`);
            return done;
        },
        out(...args) { return this.run(args).stdout; },
        lines(...args) { return this.out(...args).split('\n').filter(Boolean); },
    };
}

test('log_shows_who_said_what_to_whom', (t) => {
    const s = store(t);
    assert.deepEqual(s.lines('log', 'room').map((line) => line.replace(/ +/g, ' ')), [
        '2025-11-24',
        '16:00:00.100 #2 AAAAAA → server create or join "room"',
        `16:00:00.100 #3 server → AAAAAA 30 ms created "room","${ALICE}"`,
        String.raw`16:00:01.200 #4 AAAAAA → BBBBBBbb 12 ms message {"n":12345678901234567890,"u":"\ud800","z":"a\u0000b","x":1e400,"n":1}`,
        '16:00:01.400 #6 BBBBBBbb → AAAAAA 1600 ms file {"_placeholder":true,"num":0} +1 attachment',
        '16:00:02.200 #7 server → BBBBBBbc never full "room"',
        String.raw`16:00:09.500 #8 AAAAAA → BBBBBBbb sent message "\u009b31m\u007f\u202e<b>;#end"`,
    ]);
    assert.equal(s.lines('log').length, 8);
    assert.equal(s.lines('log', '--all').length, 10);
    assert.match(s.out('log', '--long', 'other'), new RegExp(`${BOB} → ${DORA} +waiting +note +1$`, 'm'));
});

test('log_can_be_narrowed_by_time_and_number', (t) => {
    const s = store(t);
    const seqs = (...args) => s.lines('log', '--json', ...args).map((line) => JSON.parse(line).seq);
    assert.deepEqual(seqs('-n', '2'), [8, 9]);
    assert.deepEqual(seqs('-n', '2', 'room'), [7, 8]);
    assert.deepEqual(seqs('-n', '0'), []);
    assert.deepEqual(seqs('--since', '2025-11-24 16:00:09'), [8, 9]);
    assert.deepEqual(seqs('--since', '2025-11-24T16:00:01.400', '--until', '2025-11-24 16:00:09.500'), [6, 7]);
    assert.deepEqual(seqs('--until', '2025-11-24'), []);
    assert.deepEqual(seqs('--since', '10m'), []);
    s.sql(`INSERT INTO message (at_ms, type, sender, channel, name, size, recipients, unheard)
           VALUES (${Date.now() - 120000}, 2, 1, 'room', 'late', 0, 0, 0)`);
    assert.deepEqual(seqs('--since', '10m'), [10]);
    assert.deepEqual(seqs('--since', '10m', '--until', '1m'), [10]);
    assert.deepEqual(seqs('--since', '1m'), []);
    for (const bad of ['2025-02-30', '25:00', '10', 'soon', '2025-11-24 16', '-5m'])
        assert.match(s.run(['log', `--since=${bad}`], { status: 2 }).stderr, /is no time; write/);
});

test('json_changes_no_byte_of_a_payload', (t) => {
    const s = store(t);
    assert.ok(s.out('log', '--json').includes(`"body":${ODD},`));
    assert.ok(s.out('show', '4', '--json').includes(`"body":${ODD},`));
    assert.ok(s.out('log', '--json').includes(`"body":${NASTY},`));
    assert.deepEqual(JSON.parse(s.lines('log', 'room', '--json')[2]).recipients,
        [{ socket: BOB, state: 'arrived', sent_ms: T0 + 1201, arrived_ms: T0 + 1212, took_ms: 12 }]);
});

test('json_keeps_a_payload_with_line_breaks_on_one_line', (t) => {
    const s = store(t);
    s.sql(`UPDATE message SET body = '["message",' || char(10) || ' 1 ]' WHERE id = 4`);
    assert.ok(s.lines('log', '--json', 'room')[2].includes('"body":["message",  1 ],'));
});

test('secrets_stay_in_the_store', (t) => {
    const s = store(t);
    for (const args of [['log', '--all'], ['log', '--all', '--json'], ['show', '1'], ['show', '1', '--json'], ['who', '--all']])
        assert.doesNotMatch(s.out(...args), /pid-of|sid-of/);
});

test('nothing_that_peers_send_reaches_the_terminal_raw', (t) => {
    const s = store(t);
    s.sql(`UPDATE message SET name = char(27) || ']0;x' || char(7), channel = 'room' || char(10) || char(155) WHERE id = 8;
           UPDATE channel SET name = 'room' || char(27) WHERE id = 1;
           UPDATE message SET body = CAST(x'5b226d657373616765222cff1b5d' AS TEXT) WHERE id = 4;
           UPDATE socket SET address = char(27) WHERE id = 2;`);
    for (const args of [['log'], ['show', '8'], ['show', '4'], ['channels'], ['who'], ['diagram', 'room'], ['check'],
        ['diagram', 'room\n\u009b']])
        // eslint-disable-next-line no-control-regex -- they are what must not be there
        assert.doesNotMatch(s.out(...args).replaceAll('\n', ''), /[\x00-\x1f\x7f-\x9f\u202e]/, args.join(' '));
    assert.match(s.run(['diagram', 'x\x1b[31m'], { status: 1 }).stderr, /x\\u001b\[31m/);
    // eslint-disable-next-line no-control-regex -- they are what must not be there
    assert.doesNotMatch(s.run(['log', '\x1b'], { status: 0 }).stderr, /\x1b/);
});

test('following_shows_what_is_said_from_now_on', async (t) => {
    const s = store(t);
    const child = spawn(program, ['log', '--follow', 'room', '--json', '-n', '1'], { env: s.env });
    const seqs = [];
    let rest = '';
    t.after(() => child.kill());
    child.stdout.setEncoding('utf8').on('data', (text) => {
        const lines = (rest + text).split('\n');
        rest = lines.pop();
        for (const line of lines) seqs.push(JSON.parse(line).seq);
    });
    const until = async (count) => {
        for (let i = 0; i < 500 * slow && seqs.length < count; i++) await new Promise((done) => setTimeout(done, 20));
        assert.equal(seqs.length, count);
    };
    await until(1);
    s.sql(`INSERT INTO message (at_ms, type, sender, channel, name, size, recipients, unheard)
           VALUES (${T0 + 9700}, 2, 1, 'other', 'no', 0, 0, 0), (${T0 + 9800}, 2, 1, 'room', 'yes', 0, 0, 0)`);
    await until(2);
    // It holds nothing open meanwhile: the write-ahead log can be emptied.
    assert.equal(s.sql('PRAGMA wal_checkpoint(TRUNCATE)'), '0|0|0');
    assert.deepEqual(seqs, [8, 11]);
});

test('log_finds_the_deliveries_of_a_long_log', (t) => {
    const s = store(t);
    s.sql(`WITH RECURSIVE n (i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
           INSERT INTO message (id, at_ms, type, sender, channel, name, body, size, recipients, unheard)
           SELECT i, ${T0} + 10000 + i, 2, 1, CASE WHEN i % 5000 = 0 THEN 'rare' ELSE 'busy' END, 'm', '["m"]', 5, i % 3, 0 FROM n;
           INSERT INTO delivery (message, socket, nth, upto_bytes, sent_ms, arrived_ms)
           SELECT m.id, 2 + n.k, 1, 5, m.at_ms + 1, m.at_ms + 2 FROM message m, (SELECT 0 AS k UNION ALL SELECT 2) n
            WHERE m.id >= 100 AND m.recipients > n.k / 2 ORDER BY m.id, n.k;`);
    const said = s.lines('log', 'rare', '--json').map((line) => JSON.parse(line));
    assert.deepEqual(said.map((m) => [m.seq, m.recipients.map((r) => r.socket)]),
        [[5000, [BOB, DORA]], [10000, [BOB]], [15000, []], [20000, [BOB, DORA]]]);
    assert.deepEqual(s.lines('log', 'rare', '--json', '-n', '2').map((line) => JSON.parse(line).seq), [15000, 20000]);
    const all = s.lines('log', 'busy', '--json').map((line) => JSON.parse(line));
    assert.equal(all.length, 19901 - 4);
    assert.ok(all.every((m) => m.recipients.length === m.seq % 3));
    assert.match(s.out('check'), /is well/);
});

test('channels_and_who_tell_what_exists', (t) => {
    const s = store(t);
    assert.deepEqual(s.lines('channels').map((line) => line.split(/ {2,}/)), [
        ['CHANNEL', 'MEMBERS', 'AWAY', 'ASKING', 'OPENED', 'NAMESPACE'],
        ['other', '2', '1', '0', '2025-11-24 16:00:00.000', '/'], ['room', '2', '0', '0', '2025-11-24 16:00:00.000', '/']]);
    assert.deepEqual(s.lines('who', 'other', '--json').map((line) => JSON.parse(line)), [
        { channel: 'other', namespace: '/', socket: BOB, role: 'creator', joined_ms: T0, away_ms: null, address: '192.0.2.2',
          waiting: 1 },
        { channel: 'other', namespace: '/', socket: DORA, role: 'joiner', joined_ms: T0 + 3000, away_ms: T0 + 9000,
          address: '192.0.2.4', waiting: 1 }]);
    assert.match(s.out('who'), /^room +BBBBBBbb +joiner .* here /m);
    assert.match(s.out('who'), /^other +DDDDDD +joiner .* away for \d+ d /m);
    s.sql('DELETE FROM member WHERE socket = 4');
    assert.match(s.out('who', '--all'), /^- +DDDDDD +- /m);
    assert.match(s.run(['who', 'nowhere']).stderr, /nobody is in that channel/);
});

test('show_tells_everything_on_one_message', (t) => {
    const s = store(t);
    const text = s.out('show', '#6');
    assert.match(text, /^sender +BBBBBBbbbbbbbbbbbbbb$/m);
    assert.match(text, /^ {2}\{\n {4}"_placeholder": true,\n {4}"num": 0\n {2}\}\n\]$/m);
    assert.match(text, /^attachment 0: 3 bytes$/m);
    assert.match(text, /^AAAAAAaaaaaaaaaaaaaa +arrived +16:00:01\.400 +16:00:03\.000 +1600 ms$/m);
    assert.match(s.out('show', '2'), /for the server alone/);
    assert.match(s.run(['show', '99'], { status: 1 }).stderr, /there is no message 99/);
    assert.match(s.run(['show', 'x'], { status: 2 }).stderr, /x is no message/);
});

test('diagram_draws_the_call', (t) => {
    const s = store(t);
    assert.equal(s.out('diagram', 'room'), String.raw`sequenceDiagram
    participant P1 as creator AAAAAA
    participant Server
    participant P2 as joiner BBBBBBbb
    participant P3 as refused BBBBBBbc
    P1->>Server: create or join "room"
    Server->>P1: created "room","AAAAAAaaaaaaaaaaaaaa"
    P1->>P2: message {"n":12345678901234567890,"u":"#92;ud800","z":"a#92;u…
    P2->>P1: file {"_placeholder":true,"num":0} +1 attachment
    Server-xP3: full "room"
    Note over P3: refused, the channel is full
    Note over P3: left 16:00:02.500
    P1-->>P2: message "#92;u009b31m#92;u007f#92;u202e#60;b#62;#59;#35;end"
`);
    assert.match(s.run(['diagram', 'nowhere'], { status: 1 }).stderr, /cannot draw channel nowhere: nothing/);
});

test('a_diagram_that_cannot_be_read_whole_is_not_drawn', (t) => {
    const s = store(t);
    s.sql('DROP TABLE member');         // which says who had which role, and nothing that was said
    const { stdout, stderr } = s.run(['diagram', 'room'], { status: 1 });
    assert.equal(stdout, '');
    assert.match(stderr, /^polluxctl: cannot read the log in .*pollux\.db: no such table: .*member/);
});

test('close_disconnects_the_members_and_wakes_the_server', (t) => {
    const s = store(t);
    const leave = `["leave","other","${BOB}"]`;
    writeFileSync(join(s.dir, 'bell'), '');
    assert.equal(s.out('close', 'room'), 'closed room: 2 members disconnected\n');
    assert.equal(readFileSync(join(s.dir, 'bell')).length, 8);
    assert.equal(s.sql('SELECT name FROM channel; SELECT channel, socket FROM member'), 'other\n2|4');
    assert.equal(s.sql('SELECT id, gone_ms > 0, private IS NULL, session FROM socket WHERE id < 3'), '1|1|1|1\n2|1|1|2');
    assert.equal(s.sql(`SELECT m.type, m.sender, m.channel, m.name, m.body, m.size, m.recipients, m.unheard, d.socket, d.nth,
                               d.upto_bytes, d.arrived_ms
                          FROM delivery d JOIN message m ON m.id = d.message WHERE m.id > 9 ORDER BY d.id`),
    ['1|||||0|1|1|1|1|0|', `2||other|leave|${leave}|${leave.length}|1|1|4|2|${10 + leave.length}|`,
        '1|||||0|1|1|2|5|130|'].join('\n'));
    assert.equal(s.sql('SELECT session FROM notice ORDER BY id'), '1\n2');
    assert.match(s.out('check'), /is well/);
    assert.match(s.run(['close', 'room'], { status: 1 }).stderr, /there is no such channel; see polluxctl channels/);
});

test('close_gives_up_who_is_away', (t) => {
    const s = store(t);
    assert.equal(s.out('close', 'other'), 'closed other: 1 member disconnected, 1 away and now gone\n');
    assert.equal(s.sql('SELECT gone_ms > 0, away_ms IS NULL, private IS NULL FROM socket WHERE id = 4'), '1|1|1');
    assert.equal(s.sql('SELECT arrived_ms FROM delivery WHERE socket = 4'), '0');
    assert.equal(s.sql('SELECT body FROM message WHERE id = 9'), '["note",1]', 'kept, as everything is by default');
    assert.match(s.out('log', 'room', '-n', '1'), /server → AAAAAA +waiting +leave +"room","BBBBBBbbbbbbbbbbbbbb"$/m);
    assert.match(s.out('check'), /is well/);
});

test('close_keeps_nothing_that_is_not_to_be_kept', (t) => {
    const s = store(t);
    s.run(['close', 'other'], { more: { POLLUX_KEEP_PAYLOADS: 'no' } });
    assert.equal(s.sql('SELECT body IS NULL FROM message WHERE id = 9'), '1', 'nobody will hear it');
    assert.equal(s.sql('SELECT body IS NULL FROM message WHERE id = 8'), '0', 'Bob will');
});

test('close_asks_for_the_namespace_when_it_matters', (t) => {
    const s = store(t);
    s.sql(`INSERT INTO channel (id, nsp, name, opened_ms) VALUES (3, '/chat', 'room', 1);
           INSERT INTO socket (id, public, nsp, address, opened_ms, away_ms) VALUES (9, 'Z', '/chat', '', 1, 1);
           INSERT INTO member VALUES (3, 9, 'creator', 1)`);
    assert.match(s.run(['close', 'room'], { status: 1 }).stderr, /namespaces: \/, \/chat; name one with --namespace/);
    assert.match(s.out('close', 'room', '--namespace', '/chat'), /^closed room: 0 members disconnected, 1 away and now gone$/m);
    assert.equal(s.sql('SELECT id FROM channel ORDER BY id'), '1\n2');
});

test('gc_removes_what_is_old_and_never_what_is_owed', (t) => {
    const s = store(t);
    s.sql(`INSERT INTO message (at_ms, type, sender, channel, name, size, recipients, unheard)
           VALUES (${Date.now()}, 2, 1, 'room', 'new', 0, 0, 0)`);
    assert.match(s.out('gc'), /^removed 7 messages, 6 deliveries, 1 socket$/m);
    assert.equal(s.sql('SELECT group_concat(id) FROM message; SELECT group_concat(id) FROM delivery'), '8,9,10\n7,8');
    assert.match(s.out('check'), /is well/);
    assert.match(s.out('gc', '--vacuum'), /^removed 0 messages, 0 deliveries, 0 sockets$/m);
    assert.match(s.run(['gc'], { status: 1, more: { POLLUX_LOG_AGE_DAYS: 'x' } }).stderr, /log_age_days/i);
});

test('gc_removes_what_the_server_removes_though_the_oldest_is_owed', (t) => {
    const s = store(t);
    const then = Date.now() - 30 * 86400000;
    s.sql(`DELETE FROM delivery; DELETE FROM message;
           WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
           INSERT INTO message (id, at_ms, type, sender, channel, name, body, size, recipients, unheard)
               SELECT i, ${then}, 2, 1, 'other', 'note', '["note"]', 8, 1, i <= 300 FROM n;
           INSERT INTO delivery (id, message, socket, nth, upto_bytes, arrived_ms)
               SELECT id, id, 4, id, 8 * id, iif(id <= 300, NULL, ${then}) FROM message`);
    assert.match(s.out('gc'), /^removed 1699 messages, 1699 deliveries, 1 socket$/m);
    assert.equal(s.sql('SELECT count(*), max(id) FROM message'), '301|2000', 'the owed, and the newest');
    assert.match(s.out('check'), /is well/);
});

test('gc_takes_out_what_the_settings_do_not_want_kept', (t) => {
    const s = store(t);
    s.sql(`UPDATE message SET at_ms = at_ms + ${Date.now() - T0};
           UPDATE message SET body = '["message","candidate:1 1 udp 1 192.0.2.77 5000"]' WHERE id = 4`);
    s.run(['gc'], { more: { POLLUX_KEEP_ADDRESSES: 'no' } });
    assert.equal(s.sql('SELECT body FROM message WHERE id = 4'), '["message","candidate:1 1 udp 1 x.x.x.x 5000"]');
    assert.equal(s.sql("SELECT count(*) FROM socket WHERE address <> ''"), '0');
    s.run(['gc'], { more: { POLLUX_KEEP_PAYLOADS: 'no' } });
    assert.equal(s.sql('SELECT group_concat(id) FROM message WHERE body IS NOT NULL'), '8,9');
    assert.match(s.out('log', 'room'), /\(43 bytes, not kept\)/);
});

test('check_finds_what_does_not_fit_together', (t) => {
    const s = store(t);
    assert.equal(s.out('check'), `${s.dir}/pollux.db is well\n`);
    const faults = [
        ['INSERT INTO member VALUES (7, 1, \'joiner\', 1)', /is a member of channel 7, which does not exist/],
        ['INSERT INTO member VALUES (1, 77, \'joiner\', 1)', /socket 77 is a member of room, and there is no such socket/],
        ['INSERT INTO member VALUES (1, 3, \'joiner\', 1)', /is a member of room, but has left for good/],
        ['INSERT INTO channel VALUES (8, \'/\', \'empty\', 1)', /channel empty \(\/\) has no members/],
        ['DELETE FROM message WHERE id = 4', /delivery 3 is of message 4, which does not exist/],
        ['UPDATE delivery SET message = 2 WHERE id = 8', /delivery 8 is of message 2, but the one before it/],
        ['INSERT INTO delivery (id, message, socket, nth, upto_bytes) VALUES (9, 9, 2, 6, 140)', /queue of socket BBBB.* is miscounted at delivery 9/],
        ['UPDATE message SET body = NULL WHERE id = 8', /message 8 is still owed to socket BBBB.*, but what it said/],
        ['UPDATE visitor SET sessions = 5 WHERE address = \'\'', /the count of all sessions is 5, but there are 2/],
        ['DELETE FROM visitor WHERE address = \'192.0.2.2\'', /sessions from 192\.0\.2\.2 are not counted/],
        ['UPDATE socket SET session = 99 WHERE id = 1', /belongs to session number 99, which does not exist/],
        ['DELETE FROM polling WHERE session = 2', /session number 2 has no row in polling/],
        ['UPDATE polling SET session = 3 WHERE session = 2', /session number 3 has ended, yet its row in polling is there/],
        ['UPDATE socket SET session = NULL WHERE id = 1', /neither away nor gone/],
        ['UPDATE socket SET gone_ms = 1, away_ms = NULL WHERE id = 4', /could be recovered/],
    ];
    for (const [fault, finding] of faults) {
        const broken = store(t);
        broken.sql(fault);
        assert.match(broken.run(['check'], { status: 1 }).stdout, finding, fault);
    }
});

test('a_damaged_file_is_said_to_be_damaged', (t) => {
    const s = store(t);
    s.sql('PRAGMA journal_mode = DELETE');
    writeFileSync(join(s.dir, 'pollux.db'), 'this is no database at all, however long one looks at it'.repeat(100));
    assert.match(s.run(['check'], { status: 1 }).stderr, /cannot .*pollux\.db: .*not a database; stop the server/);
});

test('the_command_line_is_explained', (t) => {
    const s = store(t);
    assert.match(s.out('--help'), /^Usage: polluxctl/);
    assert.match(s.out('help', 'log'), /--follow/);
    assert.match(s.out('log', '--help'), /--follow/);
    assert.match(s.out('--version'), /^polluxctl \d+\.\d+/);
    for (const wrong of [[], ['dance'], ['log', 'a', 'b'], ['show'], ['who', '--follow'], ['log', '-n', 'x'], ['--dance'],
        ['check', 'room']])
        assert.match(s.run(wrong, { status: 2 }).stderr, /polluxctl/);
});

test('codes_are_explained_without_a_store', (t) => {
    const s = store(t);
    const none = { more: { POLLUX_STORE: '/nowhere', POLLUX_CONFIG: '/nowhere/either' } };
    const table = readFileSync(new URL('../../src/base/log.def', import.meta.url), 'utf8');
    const codes = [...table.matchAll(/^LOG_CODE\((P\d+)/gm)].map(([, code]) => code);
    const all = s.run(['codes'], none).stdout;
    assert.deepEqual(all.match(/^P\d+/gm), codes);
    const [line, meaning, advice] = s.run(['codes', 'p315'], none).stdout.trimEnd().split('\n');
    assert.equal(line, 'P315 warning rules');
    assert.match(meaning, /^ {4}A message was refused, .*\.$/);
    assert.match(advice, /^ {4}.*max_queued_messages.*\.$/);
    assert.match(s.run(['codes', 'P999'], { ...none, status: 1 }).stderr, /no code P999; polluxctl codes/);
});

test('the_store_is_found_as_the_server_finds_it', (t) => {
    const s = store(t);
    const conf = join(s.dir, 'pollux.conf');
    writeFileSync(conf, `store = ${s.dir}\n`);
    const none = { POLLUX_STORE: undefined };
    assert.match(s.run(['channels', '--store', s.dir], { more: { POLLUX_STORE: '/nowhere' } }).stdout, /room/);
    assert.match(s.run(['channels', '--config', conf], { more: none }).stdout, /room/);
    assert.match(s.run(['channels'], { more: { ...none, POLLUX_CONFIG: conf } }).stdout, /room/);
    assert.match(s.run(['channels', '--store', '/nowhere'], { status: 1 }).stderr, /cannot open \/nowhere\/pollux\.db: there is no such/);
    s.sql(`PRAGMA user_version = ${VERSION - 1}`);
    assert.match(s.run(['log'], { status: 1 }).stderr, /an older version/);
    s.sql(`PRAGMA user_version = ${VERSION + 1}`);
    assert.match(s.run(['channels'], { status: 1 }).stderr, /a newer version of Pollux wrote it/);
});

test('the_views_read_well', (t) => {
    const s = store(t);
    s.sql(`INSERT INTO message (at_ms, type, sender, channel, name, body, size, recipients, unheard)
           VALUES (${T0 + 9900}, 2, 1, 'room', 'x' || char(27) || '[31m', '["x\\u001b[31m"]', 15, 0, 0)`);
    const rows = execFileSync('sqlite3', [join(s.dir, 'pollux.db'), 'select * from conversation where channel = "room"'],
        { encoding: 'utf8', env: s.env });
    assert.equal(rows, `2|2025-11-24 16:00:00.100|AAAAAA|server|create or join|"room"|||room
3|2025-11-24 16:00:00.100|server|AAAAAA|created|"room","${ALICE}"|16:00:00.130|30|room
4|2025-11-24 16:00:01.200|AAAAAA|BBBBBB|message|${ODD.slice(11, 11 + 59)}…|16:00:01.212|12|room
6|2025-11-24 16:00:01.400|BBBBBB|AAAAAA|file|{"_placeholder":true,"num":0}|16:00:03.000|1600|room
7|2025-11-24 16:00:02.200|server|BBBBBB|full|"room"|never||room
8|2025-11-24 16:00:09.500|AAAAAA|BBBBBB|message|(control characters: see polluxctl show 8)|sent||room
10|2025-11-24 16:00:09.900|AAAAAA|nobody|(control characters)|["x\\u001b[31m"]|||room
`);
    assert.equal(s.sql('SELECT seq FROM slow; SELECT seq FROM lost; SELECT channel, member, state FROM who WHERE waiting > 0')
        .replace(/since [\d:]+/, 'since'), '6\n7\nother|BBBBBB|here\nother|DDDDDD|away since\nroom|BBBBBB|here');
});

// And beside a running server, whose every request may land on another process.

test('close_reaches_clients_of_a_running_server', async (t) => {
    const server = await startPollux({ procs: 3 });
    const sockets = [];
    t.after(() => server.stop());
    t.after(() => sockets.forEach((socket) => socket.close()));
    const env = { PATH: process.env.PATH, LC_ALL: 'C.UTF-8' };
    const ctl = (...args) => execFileSync(program, ['--store', server.dataDir, ...args], { encoding: 'utf8', env });
    const joined = async (channels) => {
        const one = await peer(official, server.url);
        sockets.push(one.socket);
        for (const [channel, answer] of Object.entries(channels)) {
            one.socket.emit('create or join', channel);
            await one.tape.next(answer);
        }
        return one.socket;
    };
    const anna = await joined({ room: 'created', side: 'created' }), ben = await joined({ room: 'joined' });
    const carl = await joined({ side: 'joined' });
    const annaId = anna.id;

    const bye = [once(anna, 'disconnect'), once(ben, 'disconnect')], told = once(carl, 'leave');
    const before = Date.now();
    assert.equal(ctl('close', 'room'), 'closed room: 2 members disconnected\n');
    assert.deepEqual((await Promise.all(bye)).map(([reason]) => reason), ['io server disconnect', 'io server disconnect']);
    assert.deepEqual(await told, ['side', annaId]);
    assert.ok(Date.now() - before < 2000 * slow, 'at once, not at the next heartbeat');
    assert.equal(carl.connected, true);
    assert.deepEqual(ctl('channels', '--json').split('\n').filter(Boolean).map((line) => JSON.parse(line).channel), ['side']);
    assert.match(ctl('log', 'room'), /#\d+ +server → \S+ .* created +"room"/);
    assert.match(ctl('gc'), /^removed 0 messages/);
    assert.match(ctl('check'), /is well/);
});

const SDP = 'v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=setup:actpass\r\nm=application 9 UDP/DTLS/SCTP x\r\n';
const candidate = (type) => `candidate:1 1 UDP 2113937151 192.0.2.7 54321 typ ${type}`;

/** A call in which Alice offers before Bob is there and once more when he is, with six candidates, and says something when he has left. */
function webrtcCall() {
    const rows = [], deliveries = [];
    const say = (at, sender, name, argument, to = null) => {
        const body = JSON.stringify([name, argument]), id = rows.length + 1;
        rows.push(`(${id}, ${T0 + at}, 2, ${sender ?? 'NULL'}, 'call', ${quote(name)}, ${quote(body)}, NULL, 0, ${body.length}, ${to ? 1 : 0}, 0)`);
        if (to) deliveries.push(`(${id}, ${to}, 1, 1, ${T0 + at}, ${T0 + at + id})`);
        return id;
    };
    const offer = { type: 'offer', sdp: SDP };
    say(0, 1, 'create or join', 'call');
    say(100, 1, 'message', offer);
    say(1800, 2, 'create or join', 'call');
    say(1900, 1, 'message', offer, 2);
    for (const type of ['host', 'host', 'srflx', 'host', 'relay']) say(1950, 1, 'message', { type: 'candidate', candidate: candidate(type) }, 2);
    say(1960, 1, 'message', { type: 'candidate', candidate: candidate('host') }, 4);
    say(1970, 2, 'message', { type: 'answer', sdp: SDP }, 1);
    say(1980, 2, 'message', { candidate: null }, 1);
    say(2500, 2, 'leave', 'call');
    say(3000, 1, 'message', 'are you there?');
    return `${CALL} DELETE FROM delivery; DELETE FROM message;
        INSERT INTO message (id, at_ms, type, sender, channel, name, body, attached, attachments, size, recipients, unheard) VALUES ${rows.join(',')};
        INSERT INTO delivery (message, socket, nth, upto_bytes, sent_ms, arrived_ms) VALUES ${deliveries.join(',')};`;
}

test('log_says_what_messages_are_about_and_whom_they_did_not_reach', (t) => {
    const s = store(t, webrtcCall());
    const shown = s.lines('log', 'call').map((line) => line.replace(/ +/g, ' ').replace(/^\S+ /, ''));
    assert.deepEqual(shown.slice(1), [
        '#1 AAAAAA → server create or join "call"',
        '#2 AAAAAA → nobody message the other joined 1700 ms later (send after "ready"): offer audio, data',
        '#3 BBBBBBbb → server create or join "call"',
        '#4 AAAAAA → BBBBBBbb 4 ms message offer audio, data',
        '#5…9 AAAAAA → BBBBBBbb 9 ms message 5 candidates: 3 host udp, 1 srflx udp, 1 relay udp',
        '#10 AAAAAA → DDDDDD 10 ms message candidate host udp',
        '#11 BBBBBBbb → AAAAAA 11 ms message answer audio, data',
        '#12 BBBBBBbb → AAAAAA 12 ms message no more candidates',
        '#13 BBBBBBbb → server leave "call"',
        '#14 AAAAAA → nobody message the other had left 500 ms before: "are you there?"',
    ]);
    const long = s.lines('log', 'call', '-l');
    assert.equal(long.filter((line) => line.includes('"candidate:1 1 UDP')).length, 6, 'whole lines are what was said');
    assert.equal(s.lines('log', 'call', '--json').length, 14, 'nothing is folded for programs');
});

test('log_folds_what_the_server_says_in_one_breath', (t) => {
    const s = store(t, `${CALL}
        INSERT INTO message (id, at_ms, type, sender, channel, name, body, attached, attachments, size, recipients, unheard) VALUES
            (20, ${T0 + 20000}, 2, NULL, 'room', 'join', '["join","room"]', NULL, 0, 15, 1, 0),
            (21, ${T0 + 20000}, 2, NULL, 'room', 'broadcast: joined', '["broadcast: joined","x"]', NULL, 0, 25, 1, 0),
            (22, ${T0 + 20000}, 2, NULL, 'room', 'joined', '["joined","room"]', NULL, 0, 17, 1, 0),
            (23, ${T0 + 20001}, 2, NULL, 'room', 'ready', '["ready","room"]', NULL, 0, 16, 1, 0);
        INSERT INTO delivery (message, socket, nth, upto_bytes, sent_ms, arrived_ms) VALUES
            (20, 1, 1, 1, ${T0 + 20001}, ${T0 + 20005}), (21, 1, 1, 1, ${T0 + 20001}, ${T0 + 20009}),
            (22, 2, 1, 1, ${T0 + 20001}, ${T0 + 20005}), (23, 2, 1, 1, ${T0 + 20001}, ${T0 + 20005});`);
    const last = (...args) => s.lines('log', 'room', ...args).map((line) => line.replace(/ +/g, ' ').replace(/^\S+ /, '')).filter((line) => /^#2\d/.test(line));
    assert.deepEqual(last(), [
        '#20…21 server → AAAAAA 9 ms join "room", and broadcast: joined', '#22 server → BBBBBBbb 5 ms joined "room"',
        '#23 server → BBBBBBbb 4 ms ready "room"',
    ]);
    assert.equal(last('-l').length, 4);
});

test('show_numbers_the_lines_of_a_description', (t) => {
    const s = store(t, webrtcCall());
    const text = s.out('show', '2');
    assert.match(text, /^about +offer audio, data$/m);
    assert.match(text, /^ +1 {2}v=0\n +2 {2}o=- 1 2 IN IP4 0\.0\.0\.0\n/m);
    assert.match(text, /^ +7 {2}m=application /m);
    assert.match(text, /It reached nobody: the other joined 1700 ms later/);
    assert.match(s.out('show', '1'), /It was for the server alone\./);
    assert.match(s.out('show', '5'), /^about +candidate host udp$/m);
});

test('diagram_and_view_say_so_as_well', (t) => {
    const s = store(t, webrtcCall());
    const arrows = s.out('diagram', 'call');
    assert.match(arrows, /P1-xServer: message offer audio, data \(nobody was there\)/);
    assert.match(arrows, /P1->>P2: message candidate srflx udp/);
    assert.equal(s.sql("SELECT group_concat(recipient, ' ') FROM conversation WHERE seq IN (1, 2, 13, 14)"), 'server nobody server nobody');
});

test('colours_are_kept_where_they_are_wanted', (t) => {
    const s = store(t), coloured = (text) => text.includes('\u001b[');
    assert.ok(!coloured(s.out('log', 'room')));
    assert.ok(coloured(s.out('--color=always', 'log', 'room')));
    assert.ok(coloured(s.run(['log', 'room', '--colour', 'always'], { more: { NO_COLOR: '1' } }).stdout));
    assert.ok(!coloured(s.out('log', 'room', '--color=auto')));
    assert.match(s.run(['log', '--color', 'sometimes'], { status: 2 }).stderr, /always, never or auto/);
});
