/** socket.io.d.ts - what io() and its sockets offer to a page. */

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
  readonly engine: { readonly id?: string; readonly transport: { readonly name: 'polling' } };
  /** The socket of a namespace. */
  socket(namespace: string, options?: Partial<SocketOptions>): Socket;
  /** Open the session; DONE hears of its success, or failure. */
  open(done?: (error?: Error) => void): this;
}

export interface SocketEvents {
  connect: () => void;
  connect_error: (error: ConnectErrorWithData) => void;
  disconnect: (reason: DisconnectReason, error?: Error) => void;
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
   * its views and Blob travel as bytes and arrive as ArrayBuffer. Throws when the name is a reserved one.
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
