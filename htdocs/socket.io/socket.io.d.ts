/**
 * socket.io.d.ts - what io() and its sockets offer to a page. An option that is undefined or null is not there.
 *
 * How socket.io.js, which should be small, works inside. A Socket is a namespace, a Manager a server, an Engine a session.
 *
 * - An Engine holds one request that waits, and sends one POST at a time. What is emitted at once leaves with the next
 *   poll where the handshake says `wait`: one request each way. A POST names the one before (`after`). Where network or
 *   gateway fail, a request is made again with the same `t`, for 3 s. Only polls are aborted.
 * - Its queue holds pieces, a packet's text and attachments: { text or a promise of it, packet, last: of its packet }. No
 *   piece is larger than `maxPayload`, nor is a POST. After engine.close() nothing is queued: it goes with the next session.
 * - A server that counts says in CONNECT how many events it took (`n`). What is not known to be taken stays in `_sent`;
 *   after a recovery what was not taken is sent again, in a new socket what was never posted.
 * - A packet whose POST was refused goes by itself from then on, so that it is known which it was. It is given up at once
 *   when it is refused alone with 400 or 413; after four sessions that went well up to it when the web server fails over
 *   it (5xx). 503 never counts: that is an outage.
 * - With `retries` an event waits in `_turns` until those before it are acknowledged or given up.
 * - The methods that read or change a setting of a Manager are those that begin with r or t.
 */

export type ConnectErrorWithData = Error & { data?: unknown; description?: number; context?: unknown };

/** Why a socket is no longer connected. After the first two it stays away until connect() is called. */
export type DisconnectReason =
  | 'io server disconnect' | 'io client disconnect'
  | 'ping timeout' | 'transport close' | 'transport error' | 'parse error';

export interface ManagerOptions {
  /** HTTP path of the server, '/socket.io' by default. */
  path: string;
  /** Connect at once; true by default. */
  autoConnect: boolean;
  /** Come back after a lost connection; true by default. */
  reconnection: boolean;
  /** How often that is tried, Infinity by default. */
  reconnectionAttempts: number;
  /** Milliseconds before the first try, 1000 by default; each further one doubles it. */
  reconnectionDelay: number;
  /** Most milliseconds between two tries, 5000 by default. */
  reconnectionDelayMax: number;
  /** How far these are spread at random, 0 to 1; 0.5 by default. */
  randomizationFactor: number;
  /** Milliseconds that opening a session may take, 20000 by default; false for no limit. */
  timeout: number | false;
  /** Added to the query of each request. */
  query: Record<string, string> | string;
  /** Added to the headers of each request. */
  extraHeaders: Record<string, string>;
  /** Send cookies to other origins as well. */
  withCredentials: boolean;
  /** Accepted and ignored: there is one transport. */
  transports: string[];
}

export interface SocketOptions {
  /** Milliseconds after which an acknowledgement fails. With it, as with timeout(), acknowledgements take an error first. */
  ackTimeout: number;
  /**
   * Send events, but volatile ones, one at a time, each up to this many times again until it is acknowledged within ackTimeout.
   * Acknowledgements take an error first. A server of ours loses nothing without it, either.
   */
  retries: number;
  /** What CONNECT carries: an object, or a function that hands one to its callback, asked at each connection. */
  auth: Record<string, unknown> | ((done: (auth: Record<string, unknown>) => void) => void);
}

export interface IoOptions extends ManagerOptions, SocketOptions {
  /** A manager, and so a session, of its own. */
  forceNew: boolean;
  /** false: the same as forceNew. */
  multiplex: boolean;
}

declare class Emitter<Reserved> {
  on<E extends keyof Reserved>(event: E, listener: Reserved[E]): this;
  on(event: string, listener: (...args: any[]) => void): this;
  once<E extends keyof Reserved>(event: E, listener: Reserved[E]): this;
  once(event: string, listener: (...args: any[]) => void): this;
  /** Without LISTENER: all of EVENT. Without EVENT: all. */
  off(event?: string, listener?: (...args: any[]) => void): this;
  removeListener(event?: string, listener?: (...args: any[]) => void): this;
  removeAllListeners(event?: string): this;
  listeners(event: string): Array<(...args: any[]) => void>;
  hasListeners(event: string): boolean;
  /** on() */
  addEventListener(event: string, listener: (...args: any[]) => void): this;
  /** off() */
  removeEventListener(event?: string, listener?: (...args: any[]) => void): this;
}

export interface ManagerEvents {
  open: () => void;
  ping: () => void;
  error: (error: Error) => void;
  close: (reason: string, error?: Error) => void;
  reconnect_attempt: (attempt: number) => void;
  reconnect: (attempt: number) => void;
  reconnect_error: (error: Error) => void;
  reconnect_failed: () => void;
}

/** A connection to one server, shared by the sockets of its namespaces. */
export class Manager extends Emitter<ManagerEvents> {
  constructor(uri?: string, options?: Partial<ManagerOptions>);
  constructor(options?: Partial<ManagerOptions>);
  /** Read at each request and each try to come back; change them at any time. */
  opts: Partial<ManagerOptions>;
  /** The session: its id is a secret between page and server. */
  readonly engine: {
    readonly id?: string;
    readonly readyState: 'opening' | 'open' | 'closing' | 'closed';
    readonly transport: { readonly name: 'polling' };
    /** End the session as if it had been lost: the sockets come back in a new one. */
    close(): void;
  };
  /** The socket of a namespace. */
  socket(namespace: string, options?: Partial<SocketOptions>): Socket;
  /** Open the session; DONE hears of its success, or failure. */
  open(done?: (error?: Error) => void): this;
  connect(done?: (error?: Error) => void): this;
  /** Each tells an option or, with a value, changes it. */
  reconnection(): boolean;
  reconnection(value: boolean): this;
  reconnectionAttempts(): number;
  reconnectionAttempts(value: number): this;
  reconnectionDelay(): number;
  reconnectionDelay(value: number): this;
  reconnectionDelayMax(): number;
  reconnectionDelayMax(value: number): this;
  randomizationFactor(): number;
  randomizationFactor(value: number): this;
  timeout(): number | false;
  timeout(value: number | false): this;
}

export interface SocketEvents {
  connect: () => void;
  connect_error: (error: ConnectErrorWithData) => void;
  disconnect: (reason: DisconnectReason, error?: Error) => void;
  /**
   * What was not done, with a sentence for people. By the server: see README. By this file, for an event without an acknowledgement
   * that takes an error: `too_large`, more than the server's maxPayload; `refused`, the web server fails over it again and again.
   */
  error: (trouble: { code: string; message: string; event?: string }) => void;
}

/** A namespace of a server: what io() returns. */
export class Socket extends Emitter<SocketEvents> {
  readonly io: Manager;
  readonly nsp: string;
  /** Known to the others in a channel; undefined while not connected. */
  readonly id?: string;
  readonly connected: boolean;
  readonly disconnected: boolean;
  /** Connected, or about to come back by itself. */
  readonly active: boolean;
  /** This connection went on where the last one was lost: nothing was missed. */
  readonly recovered: boolean;
  auth?: SocketOptions['auth'];

  /** Connect by hand: after autoConnect: false, or after the server has disconnected it. */
  connect(): this;
  open(): this;
  /** Leave; what was emitted before goes out first. */
  disconnect(): this;
  close(): this;
  /**
   * Emit an event; a function as last argument gets the acknowledgement. While not connected, events wait. ArrayBuffer,
   * its views and Blob travel as bytes and arrive as ArrayBuffer. Throws when the name is a reserved one, or JSON cannot say it.
   */
  emit(event: string, ...args: any[]): this;
  /** Emit, and a promise of the acknowledgement's first argument. */
  emitWithAck(event: string, ...args: any[]): Promise<any>;
  /** emit('message', …) */
  send(...args: any[]): this;
  /** For the next emit: its acknowledgement takes an error first, at the latest after MS milliseconds. */
  timeout(ms: number): this;
  /** For the next emit: dropped when it cannot leave at once. */
  get volatile(): this;
  /** Accepted and ignored. */
  compress(on: boolean): this;
  /** Hear every event, its name first. */
  onAny(listener: (event: string, ...args: any[]) => void): this;
  offAny(listener?: (event: string, ...args: any[]) => void): this;
  /** As onAny(), before those that are there. */
  prependAny(listener: (event: string, ...args: any[]) => void): this;
  listenersAny(): Array<(event: string, ...args: any[]) => void>;
  /** The same for every event that is sent. */
  onAnyOutgoing(listener: (event: string, ...args: any[]) => void): this;
  offAnyOutgoing(listener?: (event: string, ...args: any[]) => void): this;
  prependAnyOutgoing(listener: (event: string, ...args: any[]) => void): this;
  listenersAnyOutgoing(): Array<(event: string, ...args: any[]) => void>;
}

/** io(), io(url), io(options), io(url, options). The URL's path is the namespace, its origin the server (the page's own by default). */
export interface Io {
  (uri?: string, options?: Partial<IoOptions>): Socket;
  (options?: Partial<IoOptions>): Socket;
  io: Io;
  connect: Io;
  Manager: typeof Manager;
  Socket: typeof Socket;
  /** Version of the Socket.IO protocol. */
  protocol: 5;
}

export const io: Io;
export const connect: Io;
export const protocol: 5;
export default io;
