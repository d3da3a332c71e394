// What those hear who look after the server: the health address, the doctor's facts, its page in Chromium on a good host and on a
// bad one, and `--doctor` in a shell.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';
import { chromiumOptions } from './browser.mjs';
import { LIMIT_MS, program, request, startPollux, until, withPollux, within } from './harness.mjs';
import { startProxy } from './hosts.mjs';

const get = (url, headers) => request(url, { headers }).then(({ status, text }) => ({ status, ...JSON.parse(text) }));
const away = { 'X-Forwarded-For': '192.0.2.7' }; // whom a proxy here asks for

describe('the health address', () => {
    it('says_that_all_is_well_and_opens_no_session', () => withPollux({}, async (server) => {
        const well = await get(`${server.url}/socket.io/?health`);
        assert.equal(well.status, 'ok');
        assert.equal(well.sessions, 0);
        assert.ok(well.database_bytes > 0 && well.disk_free_bytes > 0);
        assert.equal(server.sql('SELECT count(*) AS n FROM session')[0].n, 0);
        assert.deepEqual(await get(`${server.url}/socket.io/?health`, away), { status: 'ok', store: 'ok' }, 'strangers hear no figures');
        assert.equal((await request(`${server.url}/socket.io/?health`, { method: 'POST', body: 'x' })).status, 400);
    }));

    it('says_503_while_the_store_fails_and_200_when_it_works_again', () => withPollux({ allow: / error P30\d / }, async (server) => {
        const lock = spawn('sqlite3', [server.database], { stdio: ['pipe', 'pipe', 'ignore'] });
        lock.stdin.write('BEGIN IMMEDIATE;\nSELECT 1;\n');
        await new Promise((done) => lock.stdout.once('data', done));
        const ask = () => request(`${server.url}/socket.io/?health`);
        try {
            await until(async () => {
                request(`${server.url}/socket.io/?EIO=4&transport=polling&t=x${Date.now()}`).catch(() => {});
                const { status, text } = await ask();
                return status === 503 && /failing|cannot be written/.test(text);
            }, LIMIT_MS, 'a 503');
        } finally {
            lock.kill();
        }
        await until(async () => {
            await request(`${server.url}/socket.io/?EIO=4&transport=polling&t=x${Date.now()}`).catch(() => {});
            return (await ask()).status === 200;
        }, LIMIT_MS, 'a 200');
    }));
});

describe('the doctor', () => {
    it('tells_facts_to_this_machine_and_to_who_has_the_word', () => withPollux({ env: { POLLUX_SLOTS: 7 } }, async (server) => {
        const address = `${server.url}/socket.io/?doctor`;
        const facts = await get(address, { Origin: server.url });
        assert.equal(facts.how, 'FastCGI');
        assert.equal(facts.slots, 7);
        assert.equal(facts.origin, server.url);
        assert.equal(facts.address, '127.0.0.1');
        assert.match(facts.software, /^lighttpd\//);
        assert.ok(Math.abs(facts.now_ms - Date.now()) < LIMIT_MS);

        assert.equal((await request(`${address}=nothing1`, { headers: away })).status, 403);
        const file = join(server.dataDir, 'doctor');
        writeFileSync(file, 'short\n');
        assert.equal((await request(`${address}=short`, { headers: away })).status, 403, 'a word that is guessed too soon');
        writeFileSync(file, 'long enough\n');
        assert.equal((await request(`${address}=long%20enough`, { headers: away })).status, 200);
        for (const wrong of ['', 'long enoug', 'long enough ', 'x'.repeat(500)]) {
            assert.equal((await request(`${address}=${encodeURIComponent(wrong)}`, { headers: away })).status, 403, wrong);
        }
        assert.equal((await request(address, { headers: { Origin: 'https://other.example' } })).status, 400, 'no page of another site');
    }));

    for (const cgi of [false, true]) {
        it(`lets_a_request_wait_and_tells_of_one_that_went${cgi ? '_as_cgi' : ''}`, () => withPollux({ cgi }, async (server) => {
            const address = `${server.url}/socket.io/?doctor`;
            const begun = Date.now();
            assert.equal((await request(`${address}&hold=700`)).text, '6');
            assert.ok(Date.now() - begun >= 690);
            assert.equal((await get(address)).how, cgi ? 'CGI' : 'FastCGI');
            assert.equal((await request(`${address}&hold=70001`)).status, 400);
            assert.equal((await request(`${address}&hold=soon`)).status, 400);
            let first = 0;
            const flowed = await new Promise((done, fail) => {
                http.get(`${address}&flow=1000`, (rs) => {
                    first = Date.now();
                    rs.resume();
                    rs.on('end', () => done(Date.now() - first));
                }).on('error', fail);
            });
            assert.ok(flowed > 500, `its end came ${flowed} ms after its beginning`);
            if (cgi) return;
            // Of nine that want to wait eight do: the first answer is the ninth's.
            const agent = new http.Agent();
            const waiting = Array.from({ length: 9 }, () => request(`${address}&hold=60000`, { agent }));
            const { status } = await within(Promise.any(waiting), 'the one that is refused');
            assert.equal(status, 429);
            agent.destroy();
            assert.equal((await Promise.allSettled(waiting)).filter(({ status: how }) => how === 'rejected').length, 8);
            assert.equal(server.sql('SELECT count(*) AS n FROM session')[0].n, 0, 'it writes nothing');
        }));
    }
});

describe('doctor.html', () => {
    let server, browser;
    before(async () => { [server, browser] = await Promise.all([startPollux({ procs: 2 }), chromium.launch(chromiumOptions())]); });
    after(async () => {
        await browser?.close();
        await server?.stop();
    });

    /** What the page at URL finds: {Payload: 'bad', ...}, its state, and its lines for pollux.conf. */
    async function examine(url, word = '') {
        const page = await (await browser.newContext()).newPage();
        page.setDefaultTimeout(3 * LIMIT_MS);
        await page.goto(`${url}/doctor.html?longest=5`);
        if (word) await page.locator('#word').fill(word);
        await page.getByRole('button', { name: 'Examine' }).click();
        await page.locator('#begin:enabled').waitFor();
        const items = await page.locator('#findings li').all();
        const found = {};
        for (const item of items) found[await item.getAttribute('data-what')] = [await item.getAttribute('class'), await item.innerText()];
        return { found, state: await page.locator('#state').innerText(), conf: await page.locator('#conf').textContent() };
    }

    it('is_reached_from_the_first_page_and_finds_nothing_on_a_good_host', async () => {
        const page = await browser.newPage();
        await page.goto(`${server.url}/`);
        await page.getByText('The server is well').waitFor();
        await page.getByRole('link', { name: 'Examine this host' }).click();
        await page.waitForURL(/doctor\.html$/);
        const { found, state, conf } = await examine(server.url);
        assert.deepEqual(Object.entries(found).filter(([, [kind]]) => kind === 'bad'), []);
        for (const what of ['Who answers', 'Versions', 'Clock', 'TLS', 'Addresses', 'POST', 'Client file', 'Payload', 'Parts of answers', 'At a time',
            'Vanished clients', 'Waiting']) assert.ok(what in found, `${what} in ${Object.keys(found)}`);
        assert.match(found.Waiting[1], /as long as was tried; polls wait for 25 s/);
        assert.match(state, /^All works; 1 to look at/);
        assert.equal(conf, '');
    });

    it('says_what_is_wrong_with_a_bad_one_and_the_lines_that_mend_it', async (t) => {
        writeFileSync(join(server.dataDir, 'doctor'), 'the magic word\n');
        const host = await startProxy(t, { url: server.url, path: '/socket.io/', pages: '/' }, {
            name: 'internal.example', lines: `proxy_read_timeout 4s; proxy_set_header X-Forwarded-For 192.0.2.7; client_max_body_size 70k;
                location = /socket.io/socket.io.js { return 404; }`,
        });
        const blind = await examine(host.url);
        assert.match(blind.found['Who answers'][1], /wants the word/);
        const { found, state, conf } = await examine(host.url, 'the magic word');
        assert.deepEqual(Object.entries(found).filter(([, [kind]]) => kind === 'bad').map(([what]) => what).sort(),
            ['Client file', 'Payload', 'Waiting']);
        assert.match(state, /^3 to mend/);
        assert.match(conf, /^max_payload_bytes = 60000$/m);
        assert.match(conf, /^ping_interval_ms = 1000$/m);
    });

    it('and_the_first_page_says_well_only_when_all_is_there', async (t) => {
        const host = await startProxy(t, { url: server.url, path: '/socket.io/' }, { lines: 'location = /socket.io/socket.io.js { return 404; }' });
        const page = await browser.newPage();
        await page.goto(`${host.url}/`);
        await page.getByText('The client file socket.io.js is not there (404)').waitFor();
        const deaf = await startProxy(t, { url: server.url, path: '/socket.io/' }, { lines: 'if ($request_method = POST) { return 405; }' });
        await page.goto(`${deaf.url}/`);
        await page.getByText('What this page sends is answered 405').waitFor();
    });
});

describe('--doctor', () => {
    let dir;
    before(() => { dir = mkdtempSync(join(tmpdir(), 'pollux-doctor-')); });
    after(() => rmSync(dir, { recursive: true, force: true }));

    const ask = (env) => promisify(execFile)(program, ['--doctor'], { env: { PATH: process.env.PATH, POLLUX_CONFIG: '/dev/null', ...env } })
        .then(({ stdout }) => ({ code: 0, out: stdout }), (error) => ({ code: error.code, out: error.stdout }));

    it('finds_nothing_where_all_is_well_and_makes_nothing', async () => {
        const store = join(dir, 'store');
        const { code, out } = await ask({ POLLUX_STORE: store });
        assert.equal(code, 0, out);
        assert.match(out, /^ok +store +.*to be created$/m);
        assert.match(out, /^ok +program +pollux\.fcgi \d.*SQLite 3/m);
        assert.match(out, /Nothing stands in the way/);
        assert.throws(() => readFileSync(store), /ENOENT/);
    });

    it('says_what_is_in_the_way', async () => {
        const served = join(dir, 'public_html/data');
        mkdirSync(served, { recursive: true });
        const open = join(dir, 'open');
        mkdirSync(open);
        chmodSync(open, 0o755);
        for (const [env, words, status] of [
            [{ POLLUX_STORE: served }, /^BAD +store .*shows it to everybody\n +move it/m, 1],
            [{ POLLUX_STORE: join(dir, 'no', 'where') }, /^BAD +store +cannot create/m, 1],
            [{ POLLUX_CAPACITY: 'many' }, /^BAD +settings +environment: POLLUX_CAPACITY/m, 1],
            [{ POLLUX_STORE: open }, /^look +store .*\n +others may look into it: chmod 700/m, 0],
            [{ POLLUX_STORE: open, DOCUMENT_ROOT: dir }, /^BAD +store/m, 1],
        ]) {
            const { code, out } = await ask(env);
            assert.match(out, words);
            assert.equal(code, status, out);
        }
    });
});
