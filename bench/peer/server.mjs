// The chapter's signaling server on Socket.IO's own server, over polling alone: what Pollux is compared with.
//
//   node server.mjs PATH        listens on the Unix socket PATH (or on 127.0.0.1, where PATH is a number)
//
// Channels of two. It keeps nothing and writes nothing, so that what it costs is Socket.IO's and Node's.

import { createServer } from 'node:http';
import { Server } from 'socket.io';

const CAPACITY = 2;
const where = process.argv[2];
if (!where) {
    console.error('usage: node server.mjs PATH|PORT');
    process.exit(2);
}

const web = createServer((request, response) => response.writeHead(404).end());
const io = new Server(web, { transports: ['polling'], serveClient: false });
const sizeOf = (channel) => io.sockets.adapter.rooms.get(channel)?.size ?? 0;

function enter(socket, channel) {
    const size = sizeOf(channel);
    if (size >= CAPACITY) {
        socket.emit('full', channel);
    } else if (size === 0) {
        socket.join(channel);
        socket.emit('created', channel);
    } else {
        io.to(channel).emit('remotePeerJoining', channel); // the one who waits there hears it first
        socket.join(channel);
        socket.to(channel).emit('broadcast: joined', `S --> broadcast(): client ${socket.id} joined channel ${channel}`);
    }
}

io.on('connection', (socket) => {
    socket.on('create or join', (channel) => enter(socket, channel));
    for (const event of ['message', 'response']) {
        socket.on(event, ({ channel, message }) => socket.to(channel).emit(event, message));
    }
    socket.on('Bye', (channel) => {
        socket.to(channel).emit('Bye');
        socket.disconnect();
    });
    socket.on('Ack', () => socket.disconnect());
});

web.listen(/^\d+$/.test(where) ? { port: Number(where), host: '127.0.0.1', backlog: 4096 } : { path: where, backlog: 4096 });
process.on('SIGTERM', () => process.exit(0));
