// Who keeps a seat and who loses it, in Chromium with the official client, behind lighttpd and behind nginx: a page that waits in a
// dialog is there; one that was closed or reloaded without a word is not.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { chromium } from 'playwright-core';
import { chromiumOptions } from './browser.mjs';
import { LIMIT_MS, channelName, official, peer, readSql, startPollux, until } from './harness.mjs';
import { startNginx } from './nginx.mjs';

const client = readFileSync(join(dirname(createRequire(import.meta.url).resolve('socket.io-client/package.json')), 'dist', 'socket.io.js'), 'utf8');
const BLOCKED_MS = 20000;               // less than the time in which a heartbeat must be answered

const PAGE = `<!doctype html><title>page</title><script src="client.js"></script><script>
const heard = [];
const socket = io();
socket.onAny((...event) => {
    heard.push(event);
    if (event[0] === 'message' && event[1] === 'ask the user') socket.emit('message', { channel, message: prompt('what?') });
});
const channel = new URLSearchParams(location.search).get('channel');
socket.on('connect', () => socket.recovered || socket.emit('create or join', channel));
</script>`;

let browser;
before(async () => { browser = await chromium.launch(chromiumOptions()); });
after(() => browser?.close());

const hosts = {
    async lighttpd() {
        const server = await startPollux({ procs: 2, env: { POLLUX_LEAVE_AFTER_MS: 4000 } });
        return { url: server.url, sql: (query) => server.sql(query), stop: () => server.stop() };
    },
    async nginx() {
        const ends = [];
        const server = await startNginx({ after: (end) => ends.push(end) }, { procs: 2 });
        return {
            url: server.url,
            sql: (query) => readSql(join(server.dir, 'data', 'pollux.db'), query),
            stop: async () => { for (const end of ends.reverse()) await end(); },
        };
    },
};

/* Run in a page: its functions, with what it has said and heard. */
/* global heard, prompt, socket */
const say = ([channel, message]) => socket.emit('message', { channel, message });

for (const [name, start] of Object.entries(hosts)) {
    describe(`seats, ${name}`, () => {
        let server;
        before(async () => { server = await start(); });
        after(() => server?.stop());

        /** A page in CHANNEL in a window of its own, which ends with the test T. */
        async function open(t, channel) {
            const context = await browser.newContext();
            t.after(() => context.close());
            await context.route('**/page.html*', (route) => route.fulfill({ contentType: 'text/html', body: PAGE }));
            await context.route('**/client.js', (route) => route.fulfill({ contentType: 'text/javascript', body: client }));
            const page = await context.newPage();
            page.setDefaultTimeout(LIMIT_MS);
            await page.goto(`${server.url}/page.html?channel=${encodeURIComponent(channel)}`);
            return page;
        }
        const told = (page, event) => page.waitForFunction((its) => heard.some((one) => one[0] === its), event);
        const count = (page, event) => page.evaluate((its) => heard.filter((one) => one[0] === its).length, event);

        /** Those who are in CHANNEL have polls that wait. */
        const quiet = (channel) => until(() => server.sql(`select count(*) as n from member m join channel c on c.id = m.channel
            join socket k on k.id = m.socket join polling p on p.session = k.session where c.name = '${channel}' and p.holder <> 0`)[0].n === 2,
        LIMIT_MS, 'both polls being held');

        /** Two pages in a channel of their own. */
        async function pair(t) {
            const channel = channelName();
            const a = await open(t, channel);
            await told(a, 'created');
            const b = await open(t, channel);
            await told(b, 'ready');
            await told(a, 'ready');
            return { a, b, channel };
        }

        async function third(t) {
            const c = await peer(official, server.url);
            t.after(() => c.socket.close());
            return c;
        }

        it('a_page_in_a_dialog_keeps_its_seat_while_others_ask', async (t) => {
            const { a, b, channel } = await pair(t);
            const c = await third(t);
            const dialog = new Promise((done) => a.once('dialog', done));
            await b.evaluate(say, [channel, 'ask the user']);
            const question = await dialog;
            const until_ms = Date.now() + BLOCKED_MS;
            let asked = 0;
            for (; Date.now() < until_ms; asked++) {
                c.socket.emit('create or join', channel);
                assert.deepEqual(await c.tape.next('full'), [channel]);
                await b.evaluate(say, [channel, asked]);
            }
            assert.ok(asked >= 5, `asked ${asked} times`);
            assert.equal(await count(b, 'leave'), 0);
            await question.accept('an answer');
            await b.waitForFunction(() => heard.some((one) => one[0] === 'message' && one[1] === 'an answer'));
            await a.waitForFunction((last) => heard.some((one) => one[0] === 'message' && one[1] === last), asked - 1);
            const numbers = await a.evaluate(() => heard.filter((one) => one[0] === 'message').map((one) => one[1]).slice(1));
            assert.deepEqual(numbers, Array.from({ length: asked }, (_, n) => n));
        });

        it('a_page_in_a_dialog_with_its_poll_waiting_keeps_its_seat', async (t) => {
            const { a, b, channel } = await pair(t);
            const c = await third(t);
            await quiet(channel);
            const dialog = new Promise((done) => a.once('dialog', done));
            const answered = a.evaluate(() => prompt('what?'));
            const question = await dialog;
            for (let asked = 0; asked < 6; asked++) {
                c.socket.emit('create or join', channel);
                assert.deepEqual(await c.tape.next('full'), [channel]);
            }
            assert.equal(await count(b, 'leave'), 0);
            await question.accept('an answer');
            assert.equal(await answered, 'an answer');
            await b.evaluate(say, [channel, 'hello']);
            await a.waitForFunction(() => heard.some((one) => one[0] === 'message' && one[1] === 'hello'));
        });

        it('a_page_that_was_closed_is_gone_for_the_others_and_its_seat_is_free', async (t) => {
            const { a, b, channel } = await pair(t);
            await quiet(channel);
            const from = Date.now();
            await a.context().close();
            await told(b, 'leave');
            t.diagnostic(`the other heard it after ${Date.now() - from} ms`);
            const c = await third(t);
            c.socket.emit('create or join', channel);
            assert.deepEqual(await c.tape.next('joined'), [channel, c.id]);
            assert.equal(await count(b, 'leave'), 1);
        });

        it('a_newcomer_gets_the_seat_of_a_page_that_was_closed', async (t) => {
            const { a, channel } = await pair(t);
            const c = await third(t);
            await quiet(channel);
            const from = Date.now();
            await a.context().close();
            c.socket.emit('create or join', channel);
            assert.deepEqual(await c.tape.next('joined'), [channel, c.id]);
            t.diagnostic(`it had the seat after ${Date.now() - from} ms`);
        });

        it('a_page_that_reloads_gets_its_seat_back_and_throws_nobody_out', async (t) => {
            const { a, b, channel } = await pair(t);
            for (let round = 0; round < 2; round++) {
                await quiet(channel);
                await a.reload();
                await told(a, 'joined');
            }
            await until(async () => await count(b, 'leave') >= 2, LIMIT_MS, 'both leaves');
            assert.equal(await count(b, 'leave'), 2);
            await b.evaluate(say, [channel, 'hello']);
            await a.waitForFunction(() => heard.some((one) => one[0] === 'message' && one[1] === 'hello'));
            assert.equal(await b.evaluate(() => socket.connected), true);
        });
    });
}
