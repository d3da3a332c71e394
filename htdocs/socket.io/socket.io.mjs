/* socket.io.mjs - the client file as an ES module. In a page it comes as a global, in Node as a CommonJS export. */
import * as loaded from './socket.io.js';

export const io = loaded.default ?? globalThis.io;
export const { Manager, Socket, protocol } = io;
export { io as connect, io as default };
