// Many pairs of clients, of which now and then one says something to its peer.

import { LIMIT_MS, channelName, sleep, until } from './harness.mjs';

/** What came of it: how many were sent and heard, after how long (ms, sorted), and how many were disconnected. */
export async function talkInPairs(url, factory, { clients, everyMs, messages }) {
    const sockets = [];
    const result = { sent: 0, heard: 0, waits: [], disconnects: 0, joinMs: 0 };
    const begun = Date.now();
    try {
        for (let i = 0; i < clients; i++) {
            const socket = factory(i)(url);
            sockets.push(socket);
            socket.joined = false;
            socket.on('disconnect', (reason) => { result.disconnects += reason !== 'io client disconnect'; });
            socket.on('ready', () => { socket.joined = true; });
            socket.on('message', ({ at }) => {
                result.heard++;
                result.waits.push(Date.now() - at);
            });
        }
        for (let i = 0; i < clients; i += 2) {
            const channel = channelName();
            for (const socket of sockets.slice(i, i + 2)) {
                socket.channel = channel;
                socket.emit('create or join', channel);
            }
        }
        await until(() => sockets.every((socket) => socket.joined), 6 * LIMIT_MS,
            () => `all in their channels: ${sockets.filter((socket) => socket.joined).length} of ${clients} are`);
        result.joinMs = Date.now() - begun;
        result.disconnects = 0;
        for (let n = 0; n < messages; n++) {
            const socket = sockets[(n * 7) % clients];
            socket.emit('message', { channel: socket.channel, message: { at: Date.now() } });
            result.sent++;
            await sleep(everyMs);
        }
        await until(() => result.heard >= result.sent, 6 * LIMIT_MS, 'the last message').catch(() => {});
    } finally {
        for (const socket of sockets) socket.close();
    }
    result.waits.sort((a, b) => a - b);
    result.p = (part) => result.waits[Math.min(result.waits.length - 1, Math.floor(result.waits.length * part))];
    return result;
}
