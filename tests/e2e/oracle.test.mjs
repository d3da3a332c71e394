// One conversation, four times: the official client and ours, each with the real socket.io server and with Pollux. The transcripts must be
// equal; where one is not, its script says in a sentence why ours is better, and what it is then.
//
// The conversations are in oracle_scripts.mjs, the application on the real server in oracle_server.mjs.

import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { LIMIT_MS, channelName, official, request, shim, startPollux, until, within } from './harness.mjs';
import { requests, scripts } from './oracle_scripts.mjs';
import { startReference } from './oracle_server.mjs';

const NAMESPACES = ['/', '/one', '/two'];
const clients = { official, ours: shim };

// ---- servers: shared by the scripts that ask for the same, unless one wants to stop its own

const start = {
    reference: ({ capacity, recovery }) => startReference({ capacity, recovery, namespaces: NAMESPACES }),
    pollux: ({ capacity }) => startPollux({ env: { POLLUX_CAPACITY: capacity, POLLUX_NAMESPACES: NAMESPACES.join(' ') } }),
};
const servers = new Map();

function serverFor(kind, script) {
    const { capacity = 3, recovery = false, alone = false } = script;
    const key = [kind, capacity, kind === 'reference' && recovery, alone && servers.size].join();
    if (!servers.has(key)) servers.set(key, start[kind]({ capacity, recovery }));
    return servers.get(key);
}

// ---- what is written down

/** VALUE with nothing in it that differs from run to run: ids by the names of their sockets, numbers of messages as they are not. */
function plain(value, ids) {
    if (value instanceof Error) return `Error: ${value.message}`;
    if (value instanceof ArrayBuffer) return `<${Buffer.from(value).toString('hex')}>`;
    if (ArrayBuffer.isView(value)) return `<${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex')}>`;
    if (typeof value === 'string') {
        let text = value;
        for (const [id, name] of ids) text = text.replaceAll(id, name);
        return text.length > 200 ? `${text.slice(0, 20)}... (${text.length})` : text;
    }
    if (Object.is(value, -0)) return '-0';
    if (Array.isArray(value)) return value.map((one) => plain(one, ids));
    if (value && typeof value === 'object') {
        return Object.fromEntries(Object.entries(value).map(([key, one]) => [plain(key, ids), key === 'seq' && one > 0 ? 'a number' : plain(one, ids)]));
    }
    return value === undefined ? 'undefined' : typeof value === 'function' ? 'a function' : value;
}

/** Play SCRIPT with one kind of client and of server. */
async function transcript(script, client, kind) {
    const server = await serverFor(kind, script);
    const ids = new Map();
    const tapes = {};
    const sockets = [];
    const channel = channelName();
    ids.set(channel, 'CHANNEL');

    /** What SOCKET, known as NAME, lives through. */
    const follow = (name, socket) => {
        const heard = (tapes[name] = []);
        const taken = new Set();
        let lives = 0;
        sockets.push(socket);
        socket.on('connect', () => {
            if (!ids.has(socket.id)) ids.set(socket.id, `${name}${++lives}`);
            heard.push(['connect', ids.get(socket.id), !!socket.recovered]);
        });
        socket.on('disconnect', (reason) => heard.push(['disconnect', reason, socket.connected, socket.active, socket.id]));
        socket.on('connect_error', (error) => heard.push(['connect_error', error.message, socket.active]));
        socket.onAny((event, ...args) => {
            if (event === 'pollux') return;
            // The reference's offset, behind what was said.
            if (kind === 'reference' && script.recovery && typeof args.at(-1) !== 'function') args.pop();
            heard.push([event, ...args]);
        });
        return {
            name, socket, heard,
            // Pollux's marker is an event: who listens to any event with the official client sees it.
            note: (...line) => void (line.includes('pollux') || heard.push(line)),
            get id() { return socket.id; },
            /** The first EVENT on the tape that was not taken yet, as its arguments. */
            async next(event) {
                const found = await until(() => heard.find((line) => line[0] === event && !taken.has(line)), LIMIT_MS,
                    `"${event}" for ${name}, ${client} client and ${kind}; heard: ${JSON.stringify(heard).slice(0, 600)}`);
                taken.add(found);
                return found.slice(1);
            },
            ask: (...args) => within(new Promise((done) => socket.emit(...args, (...reply) => done(reply))), `the acknowledgement of ${args[0]}`),
        };
    };
    const stage = {
        channel, server, url: server.url,
        /** A client as a page makes it. */
        client: (name, options, nsp = '/') => follow(name, clients[client](`${server.url}${nsp}`, options)),
        follow,
        io: clients[client],
        /** The same, connected. */
        async joined(name, options, nsp) {
            const one = stage.client(name, options, nsp);
            await one.next('connect');
            return one;
        },
        /** So many of them in the channel, who have heard all of that. */
        async members(names, options) {
            const all = [];
            for (const name of names) {
                all.push(await stage.joined(name, options));
                all.at(-1).socket.emit('create or join', channel);
                if (all.length === 1) await all[0].next('created');
                else for (const one of all) await one.next('ready');
            }
            return all;
        },
        /** All that FROM has said so far has come to TO. */
        async fence(from, ...to) {
            from.socket.emit('fence');
            for (const one of to) await one.next('fence');
        },
        /** End the server as by SIGKILL; bring it back. */
        crash: () => server.crash(),
        back: () => server.start(),
    };
    try {
        await script.play(stage);
        // From here on it is the clients' own end.
        for (const name in tapes) tapes[name] = tapes[name].filter(([event]) => !script.leaveOut?.includes(event));
        return JSON.parse(JSON.stringify(plain(tapes, ids)));
    } finally {
        for (const socket of sockets) socket.disconnect();
    }
}

// ---- the comparison

const tests = scripts.map((script) => {
    let first;
    // The first: what all others are measured by.
    return { script, measure: () => (first ??= transcript(script, 'official', 'reference')) };
});

after(async () => {
    for (const server of servers.values()) await (await server).stop();
});

it('there_are_enough_conversations_and_each_has_its_own_name', () => {
    assert.ok(scripts.length >= 40);
    assert.equal(new Set(scripts.map((script) => script.rule)).size, scripts.length);
});

for (const [client, kind] of [['official', 'pollux'], ['ours', 'reference'], ['ours', 'pollux']]) {
    describe(`the ${client === 'ours' ? 'own' : 'official'} client with ${kind === 'pollux' ? 'Pollux' : 'the real server'}`, { concurrency: 6 }, () => {
        for (const { script, measure } of tests) {
            const other = script.better?.[`${client}, ${kind}`];
            const todo = script.todo?.[`${client}, ${kind}`];
            it(script.rule, { todo }, async () => {
                const expected = await measure();
                const result = await transcript(script, client, kind);
                if (!other) return assert.deepEqual(result, expected);
                assert.deepEqual(result, other.says(structuredClone(expected)), `better, since ${other.why}`);
                assert.notDeepEqual(result, expected, 'it is equal now: take the reason away');
            });
        }
    });
}

/** What a server of KIND answers to a row of `requests`. */
async function answers(kind, play) {
    const { url } = await serverFor(kind, {});
    let session = '';
    const ask = async (query, { method = 'GET', body, headers } = {}) => {
        const length = body === undefined ? {} : { 'Content-Length': Buffer.byteLength(body), 'Content-Type': 'text/plain;charset=UTF-8' };
        const all = session && !query ? `EIO=4&transport=polling&sid=${session}` : query;
        const answer = await request(`${url}/socket.io/?${all}`, { method, body, headers: { ...length, ...headers } });
        const text = session ? answer.text.replaceAll(session, 'SESSION') : answer.text;
        return `${answer.status} ${answer.headers['content-type']} ${text}`;
    };
    const open = async () => {
        const answer = await ask('EIO=4&transport=polling');
        session = /"sid":"([^"]*)"/.exec(answer)[1];
        return answer.replace(session, 'SESSION');
    };
    return play({ ask, open });
}

describe('requests without a client', () => {
    for (const [rule, play] of requests) {
        it(rule, async () => assert.deepEqual(await answers('pollux', play), await answers('reference', play)));
    }
});
