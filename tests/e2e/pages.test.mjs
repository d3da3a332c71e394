// The pages in Chromium, as people use them: chapter.html to Bye and Ack, call.html until the chat goes from browser to browser, index.html.
// In every test the pages' consoles must stay free of errors.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { chromium } from 'playwright-core';
import { chromiumOptions } from './browser.mjs';
import { once } from 'node:events';
import http from 'node:http';
import { LIMIT_MS, channelName, peer, shim, startPollux, until } from './harness.mjs';
import { startSnippet } from './snippet.mjs';

/* global document, getComputedStyle, MediaDevices, window -- what runs in the pages */
let server, browser;

before(async () => {
    [server, browser] = await Promise.all([startPollux({ procs: 2 }), chromium.launch(chromiumOptions())]);
});

after(async () => {
    await browser?.close();
    await server?.stop();
});

/** Run BODY(open), where open(path) is a page in a window of its own; close them, and look at their consoles. */
const withPages = (body, { errors: expected = [] } = {}) => async () => {
    const errors = [];
    const contexts = [];
    const open = async (path = '') => {
        const context = await browser.newContext();
        contexts.push(context);
        const page = await context.newPage();
        page.setDefaultTimeout(LIMIT_MS);
        page.on('console', (message) => message.type() === 'error' && errors.push(`${message.text()} ${message.location().url}`));
        page.on('pageerror', (error) => errors.push(`${error}`));
        await page.goto(`${server.url}/${path}`);
        return page;
    };
    try {
        await body(open);
    } catch (error) {
        const texts = await Promise.all(contexts.flatMap((c) => c.pages()).map((page) => page.locator('body').innerText().catch(() => '?')));
        throw new Error(`${error.message}\n--- consoles ---\n${errors.join('\n')}\n--- pages ---\n${texts.join('\n-----\n')}`, { cause: error });
    } finally {
        await Promise.all(contexts.map((context) => context.close()));
    }
    assert.deepEqual(errors.filter((error) => !expected.some((part) => error.includes(part))), []);
};

const address = (page, channel) => `${page}.html?channel=${encodeURIComponent(channel)}`;
const state = (page, text) => page.locator('#state').filter({ hasText: text }).waitFor();
/** The lines of a log: [class, text]. */
const lines = (page, log) => page.locator(`#${log} p`).evaluateAll((all) => all.map((p) => [p.className, p.textContent]));
const line = (page, log, text) => page.locator(`#${log} p`).filter({ hasText: text }).first().waitFor();
async function write(page, text) {
    await page.locator('#text:enabled').fill(text);
    await page.locator('#text').press('Enter');
}

describe('index.html', () => {
    it('shows_that_the_server_is_well_and_leads_to_the_pages', withPages(async (open) => {
        const page = await open();
        await state(page, /The server is well: it answered in [\d.]+ ms/);
        const channel = channelName();
        await page.locator('#channel').fill(channel);
        await page.getByRole('button', { name: 'Talk through the server' }).click();
        await line(page, 'steps', `Channel ${channel} is created`);
        await page.goto(server.url);
        await page.locator('#channel').fill(channel);
        await page.getByRole('button', { name: 'Start a call' }).click();
        await state(page, 'Waiting for the other');
    }));

    it('says_what_to_do_when_the_server_is_not_well', withPages(async (open) => {
        const page = await open();
        const wrong = { 503: 'error log says why', 404: 'nothing is mapped', 403: 'allowed_origins' };
        for (const [status, advice] of Object.entries(wrong)) {
            await page.route('**/socket.io/?*', (route) => route.fulfill({ status: Number(status), body: 'no' }));
            await page.getByRole('button', { name: 'Ask again' }).click();
            await state(page, `It answered ${status}`);
            await page.locator('#advice').filter({ hasText: new RegExp(advice, 'i') }).waitFor();
        }
        await page.unrouteAll();
        await page.getByRole('button', { name: 'Ask again' }).click();
        await state(page, 'The server is well');
    }, { errors: ['Failed to load resource'] }));
});

describe('the pages', () => {
    it('may_live_in_any_folder', withPages(async (open) => {
        const page = await open();
        await page.route('**/deep/er/**', (route) => route.continue({ url: route.request().url().replace('/deep/er/', '/') }));
        await page.goto(`${server.url}/deep/er/`);
        await state(page, 'The server is well');
        await page.locator('#channel').fill(channelName());
        await page.getByRole('button', { name: 'Talk through the server' }).click();
        await line(page, 'steps', 'is created');
        assert.match(page.url(), /deep\/er\/chapter\.html/);
        const paths = await page.evaluate(() => performance.getEntriesByType('resource').map((entry) => new URL(entry.name).pathname));
        assert.deepEqual(paths.filter((path) => !path.startsWith('/deep/er/')), []);
    }));

    it('say_what_the_server_refuses', withPages(async (open) => {
        for (const page of [await open(address('chapter', 'é'.repeat(100))), await open(address('call', 'é'.repeat(100)))]) {
            await state(page, 'The server refused');
        }
    }));
});

describe('the pages as the snippet for lighttpd has them', () => {
    let snippet;
    before(async () => { snippet = await startSnippet(); });
    after(async () => {
        await snippet?.stop();
        snippet?.remove();
    });

    it('work_below_pollux', withPages(async (open) => {
        const [a, b] = [await open(), await open()];
        await a.goto(`${snippet.url}/pollux/`);
        await state(a, 'The server is well');
        const channel = channelName();
        await a.locator('#channel').fill(channel);
        await a.getByRole('button', { name: 'Talk through the server' }).click();
        await line(a, 'steps', 'is created');
        await b.goto(`${snippet.url}/pollux/${address('chapter', channel)}`);
        await state(a, 'It is your turn.');
        await write(a, 'hello');
        await line(b, 'steps', 'Peer: hello');
        const call = `${snippet.url}/pollux/${address('call', channelName())}`;
        await a.goto(call);
        await state(a, 'Waiting for the other');
        await b.goto(call);
        for (const page of [a, b]) await state(page, 'You are connected.');
        await write(a, 'direct');
        await line(b, 'chat', 'Peer: direct');
    }));

    it('say_what_may_run_there_and_who_may_know', async () => {
        for (const name of ['', 'index.html', 'call.html', 'chapter.html']) {
            const { headers } = await fetch(`${snippet.url}/pollux/${name}`);
            assert.match(headers.get('content-security-policy'), /default-src 'self'.*frame-ancestors 'none'/);
            assert.equal(headers.get('referrer-policy'), 'same-origin');
            assert.equal(headers.get('x-content-type-options'), 'nosniff');
        }
    });

    it('are_framed_by_nobody_else', withPages(async (open) => {
        const other = http.createServer((rq, rs) => rs.setHeader('Content-Type', 'text/html').end(
            `<!DOCTYPE html><link rel="icon" href="data:,"><iframe src="${snippet.url}/pollux/call.html"></iframe>`)).listen(0, '127.0.0.1');
        await once(other, 'listening');
        try {
            const page = await open();
            const refused = page.waitForEvent('console', (message) => /frame-ancestors/.test(message.text()));
            await page.goto(`http://127.0.0.1:${other.address().port}/`);
            await refused;
            assert.equal(await page.frames()[1].locator('#entry').count(), 0);
        } finally {
            other.closeAllConnections();
            other.close();
        }
    }, { errors: ['frame-ancestors'] }));
});

describe('the client file in a page', () => {
    // What happens before the last word, how it is said, how the page goes. All run in the page.
    const moments = {
        'at once': 'null',
        'after an acknowledgement': 'await socket.emitWithAck("asked")',
        'a microtask later': 'await socket.emitWithAck("asked"); await null',
        'a task later': 'await socket.emitWithAck("asked"); await new Promise((done) => setTimeout(done))',
        'in a handler': 'await new Promise((done) => { socket.once("echo", done); socket.emit("call") })',
        'with a POST under way': 'socket.emit("under way"); await null; await null',
        'with a large POST under way': 'socket.emit("under way", "x".repeat(300000)); await new Promise((done) => setTimeout(done))',
    };
    const words = { 'one': 'socket.emit("last")', 'asked for': 'socket.emitWithAck("last").catch(() => {})',
        'bytes': 'socket.emit("last", new Uint8Array(3))' };
    const ends = { 'disconnect()': 'socket.disconnect()', 'close()': 'socket.close()', 'disconnect().connect()': 'socket.disconnect().connect()' };

    it('says_its_farewells_whenever', withPages(async (open) => {
        const page = await open('call.html');
        const failed = [];
        page.on('requestfailed', (rq) => rq.method() === 'POST' && failed.push(rq.failure().errorText));
        const all = Object.entries(moments).flatMap(([when, moment]) => Object.entries(words).flatMap(([what, word]) =>
            Object.entries(ends).map(([how, end]) => [`${when}, ${what}, ${how}`, `${moment}; ${word}; ${end}`])));
        for (const [name, script] of all) {
            const channel = channelName();
            const b = await peer(shim, server.url);
            try {
                b.socket.on('call', () => b.socket.emit('echo'));
                b.socket.emit('create or join', channel);
                await b.tape.next('created');
                const ids = await page.evaluate(`(async (room) => {
                    const socket = window.io('/', { forceNew: true });
                    const ready = new Promise((done) => socket.once('ready', done));
                    socket.emit('create or join', room);
                    await ready;
                    const { id } = socket;
                    ${script};
                    if (!socket.active) return [id];
                    await new Promise((done) => socket.once('connect', done));
                    const ids = [id, socket.id];
                    socket.disconnect();
                    return ids;
                })(${JSON.stringify(channel)})`);
                await b.tape.next('leave').catch((error) => assert.fail(`${name}: ${error.message}`));
                const names = b.tape.names().filter((word) => ['last', 'leave'].includes(word));
                assert.deepEqual(names, ['last', 'leave'], name);
                assert.notEqual(ids[0], ids[1], `${name}: a new socket`);
            } finally {
                b.socket.close();
            }
        }
        assert.deepEqual(failed, []);
        // A poll may meet the session's end, and a POST overtake the one before; the page hears of neither.
    }, { errors: ['status of 400', 'status of 503'] }));
});

describe('an outage of the server', () => {
    const kind = (page) => page.locator('#state').getAttribute('class');
    /** The server is away until every page has asked it in vain for a new session, twice; DURING that is looked at. */
    async function outage(pages, during) {
        const inVain = pages.map((page) => {
            let count = 0;
            page.on('requestfailed', (rq) => { count += rq.url().includes('pollux=1'); });
            return () => count > 1;
        });
        await server.halt();
        await until(() => inVain.every((enough) => enough()), LIMIT_MS, 'handshakes of each page that failed');
        await during();
        await server.start();
    }
    const expected = { errors: ['Failed to load resource'] };

    it('is_shown_in_the_call_page_and_forgotten', withPages(async (open) => {
        const a = await open(address('call', channelName()));
        await state(a, 'Waiting for the other');
        await outage([a], async () => {
            await state(a, /The (server does not answer|connection to the server is lost)/);
            assert.equal(await kind(a), 'state bad');
        });
        await state(a, 'Waiting for the other');
        assert.equal(await kind(a), 'state busy');
    }, expected));

    it('does_not_disturb_a_call', withPages(async (open) => {
        const channel = channelName();
        const a = await open(address('call', channel));
        await state(a, 'Waiting for the other');
        const b = await open(address('call', channel));
        const well = async () => {
            for (const page of [a, b]) {
                assert.equal(await page.locator('#state').innerText(), 'You are connected.');
                assert.equal(await kind(page), 'state good');
            }
        };
        await state(a, 'You are connected.');
        await state(b, 'You are connected.');
        await outage([a, b], async () => {
            await well();
            await write(a, 'still here');
            await line(b, 'chat', 'Peer: still here');
            for (const page of [a, b]) await page.locator('#steps p').filter({ hasText: 'The call goes on' }).waitFor({ state: 'attached' });
        });
        for (const page of [a, b]) await page.locator('#steps p').filter({ hasText: 'nothing was missed' }).waitFor({ state: 'attached' });
        await well();
    }, expected));

    it('leaves_everybody_his_turn_in_the_chapter_page', withPages(async (open) => {
        const channel = channelName();
        const a = await open(address('chapter', channel));
        await line(a, 'steps', 'is created');
        const b = await open(address('chapter', channel));
        await write(a, 'first');
        await line(b, 'steps', 'Peer: first');
        await outage([a, b], async () => {
            for (const page of [a, b]) assert.equal(await kind(page), 'state bad');
        });
        await state(a, 'Waiting for the peer');
        await state(b, 'It is your turn.');
        assert.deepEqual([await kind(a), await kind(b)], ['state busy', 'state good']);
        await write(b, 'second');
        await line(a, 'steps', 'Peer: second');
    }, expected));
});

describe('what others have named or said is text', () => {
    const evil = '<img src=x onerror="window.evil=1"><script>window.evil=1</script>';
    const harmless = async (...pages) => {
        for (const page of pages) {
            assert.equal(await page.evaluate(() => window.evil), undefined);
            assert.equal(await page.locator('main img, main script').count(), 0);
        }
    };

    it('in_chapter_html', withPages(async (open) => {
        const channel = `${channelName()} ${evil}`;
        const a = await open(address('chapter', channel));
        await line(a, 'steps', `Channel ${channel} is created`);
        const b = await open(address('chapter', channel));
        await state(a, 'It is your turn.');
        await write(a, evil);
        await line(b, 'steps', `Peer: ${evil}`);
        const c = await open(address('chapter', channel));
        await state(c, `Channel ${channel} is full`);
        await a.locator('#server-log p').filter({ hasText: '<script>window.evil=1' }).first().waitFor({ state: 'attached' });
        await harmless(a, b, c);
    }));

    it('in_call_html', withPages(async (open) => {
        const channel = `${channelName()} ${evil}`;
        const a = await open(address('call', channel));
        await state(a, 'Waiting');
        const b = await open(address('call', channel));
        await state(a, 'You are connected.');
        await state(b, 'You are connected.');
        await write(a, evil);
        await line(b, 'chat', `Peer: ${evil}`);
        const c = await open(address('call', channel));
        await state(c, `Channel ${channel} is full`);
        await harmless(a, b, c);
    }));
});

describe('chapter.html', () => {
    it('the_dialogue_from_created_to_ack', withPages(async (open) => {
        const channel = channelName();
        const a = await open('chapter.html');
        await a.locator('#channel').fill(channel);
        await a.locator('#channel').press('Enter');
        await line(a, 'steps', `Channel ${channel} is created`);

        const b = await open(address('chapter', channel));
        await line(b, 'steps', `You have joined channel ${channel}`);
        await line(b, 'steps', 'is ready');
        await line(a, 'steps', 'S --> broadcast(): client');

        const c = await open(address('chapter', channel));
        await state(c, 'is full');
        assert.deepEqual((await lines(c, 'steps')).at(-1), ['server', `Server: Disconnected: io client disconnect.`]);

        await write(a, 'Hi there, čau! 👋');
        await line(b, 'steps', 'Peer: Hi there, čau! 👋');
        assert.equal(await a.locator('#text').isDisabled(), true, 'it is not a\'s turn');
        await write(b, '<img src=x onerror=alert(1)> & more');
        await line(a, 'steps', 'Peer: <img src=x onerror=alert(1)> & more');
        await write(a, 'and a third');
        await line(b, 'steps', 'Peer: and a third');
        await write(b, 'Bye');
        for (const page of [a, b]) {
            await line(page, 'steps', 'Disconnected: io server disconnect');
            await state(page, 'The conversation is over');
        }
        const said = (list) => list.filter(([who]) => who !== 'server').map(([, text]) => text);
        assert.deepEqual(said(await lines(a, 'steps')), [`You: create or join ${channel}`, 'You: Hi there, čau! 👋',
            'Peer: <img src=x onerror=alert(1)> & more', 'You: and a third', 'Peer: Bye', 'You: Ack']);
        assert.deepEqual(said(await lines(b, 'steps')), [`You: create or join ${channel}`, 'Peer: Hi there, čau! 👋',
            'You: <img src=x onerror=alert(1)> & more', 'Peer: and a third', 'You: Bye']);
        await a.locator('summary').click();
        await line(a, 'server-log', 'S --> Got message: ');

        await c.getByRole('button', { name: 'Start again' }).click();
        await line(c, 'steps', `Channel ${channel} is created`);
    }));

    it('what_the_peer_says_is_blue_and_what_the_server_says_is_red', withPages(async (open) => {
        const channel = channelName();
        const a = await open(address('chapter', channel));
        await line(a, 'steps', 'is created');
        const b = await open(address('chapter', channel));
        await write(a, 'hello');
        await line(b, 'steps', 'Peer: hello');
        const [theirs, told] = await b.locator('#steps').evaluate((list) =>
            ['.peer', '.server'].map((who) => getComputedStyle(list.querySelector(who)).color.match(/\d+/g).map(Number)));
        assert.ok(theirs[2] > 150 && theirs[2] > 2 * theirs[0], `blue: ${theirs}`);
        assert.ok(told[0] > 150 && told[0] > 2 * told[2], `red: ${told}`);
    }));

    it('a_closed_or_reloaded_page_leaves_at_once', withPages(async (open) => {
        const channel = channelName();
        const a = await open(address('chapter', channel));
        await line(a, 'steps', 'is created');
        const b = await open(address('chapter', channel));
        await line(b, 'steps', 'is ready');
        const begun = Date.now();
        await b.reload();
        await line(a, 'steps', 'The peer has left');
        await line(b, 'steps', 'is ready');
        await write(a, 'again');
        await line(b, 'steps', 'Peer: again');
        const left = a.locator('#steps p').filter({ hasText: 'The peer has left' });
        await b.close();
        await until(async () => await left.count() === 2, LIMIT_MS, 'leave, a second time');
        assert.ok(Date.now() - begun < LIMIT_MS, 'not only when the recovery window was over');
        assert.deepEqual((await lines(a, 'steps')).filter(([, text]) => /full/.test(text)), []);
    }));
});

describe('call.html', () => {
    /** The chat goes both ways. */
    async function chat(a, b, text) {
        await write(a, `${text}, from a`);
        await line(b, 'chat', `Peer: ${text}, from a`);
        await write(b, `${text}, from b`);
        await line(a, 'chat', `Peer: ${text}, from b`);
    }
    const connected = (...pages) => Promise.all(pages.map((page) => state(page, 'You are connected')));

    it('two_pages_call_each_other_and_again_after_reload_and_hanging_up', withPages(async (open) => {
        const channel = channelName();
        const a = await open(address('call', channel));
        await state(a, 'Waiting for the other');
        const b = await open('call.html');
        await b.locator('#channel').fill(channel);
        await b.getByRole('button', { name: 'Call', exact: true }).click();
        await connected(a, b);
        await chat(a, b, 'first');
        for (const page of [a, b]) {
            await page.waitForFunction(() => document.getElementById('theirs').videoWidth > 0, null, { timeout: LIMIT_MS });
        }

        await b.reload();
        await connected(b);
        await chat(a, b, 'after b came back');
        await a.reload();
        await connected(a);
        await chat(a, b, 'after a came back');

        const c = await open(address('call', channel));
        await state(c, 'is full');

        await a.getByRole('button', { name: 'Hang up' }).click();
        await state(b, 'The peer has left');
        await state(a, 'You have hung up');
        await a.getByRole('button', { name: 'Call again' }).click();
        await connected(a, b);
        await chat(a, b, 'after hanging up');
    }));

    it('microphone_and_camera_can_be_switched_off', withPages(async (open) => {
        const page = await open(address('call', channelName()));
        const button = page.getByRole('button', { name: 'Camera off' });
        await page.locator('#camera:enabled').waitFor();
        await button.click();
        assert.equal(await button.getAttribute('aria-pressed'), 'true');
        assert.equal(await page.locator('#mine').evaluate((video) => video.srcObject.getVideoTracks()[0].enabled), false);
        await button.click();
        assert.equal(await page.locator('#mine').evaluate((video) => video.srcObject.getVideoTracks()[0].enabled), true);
    }));

    it('without_camera_and_microphone_there_is_the_chat', withPages(async (open) => {
        const channel = channelName();
        const bare = async () => {
            const page = await open('call.html');
            await page.context().addInitScript(() => {
                MediaDevices.prototype.getUserMedia = () => Promise.reject(new DOMException('none', 'NotFoundError'));
            });
            await page.goto(`${server.url}/${address('call', channel)}`);
            return page;
        };
        const a = await bare();
        await state(a, 'Waiting for the other');
        const b = await open(address('call', channel)); // one of them has a camera
        await connected(a, b);
        await chat(a, b, 'one camera');
        await b.close();
        await state(a, 'The peer has left');
        const d = await bare();
        await connected(a, d);
        await chat(a, d, 'none');
        assert.match(await a.locator('#media').innerText(), /There is no camera or microphone here/);
    }));
});
