// The command line and the configuration: what is printed, what is refused, and whether the refusal says what, where and what to do.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { LIMIT_MS, lighttpdParts, program, until, within } from './harness.mjs';

let dir;
before(() => { dir = mkdtempSync(join(tmpdir(), 'pollux-config-')); });
after(() => rmSync(dir, { recursive: true, force: true }));

const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(POLLUX_|REQUEST_METHOD|GATEWAY)/.test(name)));
let files = 0;

/** Write an INI file; returns its path. */
function file(text) {
    const path = join(dir, `${++files}.conf`);
    writeFileSync(path, text);
    return path;
}

/** Run the program, its standard output to the descriptor STDOUT unless it is to be read: {code, out, err}. */
async function run(args, env = {}, stdout = 'pipe') {
    const child = spawn(program, args, { env: { ...clean, ...env }, stdio: ['ignore', stdout, 'pipe'] });
    const result = { out: '', err: '' };
    child.stdout?.on('data', (data) => { result.out += data; });
    child.stderr.on('data', (data) => { result.err += data; });
    try {
        const [code, signal] = await within(once(child, 'close'), `the end of ${program} ${args.join(' ')}`);
        return { ...result, code: code ?? signal };
    } finally {
        child.kill('SIGKILL');
    }
}

/** A refusal: an exit status, nothing on standard output, and a message with all of WORDS. */
async function refused(args, env, ...words) {
    const { code, out, err } = await run(args, env);
    assert.equal(typeof code, 'number', `ended by ${code}\n${err}`);
    assert.notEqual(code, 0, 'the exit status');
    assert.equal(out, '');
    for (const word of words) assert.ok(err.toLowerCase().includes(String(word).toLowerCase()), `"${word}" in: ${err}`);
    assert.doesNotMatch(err, /Sanitizer|runtime error/);
    return err;
}

describe('command line', () => {
    it('help_names_the_options', async () => {
        const { code, out } = await run(['--help']);
        assert.equal(code, 0);
        for (const option of ['--config', '--socket', '--check-config', '--print-config', '--version', '--help']) {
            assert.ok(out.includes(option), option);
        }
    });

    it('version_is_one_line', async () => {
        const { code, out, err } = await run(['--version']);
        assert.equal(code, 0);
        assert.match(out, /^pollux\S* .*\d+\.\d+\S*\n$/);
        assert.equal(err, '');
    });

    it('unknown_options_are_refused', () => refused(['--frobnicate'], {}, '--frobnicate', '--help'));
    it('options_without_their_argument_are_refused', () => refused(['--config'], {}, '--config'));
    it('what_a_visitor_asks_for_is_no_option', async () => {
        // Web servers split a query without "=" into a CGI program's arguments.
        for (const query of ['--print-config', '-V', `--socket+${join(dir, 'evil')}`, `-c+${join(dir, 'nowhere')}`, '--frobnicate']) {
            const env = {
                GATEWAY_INTERFACE: 'CGI/1.1', REQUEST_METHOD: 'GET', REQUEST_URI: `/socket.io/?${query}`, QUERY_STRING: query,
                POLLUX_STORE: join(dir, 'visited'),
            };
            const { code, out } = await run(query.split('+'), env);
            assert.equal(code, 0, query);
            assert.match(out, /^Status: 400 [^]*\r\n\r\n\{"code":0,"message":"Transport unknown"\}$/, query);
        }
        assert.ok(!existsSync(join(dir, 'evil')));
    });

    it('started_by_hand_it_says_how_to_start_it', () => refused([], { POLLUX_STORE: join(dir, 'hand') }, '--socket'));
});

describe('configuration', () => {
    it('defaults_are_printed_with_their_units', async () => {
        const { code, out } = await run(['--print-config']);
        assert.equal(code, 0);
        for (const line of ['ping_interval_ms = 25000', 'ping_timeout_ms = 20000', 'recovery_window_ms = 120000', 'max_payload_bytes = 1000000',
            'capacity = 2']) {
            assert.match(out, new RegExp(`^[;#]? ?${line.replace(' = ', '\\s*=\\s*')}$`, 'm'));
        }
    });

    it('what_is_printed_reads_back_the_same', async () => {
        const env = { POLLUX_CAPACITY: '7', POLLUX_ALLOWED_ORIGINS: 'https://a.example https://*.example.org', POLLUX_KEEP_ADDRESSES: 'no',
            POLLUX_DURABILITY: 'full', POLLUX_STORE: dir };
        const first = await run(['--print-config'], env);
        assert.equal(first.code, 0, first.err);
        const second = await run(['--config', file(first.out), '--print-config']);
        assert.equal(second.err, '');
        assert.equal(second.out, first.out);
        assert.match(first.out, /^capacity\s*=\s*7$/m);
    });

    it('what_cannot_be_printed_is_said', async () => {
        const full = openSync('/dev/full', 'w');
        try {
            const { code, err } = await run(['--print-config'], {}, full);
            assert.equal(code, 1);
            assert.match(err, /cannot print the settings: .*space/i);
        } finally {
            closeSync(full);
        }
    });

    it('environment_wins_over_the_file', async () => {
        const path = file('capacity = 3\nping_interval_ms = 1000\n');
        const { out } = await run(['--config', path, '--print-config'], { POLLUX_CAPACITY: '4' });
        assert.match(out, /^capacity\s*=\s*4$/m);
        assert.match(out, /^ping_interval_ms\s*=\s*1000$/m);
    });

    it('the_environment_may_name_the_file', async () => {
        const { out } = await run(['--print-config'], { POLLUX_CONFIG: file('capacity = 3\n') });
        assert.match(out, /^capacity\s*=\s*3$/m);
    });

    it('a_good_file_passes_the_check', async () => {
        const { code, err } = await run(['--config', file(`; a comment\nstore = ${dir}\ncapacity = 5\n`), '--check-config']);
        assert.equal(err, '');
        assert.equal(code, 0);
    });

    const wrong = {
        unknown_key: ['capacty = 3', 'capacty', 'capacity'],
        out_of_range: ['capacity = 0', 'capacity', '0', '1', '1000000'],
        not_a_number: ['capacity = many', 'capacity', 'many'],
        fraction: ['capacity = 2.5', 'capacity', '2.5'],
        unit_in_the_value: ['ping_interval_ms = 25s', 'ping_interval_ms', '25s', 'milliseconds'],
        beyond_64_bits: ['capacity = 99999999999999999999', 'capacity', '1000000'],
        not_yes_or_no: ['keep_payloads = maybe', 'keep_payloads', 'maybe', 'yes'],
        unknown_choice: ['durability = eternal', 'durability', 'eternal', 'normal', 'full'],
        no_value: ['capacity =', 'capacity'],
        bad_origin: ['allowed_origins = example.org', 'allowed_origins', 'https://'],
        bad_namespace: ['namespaces = chat', 'namespaces', "'/'"],
        bad_path: ['path = socket.io', 'path', '/'],
        no_assignment: ['capacity', 'capacity'],
    };
    for (const [rule, [line, ...words]] of Object.entries(wrong)) {
        it(`${rule}_is_refused_with_file_and_line`, async () => {
            const path = file(`; first line\nstore = ${dir}\n${line}\n`);
            await refused(['--config', path, '--check-config'], {}, `${path}:3`, ...words);
        });
    }

    it('wrong_variables_are_refused_by_name', async () => {
        await refused(['--check-config'], { POLLUX_STORE: dir, POLLUX_CAPACITY: '0' }, 'POLLUX_CAPACITY', '1000000');
        await refused(['--check-config'], { POLLUX_STORE: dir, POLLUX_CAPACTY: '3' }, 'POLLUX_CAPACTY', 'POLLUX_CAPACITY');
    });

    it('a_missing_file_is_refused', () => refused(['--config', join(dir, 'nowhere.conf'), '--check-config'], {}, join(dir, 'nowhere.conf'), 'no such file'));

    it('a_wrong_configuration_does_not_start', () => refused(['--config', file('capacity = 0\n'), '--socket', join(dir, 's')], {}, 'capacity'));
});

describe('the store', () => {
    const start = (store) => ['--socket', join(dir, `${++files}.sock`), '--config', file(`store = ${store}\n`)];
    const check = (store) => ['--check-config', '--config', file(`store = ${store}\n`)];

    it('a_folder_whose_parent_is_missing_is_refused', async () => {
        const store = join(dir, 'not', 'there');
        await refused(start(store), {}, store);
        await refused(check(store), {}, store);
        assert.equal(existsSync(join(dir, 'not')), false);
    });

    it('a_file_in_its_place_is_refused', async () => {
        const store = join(dir, 'a-file');
        writeFileSync(store, '');
        await refused(start(store), {}, store, 'directory');
        await refused(check(store), {}, store, 'directory');
    });

    it('an_unwritable_folder_is_refused', { skip: process.getuid() === 0 && 'root may write everywhere' }, async () => {
        const store = join(dir, 'read-only');
        mkdirSync(store, { mode: 0o500 });
        await refused(start(store), {}, store, 'permission');
        await refused(check(store), {}, store, 'permission');
        chmodSync(store, 0o700);
    });

    it('a_file_system_without_room_for_folders_is_refused', async () => {
        await refused(start('/proc/pollux'), {}, '/proc/pollux');
    });

    it('a_newer_database_is_refused_and_left_alone', async () => {
        const store = join(dir, 'newer');
        mkdirSync(store);
        const database = join(store, 'pollux.db');
        execFileSync('sqlite3', [database, 'pragma journal_mode = wal; pragma user_version = 9999; create table future (x);']);
        const bytes = readFileSync(database);
        await refused(start(store), {}, database, '9999');
        await refused(check(store), {}, database, '9999');
        assert.ok(readFileSync(database).equals(bytes));
    });

    it('something_else_in_the_databases_place_is_refused', async () => {
        const store = join(dir, 'else');
        mkdirSync(store);
        writeFileSync(join(store, 'pollux.db'), 'this is no database, and long enough to be taken for one '.repeat(100));
        await refused(start(store), {}, join(store, 'pollux.db'), 'database');
    });

    it('a_new_folder_is_created_for_its_owner_alone', async () => {
        const store = join(dir, 'new');
        const socket = join(dir, 'new.sock');
        const child = spawn(program, ['--socket', socket], { env: { ...clean, POLLUX_STORE: store }, stdio: ['ignore', 'ignore', 'pipe'] });
        let err = '';
        child.stderr.on('data', (data) => { err += data; });
        const ended = once(child, 'close');
        try {
            await until(() => existsSync(socket) && existsSync(join(store, 'pollux.db')));
            assert.equal(statSync(store).mode & 0o777, 0o700);
            await until(() => {
                try {
                    return execFileSync('sqlite3', ['-readonly', join(store, 'pollux.db'), 'pragma user_version'],
                        { encoding: 'utf8', stdio: 'pipe' }).trim() !== '0';
                } catch {
                    return false; // it is being created at this moment
                }
            });
            child.kill('SIGTERM');
            const [code] = await within(ended, 'the end after TERM', LIMIT_MS);
            assert.equal(code, 0, err);
            assert.doesNotMatch(err, /^\S+ error /m);
        } finally {
            child.kill('SIGKILL');
        }
    });

    it('checking_creates_no_database', async () => {
        const store = join(dir, 'checked');
        assert.equal((await run(check(store))).code, 0);
        assert.equal(existsSync(join(store, 'pollux.db')), false);
    });
});

describe('what is documented', () => {
    const top = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..');
    /** The block of lighttpd's settings in TEXT that maps requests to the program: its lines without comments. */
    const block = (text) => /^\$HTTP\["url"\] =~ "\^\/socket[^]*?^\}/m.exec(text)[0].split('\n')
        .map((line) => line.replace(/\s+#.*/, '').replace(/\s+/g, ' ').trim()).filter(Boolean);

    // What is filled in is run by other tests.
    it('lighttpd_is_set_as_the_manual_says', () => assert.deepEqual(
        block(readFileSync(join(top, 'man/pollux.fcgi.8'), 'utf8').replaceAll('\\e', '\\')),
        block(lighttpdParts('fastcgi', {
            program: '/usr/sbin/pollux.fcgi', max_procs: 1, asked: '/socket\\.io/?', path: '/socket.io/', max_request: 1000,
            socket: '/run/lighttpd/pollux.socket', environment: '"POLLUX_CONFIG" => "/etc/pollux.conf"',
        }))));
});
