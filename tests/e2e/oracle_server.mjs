// The signaling application of the protocol's table on the real socket.io server, with nothing but its rooms: what Pollux has to be equal to.
//
// It is written for reading, not for load. Acknowledgements and refusals have Pollux's form, so that pages of either see the same.

import { once as emitted } from 'node:events';
import http from 'node:http';
import { Server } from 'socket.io';

const PEER_KEYS = ['to', 'target', 'targetId', 'recipient', 'receiver', 'peerId', 'socketId'];
const CHANNEL_KEYS = ['channel', 'room', 'roomId'];
const LOOKS_LIKE_ID = /^[\w-]{20}$/;
const WHY = {
    not_a_member: 'only members can send to a channel; join it first',
    bad_channel: 'a channel\'s name is a string of 1 to max_channel_name_bytes bytes',
    reserved: 'this event name is the server\'s: only it says so',
};
const RESERVED = ['created', 'joined', 'full', 'ready', 'join', 'remotePeerJoining', 'broadcast: joined', 'error', 'log', 'pollux'];

const isObject = (v) => v !== null && typeof v === 'object' && !Array.isArray(v) && !Buffer.isBuffer(v);
const room = (channel) => `channel ${channel}`;

/** The rules for one socket; CAPACITY members a channel. RECOVERY: it may come back. */
function signaling(socket, capacity, recovery) {
    const { nsp } = socket;
    socket.data.channels ??= [];        // in the order of joining; comes back with a recovered socket
    const { channels } = socket.data;
    const members = (channel) => [...(nsp.adapter.rooms.get(room(channel)) ?? [])];
    const isIn = (channel) => channels.includes(channel);
    const others = (list) => [...new Set(list.flatMap(members))].filter((id) => id !== socket.id);
    let seq = 0;

    /** Emit to the other members of the channels in LIST. */
    const tell = (list, ...event) => {
        const recipients = others(list).length;
        if (list.length) socket.to(list.map(room)).emit(...event);
        return { seq: ++seq, recipients };
    };
    const refusal = (code, why = WHY[code]) => ({ seq: 0, recipients: 0, error: { code, message: why } });
    const noted = () => ({ seq: ++seq, recipients: 0 });
    const part = (channel, quiet) => {
        channels.splice(channels.indexOf(channel), 1);
        socket.leave(room(channel));
        if (!quiet) nsp.to(room(channel)).emit('leave', channel, socket.id);
    };

    const relayed = (name, args) => {
        const event = [name, ...args];
        for (const object of args.filter(isObject)) {
            const id = PEER_KEYS.map((key) => object[key]).find((v) => typeof v === 'string' && LOOKS_LIKE_ID.test(v));
            if (id === undefined) continue;
            const there = others(channels).includes(id);
            if (there) nsp.to(id).emit(...event);
            return { seq: ++seq, recipients: Number(there) };
        }
        for (const arg of args) {
            const named = isObject(arg) ? CHANNEL_KEYS.map((key) => arg[key]) : [arg];
            const channel = named.find((v) => typeof v === 'string' && isIn(v));
            if (channel !== undefined) return tell([channel], ...event);
        }
        return tell(channels, ...event);
    };

    const said = (name, what, [argument, ...rest]) => {
        if (!isObject(argument) || !('channel' in argument) || !('message' in argument)) return tell(channels, name,
            ...[argument, ...rest].slice(0, rest.length + 1));
        const { channel, message } = argument;
        if (!isIn(channel)) return refusal('not_a_member');
        socket.emit('log', ['>>> ', `S --> Got ${what}: `, argument]);
        return tell([channel], name, message);
    };

    const join = (channel) => {
        if (typeof channel !== 'string' || channel === '') return refusal('bad_channel');
        const { length } = members(channel);
        if (isIn(channel)) socket.emit('joined', channel, socket.id);
        else if (length >= capacity) socket.emit('full', channel);
        else {
            const inside = nsp.to(room(channel));
            if (length) {
                inside.emit('remotePeerJoining', channel);
                inside.emit('join', channel);
            }
            socket.join(room(channel));
            channels.push(channel);
            if (length) {
                socket.to(room(channel)).emit('broadcast: joined', `S --> broadcast(): client ${socket.id} joined channel ${channel}`);
                socket.emit('joined', channel, socket.id);
                nsp.to(room(channel)).emit('ready', channel);
            } else socket.emit('created', channel, socket.id);
        }
        return noted();
    };

    const rules = {
        message: (args) => said('message', 'message', args),
        response: (args) => said('response', 'response', args),
        'create or join': ([channel]) => join(channel),
        leave([channel]) {
            if (!isIn(channel)) return refusal('not_a_member', 'only members can leave a channel');
            part(channel);
            return noted();
        },
        bye: ([channel]) => (isIn(channel) ? tell([channel], 'bye', channel) : tell(channels, 'bye', ...channels.slice(0, 1))),
    };
    const last = {
        Bye([channel]) {
            const reply = tell(isIn(channel) ? [channel] : channels, 'Bye');
            for (const one of [...channels]) part(one, one === (isIn(channel) ? channel : channels[0]));
            return reply;
        },
        Ack() {
            for (const one of [...channels]) part(one);
            return noted();
        },
    };

    socket.onAny((name, ...args) => {
        const answer = typeof args.at(-1) === 'function' ? args.pop() : undefined;
        const rule = Object.hasOwn(rules, name) ? rules[name] : Object.hasOwn(last, name) ? last[name] : (list) => relayed(name, list);
        const reply = RESERVED.includes(name) ? refusal('reserved') : rule(args);
        if (answer) answer(reply);
        else if (reply.error) {
            const channel = isObject(args[0]) ? args[0].channel : args[0];
            socket.emit('error', { ...reply.error, event: name, ...(typeof channel === 'string' ? { channel } : {}) });
        }
        if (Object.hasOwn(last, name)) socket.disconnect();
    });

    // Who says farewell is gone; one whose connection is lost may come back where sockets are recovered.
    socket.on('disconnect', (reason) => {
        if (!recovery || reason === 'client namespace disconnect') for (const one of [...channels]) part(one);
    });
}

/** Start it on PORT (0: any) with those NAMESPACES. RECOVERY: sockets can be recovered, and every event has an offset behind it. */
export async function startReference({ capacity = 2, recovery = false, namespaces = ['/'], port = 0 } = {}) {
    const self = { port };
    let io;
    self.start = async () => {
        const web = http.createServer();
        io = new Server(web, {
            transports: ['polling'], allowUpgrades: false, serveClient: false, httpCompression: false, maxHttpBufferSize: 1000000,
            ...(recovery ? { connectionStateRecovery: { maxDisconnectionDuration: 120000 } } : {}),
        });
        for (const name of namespaces) io.of(name).on('connection', (socket) => signaling(socket, capacity, recovery));
        web.listen(self.port, '127.0.0.1');
        await emitted(web, 'listening');
        self.port = web.address().port;
        self.url = `http://127.0.0.1:${self.port}`;
        self.web = web;
    };
    /** End without a word to the clients, as a process that dies does. */
    self.crash = async () => {
        const closed = emitted(self.web, 'close');
        self.web.close();
        self.web.closeAllConnections();
        await closed;
        io.engine.close();
    };
    self.stop = () => self.crash();
    await self.start();
    return self;
}
