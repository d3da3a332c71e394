// A client of another language: python-socketio, which reads the protocol its own way, does the chapter with itself and with the official client.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { channelName, official, once, peer, startPollux, tape, within, until } from './harness.mjs';

const script = fileURLToPath(new URL('python_client.py', import.meta.url));
const interpreters = [process.env.PYTHON, '/usr/bin/python3', 'python3'].filter(Boolean);
const python = interpreters.find((path) => spawnSync(path, ['-c', 'import socketio, requests']).status === 0);
const skip = python ? false : 'needs python3-socketio and python3-requests';

/** ERRORS but for a race of python-socketio itself, whose threads go through its namespaces while one of them is removed. */
const ofOurs = (errors) => errors.replace(
    /disconnect handler error\nTraceback [^\0]*?\/socketio\/client\.py[^\0]*?RuntimeError: dictionary changed size during iteration\n/g, '');

/** A client in Python with as much of a socket's face as the tests need. */
class PythonSocket extends EventEmitter {
    #any = [];

    constructor(url) {
        super();
        this.child = spawn(python, [script, url], { stdio: ['pipe', 'pipe', 'pipe'] });
        this.errors = '';
        this.child.stderr.on('data', (data) => { this.errors += data; });
        this.ended = within(new Promise((done) => this.child.once('close', done)), 'the end of the Python client', 300000);
        createInterface({ input: this.child.stdout }).on('line', (line) => {
            const [what, ...rest] = JSON.parse(line);
            if (what === 'connect') [this.id] = rest;
            if (what === 'event') this.#any.forEach((heard) => heard(rest[0], ...rest[1]));
            else super.emit(what, ...rest);
        });
    }

    onAny(heard) {
        this.#any.push(heard);
    }

    emit(name, ...args) {
        this.#say('emit', name, args);
    }

    async call(name, ...args) {
        const answered = once(this, 'ack');
        this.#say('call', name, args);
        return (await answered)[0];
    }

    close() {
        if (this.child.exitCode === null) this.child.stdin.end();
        return this.ended;
    }

    #say(...what) {
        this.child.stdin.write(`${JSON.stringify(what)}\n`);
    }
}

const pythonPeer = async (url) => {
    const socket = new PythonSocket(url);
    const recorded = tape(socket);
    await once(socket, 'connect').catch((error) => assert.fail(`${error.message}\n${socket.errors}`));
    return { socket, tape: recorded, get id() { return socket.id; } };
};

for (const [host, options] of Object.entries({ 'one process': {}, 'four processes': { maxProcs: 4 } })) {
    describe(`python-socketio, ${host}`, { skip }, () => {
        let server;
        before(async () => { server = await startPollux(options); });
        after(() => server?.stop());

        /** Two in a channel, the second one in Python; BODY({a, b, channel}). */
        const together = (first, body) => async () => {
            const channel = channelName();
            const a = await first(server.url);
            const b = await pythonPeer(server.url);
            try {
                a.socket.emit('create or join', channel);
                assert.deepEqual(await a.tape.next('created'), [channel, a.id]);
                b.socket.emit('create or join', channel);
                await Promise.all([a.tape.next('ready'), b.tape.next('ready')]);
                await body({ a, b, channel });
            } finally {
                await Promise.all([a.socket.close(), b.socket.close()]);
                assert.equal(ofOurs(b.socket.errors), '');
            }
        };
        // The Python client hands each event to a thread of its own, so that its handlers may run in any order.
        const inOrderOf = (factory, list) => (factory === pythonPeer ? list.map((item) => JSON.stringify(item)).sort() : list);
        const heard = (factory, client) => inOrderOf(factory, client.tape.list);
        const pairings = { 'python and python': pythonPeer, 'official and python': (url) => peer(official, url) };

        for (const [pairing, first] of Object.entries(pairings)) {
            it(`${pairing}_do_the_chapter`, together(first, async ({ a, b, channel }) => {
                await until(() => a.tape.list.length >= 5 && b.tape.list.length >= 2);
                assert.deepEqual(heard(first, a), inOrderOf(first, [
                    ['created', channel, a.id],
                    ['remotePeerJoining', channel],
                    ['join', channel],
                    ['broadcast: joined', `S --> broadcast(): client ${b.id} joined channel ${channel}`],
                    ['ready', channel],
                ]));
                assert.deepEqual(heard(pythonPeer, b), inOrderOf(pythonPeer, [['joined', channel, b.id], ['ready', channel]]));
                a.socket.emit('message', { channel, message: 'čau' });
                assert.deepEqual(await b.tape.next('message'), ['čau']);
                b.socket.emit('response', { channel, message: { deep: [1, null] } });
                assert.deepEqual(await a.tape.next('response'), [{ deep: [1, null] }]);

                const c = await pythonPeer(server.url);
                c.socket.emit('create or join', channel);
                assert.deepEqual(await c.tape.next('full'), [channel]);
                await c.socket.close();

                const gone = once(b.socket, 'disconnect');
                b.socket.emit('Bye', channel);
                assert.deepEqual(await a.tape.next('Bye'), []);
                await gone;
                const over = once(a.socket, 'disconnect');
                a.socket.emit('Ack');
                await over;
            }));

            it(`${pairing}_exchange_many_messages`, together(first, async ({ a, b, channel }) => {
                const all = Array.from({ length: 100 }, (_, i) => i);
                await until(() => a.tape.list.length >= 5 && b.tape.list.length >= 2); // all of the joining
                a.tape.clear();
                b.tape.clear();
                for (const i of all) {
                    a.socket.emit('message', { channel, message: i });
                    b.socket.emit('response', { channel, message: i });
                }
                a.socket.emit('end');
                b.socket.emit('end');
                await until(() => a.tape.list.length > all.length && b.tape.list.length > all.length);
                assert.deepEqual(heard(first, a), inOrderOf(first, [...all.map((i) => ['response', i]), ['end']]));
                assert.deepEqual(heard(pythonPeer, b), inOrderOf(pythonPeer, [...all.map((i) => ['message', i]), ['end']]));
            }));
        }

        it('acks_and_binary', together((url) => peer(official, url), async ({ a, b, channel }) => {
            const ack = await b.socket.call('message', { channel, message: 1 });
            assert.equal(ack.recipients, 1);
            assert.equal(typeof ack.seq, 'number');
            b.socket.emit('blob', { $hex: '00ff10' });
            assert.equal(Buffer.from((await a.tape.next('blob'))[0]).toString('hex'), '00ff10');
            a.socket.emit('blob', Buffer.from('00ff10', 'hex'));
            assert.deepEqual(await b.tape.next('blob'), [{ $hex: '00ff10' }]);
        }));
    });
}
