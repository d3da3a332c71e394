// The same through every host: what clients and pages need of a web server, and what may happen to its processes.
//
// A host is { url, path, pages, kill, limit }: where it is, the path of the signaling, that of the pages ('' where it has none),
// a function that kills processes of the program, and the longest body that its web server lets through (0: as the program).
// It runs with hostEnv.

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { chromium } from 'playwright-core';
import { chromiumOptions } from './browser.mjs';
import { talk, verdict } from './conversation.mjs';
import { LIMIT_MS, channelName, engine, official, packets, peer, request, shim, sleep, until } from './harness.mjs';

/* global document -- what runs in the pages */

export const hostEnv = {
    POLLUX_PING_INTERVAL_MS: 3000, POLLUX_PING_TIMEOUT_MS: 6000, POLLUX_LEAVE_AFTER_MS: 2000, POLLUX_ALLOWED_ORIGINS: 'https://pages.example',
    POLLUX_MAX_WORK_PERCENT: 0,
};

const COUNT = 200;

/** Two clients, ours and the official one, in a channel. */
async function pair({ url, path }) {
    const channel = channelName();
    const [a, b] = [await peer(shim, url, { path }), await peer(official, url, { path })];
    a.socket.emit('create or join', channel);
    await a.tape.next('created');
    b.socket.emit('create or join', channel);
    await a.tape.next('ready');
    await b.tape.next('ready');
    return { a, b, channel, close: () => [a, b].forEach(({ socket }) => socket.close()) };
}

const heard = ({ tape }) => tape.list.filter(([name]) => name === 'message').map(([, n]) => n);

async function numbersBothWays(host) {
    const { a, b, channel, close } = await pair(host);
    try {
        for (let n = 0; n < COUNT; n++) {
            for (const side of [a, b]) side.socket.emit('message', { channel, message: n });
            if (n % 20 === 0) await sleep(1);
        }
        await until(() => heard(a).length >= COUNT && heard(b).length >= COUNT, LIMIT_MS,
            () => `all numbers: ${heard(a).length} and ${heard(b).length}`);
        const all = [...Array(COUNT).keys()];
        assert.deepEqual(heard(a), all);
        assert.deepEqual(heard(b), all);
    } finally {
        close();
    }
}

/** As large as may be goes through; what is larger is an error that both get over. */
async function largeAndTooLarge(host) {
    const { a, b, channel, close } = await pair(host);
    try {
        const first = engine(host.url, host.path);
        await first.open();
        const most = first.handshake.maxPayload;
        first.end();
        if (host.limit) assert.ok(most <= host.limit, `maxPayload ${most}, and the web server takes ${host.limit}`);
        const large = 'x'.repeat(most - 300);
        for (const [from, to] of [[a, b], [b, a]]) {
            from.socket.emit('message', { channel, message: large });
            await until(() => heard(to).includes(large), LIMIT_MS, 'what is as large as it may be');
        }
        const told = [];
        a.socket.on('error', ({ code }) => told.push(code));
        a.socket.emit('message', { channel, message: 'y'.repeat(most + 1) });
        await until(() => told.length, LIMIT_MS, 'the word that it is too large');
        assert.deepEqual(told, ['too_large']);
        b.socket.emit('message', { channel, message: 'y'.repeat(most + 1) });
        await b.tape.next('message').catch(() => {});
        for (const [from, to] of [[a, b], [b, a]]) {
            let n = 0;
            await until(() => {
                if (from.socket.connected) from.socket.emit('message', { channel, message: `after ${n++}` });
                return heard(to).some((text) => String(text).startsWith('after'));
            }, 2 * LIMIT_MS, 'what is said afterwards');
        }
    } finally {
        close();
    }
}

/** A poll waits for the whole interval and is answered with a heartbeat. */
async function wholeHold({ url, path }) {
    const client = engine(url, path);
    await client.open();
    const begun = Date.now();
    const answer = await client.get();
    assert.equal(answer.status, 200);
    assert.deepEqual(packets(answer), ['2']);
    assert.ok(Date.now() - begun >= 2000, `after ${Date.now() - begun} ms`);
    await client.post('3');
    await client.post('1');
    client.end();
}

async function vanished({ url, path }) {
    const channel = channelName();
    const stays = await peer(shim, url, { path });
    const goes = engine(url, path);
    try {
        stays.socket.emit('create or join', channel);
        await stays.tape.next('created');
        await goes.connect();
        await goes.send(`42["create or join",${JSON.stringify(channel)}]`);
        await stays.tape.next('ready');
        let told = '';
        while (!told.includes('"ready"')) told += (await goes.get()).text;
        goes.get().catch(() => {});
        await sleep(200);               // where it waits by then, some web servers tell of its end at once
        goes.end();
        await stays.tape.next('leave', 3 * LIMIT_MS);
    } finally {
        stays.socket.close();
    }
}

async function killed(host) {
    const { speakers, heard: count, end, close } = await talk(shim, host.url, { path: host.path });
    try {
        await until(() => count() > 20, LIMIT_MS, 'numbers');
        for (let i = 0; i < 3; i++) {
            const before = count();
            await host.kill();
            await until(() => count() > before + 20, LIMIT_MS, 'numbers after a process was killed');
        }
        await end();
        for (const [i, one] of speakers.entries()) {
            assert.deepEqual(verdict(one, speakers[1 - i]), { lost: [], doubled: [], reordered: [], unknown: [] });
        }
    } finally {
        close();
    }
}

async function crossOrigin({ url, path }) {
    const address = `${url}${path}?EIO=4&transport=polling&t=cors`;
    const ask = (method, Origin, headers = {}) => request(address, { method, headers: { Origin, ...headers } });
    const preflight = await ask('OPTIONS', 'https://pages.example', { 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'x-a' });
    assert.equal(preflight.status, 204);
    assert.equal(preflight.headers['access-control-allow-origin'], 'https://pages.example');
    assert.match(preflight.headers['access-control-allow-methods'], /POST/);
    assert.equal(preflight.headers['access-control-allow-headers'], 'x-a');
    const allowed = await ask('GET', 'https://pages.example');
    assert.equal(allowed.status, 200);
    assert.equal(allowed.headers['access-control-allow-origin'], 'https://pages.example');
    const refused = await ask('GET', 'https://other.example');
    assert.equal(refused.status, 403);
    assert.equal(refused.headers['access-control-allow-origin'], undefined);
    assert.match(refused.text, /allowed_origins/);
}

/** Two windows with the call page, until the chat goes from one to the other. */
export async function callPage({ url, pages }, options = {}) {
    const browser = await chromium.launch(chromiumOptions());
    const errors = [];
    try {
        const channel = channelName();
        const open = async () => {
            const page = await (await browser.newContext({ ignoreHTTPSErrors: true, ...options })).newPage();
            page.setDefaultTimeout(LIMIT_MS);
            page.on('pageerror', (error) => errors.push(`${error}`));
            await page.goto(`${url}${pages}call.html`);
            await page.locator('#channel').fill(channel);
            await page.locator('#entry button').first().click();
            return page;
        };
        const [one, other] = [await open(), await open()];
        await one.locator('#text:enabled').fill('hello through this host');
        await one.locator('#text').press('Enter');
        await other.waitForFunction(() => document.body.innerText.includes('hello through this host'));
        assert.deepEqual(errors, []);
    } finally {
        await browser.close();
    }
}

export const hostRules = {
    200: ['two_hundred_messages_each_way_in_order', numbersBothWays],
    large: ['as_large_as_may_be_and_too_large', largeAndTooLarge],
    hold: ['a_poll_waits_for_the_whole_interval', wholeHold],
    vanished: ['a_client_that_vanishes_has_left', vanished],
    killed: ['a_process_that_is_killed_costs_nothing', killed],
    cors: ['other_origins_are_asked_for_and_answered', crossOrigin],
    page: ['the_page_with_its_own_client_file', callPage],
};

/** All of it, each a test. GET gives the host once it runs. SKIP says why a rule does not apply. */
export function hostSuite(get, skip = {}) {
    for (const [rule, [name, check]] of Object.entries(hostRules)) {
        it(name, { skip: skip[rule] }, () => check(get()));
    }
}
