// The chapter once, for a program that is watched while it serves it: two sides of a call from "create or join" to the last ack,
// with what lies beside it on the way (a third who is refused, attachments, acknowledgements, a packet that is none). Then the
// program is ended in good order. tests/memcheck starts this with POLLUX_BIN as valgrind and the program.
//
//   node tests/e2e/memcheck.mjs WORKERS FOLDER      FOLDER is where the store is left

import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { ask, engine, official, once, peer, shim, startPollux } from './harness.mjs';

const server = await startPollux({ procs: Number(process.argv[2]) });
const channel = 'chapter';
try {
    const a = await peer(official, server.url);
    const b = await peer(shim, server.url);
    const c = await peer(official, server.url);

    a.socket.emit('create or join', channel);
    assert.deepEqual(await a.tape.next('created'), [channel, a.id]);
    b.socket.emit('create or join', channel);
    await Promise.all([a.tape.next('ready'), b.tape.next('ready')]);
    c.socket.emit('create or join', channel);
    assert.deepEqual(await c.tape.next('full'), [channel]);
    c.socket.close();

    a.socket.emit('message', { channel, message: { type: 'offer', sdp: 'v=0\r\nc=IN IP4 192.0.2.1' } });
    assert.equal((await b.tape.next('message'))[0].type, 'offer');
    b.socket.emit('response', { channel, message: { type: 'answer' } });
    assert.equal((await a.tape.next('response'))[0].type, 'answer');
    b.socket.emit('blob', Uint8Array.from([1, 2, 3]), { deep: 'text' });
    assert.equal((await a.tape.next('blob'))[1].deep, 'text');
    assert.equal((await ask(a.socket, 'anything', 1)).recipients, 1);
    assert.equal((await ask(a.socket, 'leave', 'elsewhere')).error.code, 'not_a_member');

    const odd = engine(server.url);
    await odd.open();
    assert.equal((await odd.post('4["no packet')).status, 400);
    odd.end();

    b.socket.emit('Bye', channel);
    await Promise.all([a.tape.next('Bye'), once(b.socket, 'disconnect')]);
    a.socket.emit('Ack');
    await once(a.socket, 'disconnect');
    await server.halt();
    cpSync(server.dataDir, process.argv[3], { recursive: true });
} finally {
    await server.stop();
}
