/* socket.io.d.ts: the manual, and how it works inside. */
(() => {
'use strict';

const CONNECT = 0, DISCONNECT = 1, EVENT = 2, ACK = 3, BINARY = 3;
const RESERVED = /^((dis)?connect|connect_error|disconnecting|(new|remove)Listener)$/;
const PACKET = /^([0-4]|[56](?=([1-9]|10)-))(?:\d+-)?(?:(\/[^,]*),?)?(\d*)([^]*)/;
const VALID = /^(0object|1und|[25]list(str|num)|[36]list|4(obj|str))/;
const DEFAULTS = {
  path: '/socket.io', reconnection: true, reconnectionAttempts: Infinity, reconnectionDelay: 1000,
  reconnectionDelayMax: 5000, randomizationFactor: 0.5, timeout: 20000, autoConnect: true, multiplex: true,
};
const cache = {};
let requests = 0;

function call(fn, self, args) {
  try {
    fn.apply(self, args);
  } catch (err) {
    queueMicrotask(() => { throw err; });
  }
}

const bytes = (text) => new Blob([text]).size;
const isString = (v) => typeof v === 'string';
const isBinary = (v) => ArrayBuffer.isView(v) || v instanceof ArrayBuffer || v instanceof Blob;

async function toBase64(v) {
  const all = new Uint8Array(await new Blob([v]).arrayBuffer());
  return 'b' + btoa(Array.from(all, (c) => String.fromCharCode(c)).join(''));
}

const given = (opts) => Object.fromEntries(Object.entries(opts || {}).filter(([, v]) => v != null));

function encode(type, nsp, data, id = '') {
  const files = [];
  const json = data ? JSON.stringify(data, function (key, value) {
    return isBinary(this[key]) ? { _placeholder: true, num: files.push(this[key]) - 1 } : value;
  }) : '';
  const head = files[0] ? `${type + BINARY}${files.length}-` : type;
  return [`4${head}${nsp === '/' ? '' : nsp + ','}${id}${json}`, ...files.map(toBase64)];
}

function parse(uri = '') {
  const here = globalThis.location || { protocol: 'https:' };
  const [, scheme = here.protocol, host, nsp, query] =
    /^(https?:|wss?:)?(?:\/\/)?(?:[^/?#]*@)?([^/?#]*)([^?#]*)\??([^#]*)/.exec(uri);
  return { url: `${scheme.replace('ws', 'http')}//${host || here.host}`, nsp: nsp || '/', query };
}

class Emitter {
  _fns = { __proto__: null };
  on(name, fn) {
    this._fns[name] = [...this.listeners(name), fn];
    return this;
  }
  prepend(name, fn) { this._fns[name] = [fn, ...this.listeners(name)]; }
  once(name, fn) {
    const once = (...args) => {
      this.off(name, once);
      fn.apply(this, args);
    };
    once.fn = fn;
    return this.on(name, once);
  }
  off(name, fn) {
    const fns = this.listeners(name), at = fns.findIndex((f) => f === fn || f.fn === fn);
    if (name === undefined) this._fns = { __proto__: null };
    else this._fns[name] = fn && fns.filter((f, i) => i !== at);
    return this;
  }
  listeners(name) { return this._fns[name] || []; }
  hasListeners(name) { return !!this.listeners(name)[0]; }
  _fire(name, ...args) { for (const fn of this.listeners(name)) call(fn, this, args); }
}
const E = Emitter.prototype;
E.addEventListener = E.on;
E.removeEventListener = E.removeListener = E.removeAllListeners = E.off;

class Engine extends Emitter {
  transport = { name: 'polling' };
  _who = 'pollux=1';
  _after = '';
  _queue = [];
  _abort = new AbortController();

  constructor(manager) {
    super();
    this.manager = manager;
    this._poll();
  }

  get readyState() { return this.closed ? 'closed' : this.closing ? 'closing' : this.id ? 'open' : 'opening'; }

  _tell(what, ...args) { if (this.manager.engine === this) this.manager['_on' + what](...args); }

  async _poll() {
    let along;
    while (!this.closing) {
      const text = await this._carry(true, along), idle = !this.busy;
      this.busy = true;
      try {
        for (const packet of text.split('\x1e')) this._take(packet);
      } catch (err) {
        this._end('transport error', err);
      }
      const pause = +/^6(\d+)$/.exec(text)?.[1]; // many clients, few processes
      along = idle && !pause && !this.closing && this._hello.wait;
      if (idle) this.busy = along;
      if (!along) this._flush();
      if (pause) await new Promise((done) => setTimeout(done, pause));
    }
    if (along) this.busy = false;
    this._flush();
  }

  _take(packet) {
    const type = packet[0], data = packet.slice(1);
    if (type === '0') this._opened(JSON.parse(data));
    else if (this.closing) return;
    else if (type === '1') this._end('transport close');
    else if (type === '2') {
      this._watch();
      this.send({ pieces: ['3'] });
      this.manager._fire('ping');
    } else if (type === '4') this._tell('data', data);
    else if (type === 'b') this._tell('data', Uint8Array.from(atob(data), (c) => c.charCodeAt()).buffer);
    else if (type !== '6') throw new Error('server error');
  }

  _opened(hello) {
    this.id = hello.sid;
    this._who = 'sid=' + hello.sid;
    this._hello = hello;
    this._watch();
    if (!this.closing) this._tell('open');
    this._flush();
  }

  _watch() {
    clearTimeout(this._timer);
    this._timer = setTimeout(() => this._end('ping timeout'), this._hello.pingInterval + this._hello.pingTimeout);
  }

  send(packet) {
    if (this.closing) return;
    packet.pieces.forEach((text, i, all) => this._queue.push({ text, packet, last: !all[i + 1] }));
    this._flush();
  }

  async _flush() {
    if (this.busy || this.closed || !this.id) return;
    this.busy = true;
    do await this._carry(false, true); while (this._queue[0]);
    this.busy = false;
    if (this.closing) this._end('forced close');
  }

  async _carry(wait, post) {
    const batch = [];
    try {
      if (post && !(await this._next(batch)) && !wait) return;
      for (const { packet } of batch) packet.posted = true;
      const answer = this._request(batch.map((p) => p.text).join('\x1e'), wait);
      if (wait && post) {
        this.busy = false;
        this._flush();
      }
      const text = await answer;
      for (const { packet, last } of batch) if (last && !this.closed) packet.socket?._taken(packet);
      return text;
    } catch (err) {
      const { description: status, context } = err;
      const failed = /^(4(00|13)|5(?!03))/.test(status) && !/"code": ?1\b/.test(context);
      const packets = new Set(batch.map((p) => p.packet));
      for (const packet of packets) {
        if (failed) packet.failed += status < 500 && packets.size === 1 ? 4 : 1;
        if (packet.failed > 3 && !this.closed) packet.socket._lost(packet, 'refused', `status ${status}`);
      }
      this._end('transport error', err);
    }
  }

  async _next(batch) {
    const most = this._hello.maxPayload;
    let size = -1;
    await null; // all emitted in one go
    for (const piece of this._queue) {
      const { packet } = piece, first = batch[0]?.packet || packet;
      const whole = await Promise.all(packet.pieces);
      if (!packet.gone && whole.some((text) => bytes(text) > most)) packet.socket._lost(packet, 'too_large', `more than ${most} bytes`);
      if (packet.gone) continue;
      piece.text = await piece.text;
      size += bytes(piece.text) + 1;
      // What failed goes by itself.
      if (size > most || batch[999] || (first !== packet && (first.failed || packet.failed))) break;
      batch.push(piece);
    }
    this._queue = this._queue.filter((p) => !batch.includes(p) && !p.packet.gone);
    return batch.length;
  }

  async _request(body, wait) {
    const { opts, _at } = this.manager, t = `${Date.now()}.${requests++}`, own = new URLSearchParams(opts.query || _at.query);
    const url = `${_at.url}?EIO=4&transport=polling&t=${t}&${this._who}${body && `&after=${this._after}&wait=${wait}`}&${own}`;
    if (body) this._after = t;
    for (let pause = 100; ; pause *= 2) { // 3 s in all
      const [status, text] = await fetch(url, {
        ...(body ? { method: 'POST', body, keepalive: body.length < 20000 } : { signal: this._abort.signal }),
        headers: opts.extraHeaders, credentials: opts.withCredentials ? 'include' : 'same-origin',
      }).then(async (answer) => [answer.status, await answer.text()]).catch((err) => [0, err]);
      if (status === 200) return text;
      if (!this.id || !/^(0|429|5..)$/.test(status) || pause > 2000 || this.closed) {
        throw Object.assign(new Error(`xhr ${body ? 'post' : 'poll'} error`), { description: status, context: text });
      }
      await new Promise((done) => setTimeout(done, pause * (0.5 + Math.random())));
    }
  }

  close() {
    this.send({ pieces: ['1'] });
    this.closing = true;
  }

  leave(goodbye) {
    this._request([...this._queue.map((p) => p.text), ...goodbye, '1'].join('\x1e')).catch(() => {});
    this._end('transport close');
  }

  _end(reason, err) {
    if (this.closed) return;
    this.closed = this.closing = true;
    clearTimeout(this._timer);
    this._abort.abort();
    this._queue = [];
    this._tell('end', reason, err);
  }
}

class Manager extends Emitter {
  nsps = {};
  _readyState = 'closed';
  _attempts = 0;

  constructor(uri, opts) {
    super();
    if (!isString(uri)) [uri, opts] = [undefined, opts || uri];
    this.opts = { ...DEFAULTS, ...given(opts) };
    this._at = parse(uri);
    this._at.url += this.opts.path.replace(/\/?$/, '/');
    if (globalThis.document) addEventListener('pagehide', () => this._leave());
    if (this.opts.autoConnect) this.open();
  }

  socket(nsp, opts) {
    const socket = (this.nsps[nsp] ||= new Socket(this, nsp, opts));
    if (this.opts.autoConnect && !socket.active) socket.connect();
    return socket;
  }

  open(fn) {
    if (this._readyState !== 'closed') return this;
    const { timeout } = this.opts;
    this._readyState = 'opening';
    this.skipReconnect = false;
    this._opened = fn || ((err) => err && !this._attempts && this._reconnect());
    this.engine = new Engine(this);
    if (timeout) this._timer = setTimeout(() => this._onend('timeout'), timeout);
    return this;
  }

  get _sockets() { return Object.values(this.nsps).filter((s) => s.active); }

  _onopen() {
    clearTimeout(this._timer);
    this._readyState = 'open';
    this._fire('open');
    for (const socket of this._sockets) socket._onopen();
    this._opened();
  }

  _ondata(data) {
    try {
      if (!isString(data)) this._partial.push(data);
      else if (this._partial) throw new Error('invalid packet');
      else this._partial = [PACKET.exec(data)];
      const [[, type, count = 0, nsp = '/', id, json], ...files] = this._partial;
      if (files.length < count) return;
      this._partial = undefined;
      const value = json ? JSON.parse(json, (k, v) => (v && v._placeholder && files[v.num]) || v) : undefined;
      const kind = Array.isArray(value) ? 'list' + typeof value[0] : typeof value;
      if (!VALID.test(type + kind)) throw new Error('invalid packet');
      const socket = this.nsps[nsp];
      if (socket?.active) socket._onpacket(type > 4 ? type - BINARY : +type, value, id);
    } catch (err) {
      this._onclose('parse error', err);
    }
  }

  _onend(reason, err) {
    if (this._readyState === 'closed') return;
    const opening = this._readyState === 'opening';
    if (opening) err ||= new Error(reason);
    if (err) {
      for (const socket of this._sockets) if (!socket.connected) socket._fire('connect_error', err);
      this._fire('error', err);
    }
    if (!opening) return this._onclose(reason, err);
    this._stop();
    this._opened(err);
  }

  _stop() {
    clearTimeout(this._timer);
    this._partial = undefined;
    this._reconnecting = false;
    this._readyState = 'closed';
    this.engine?.close();
  }

  _onclose(reason, err) {
    this._stop();
    this._attempts = 0;
    for (const socket of this._sockets) socket._onclose(reason, err);
    this._fire('close', reason, err);
    this._reconnect();
  }

  _close() {
    this.skipReconnect = true;
    this._onclose('forced close');
  }

  _reconnect() {
    const { opts } = this;
    if (!opts.reconnection || this._reconnecting || this.skipReconnect || this._readyState !== 'closed') return;
    if (this._attempts >= (opts.reconnectionAttempts || Infinity)) {
      this._attempts = 0;
      this._fire('reconnect_failed');
      for (const socket of this._sockets) socket._forget();
      return;
    }
    const spread = 1 + opts.randomizationFactor * (2 * Math.random() - 1);
    const delay = (opts.reconnectionDelay || 1000) * 2 ** this._attempts++ * spread;
    this._reconnecting = true;
    this._timer = setTimeout(() => {
      this._reconnecting = false;
      this._fire('reconnect_attempt', this._attempts);
      if (this.skipReconnect) return;
      this.open((err) => {
        const attempts = this._attempts;
        if (err) this._reconnect();
        else this._attempts = 0;
        this._fire(err ? 'reconnect_error' : 'reconnect', err || attempts);
      });
    }, Math.min(delay, opts.reconnectionDelayMax));
  }

  _leave() {
    if (this._readyState === 'open') this.engine.leave(this._sockets.filter((s) => s.connected).flatMap((s) => encode(DISCONNECT, s.nsp)));
  }
}

for (const key in DEFAULTS) {
  if (/^[rt]/.test(key)) Manager.prototype[key] = function (value) {
    if (value === undefined) return this.opts[key];
    this.opts[key] = value;
    return this;
  };
}
Manager.prototype.connect = Manager.prototype.open;

class Socket extends Emitter {
  connected = false;
  recovered = false;
  active = false;
  sendBuffer = [];
  receiveBuffer = [];
  flags = {};
  ids = 0;
  acks = {};
  _any = new Emitter();
  _turns = [];
  _sent = [];
  _count = 0;

  constructor(manager, nsp, opts) {
    super();
    Object.assign(this, { io: manager, nsp, auth: opts?.auth, _opts: given(opts) });
  }

  get disconnected() { return !this.connected; }

  connect() {
    if (this.connected) return this;
    this.active = true;
    if (!this.io._reconnecting) this.io.open();
    if (this.io._readyState === 'open') this._onopen();
    return this;
  }

  disconnect() {
    const { connected } = this;
    if (connected) this.io.engine.send(this._packet(DISCONNECT));
    this._destroy();
    this._pid = this._offset = undefined;
    if (connected) this._onclose('io client disconnect');
    else this._forget();
    return this;
  }

  emit(...data) {
    const { flags } = this, { volatile, ms = this._opts.ackTimeout } = flags;
    if (RESERVED.test(data[0])) throw new Error(`"${data[0]}" is a reserved event name`);
    this.flags = {};
    const turn = this._opts.retries && !volatile && !flags.turn;
    const fn = typeof data.at(-1) === 'function' && data.pop(), id = fn && !turn ? this.ids++ : undefined;
    const packet = { ...this._packet(EVENT, data, id, data[0]), id, lost: volatile };
    if (turn) {
      this._turns.push({ data, flags, fn, tries: 0 });
      this._nextTurn();
      return this;
    }
    if (fn) {
      const timer = ms && setTimeout(() => {
        this.sendBuffer = this.sendBuffer.filter((p) => p !== packet);
        this._settle(id, 'operation has timed out');
      }, ms);
      this.acks[id] = { fn, errorFirst: flags.errorFirst || ms, timer };
    }
    if (volatile && (!this.connected || this.io.engine.busy)) return this;
    if (this.connected) this._send(packet);
    else this.sendBuffer.push(packet);
    return this;
  }

  _nextTurn() {
    const [turn] = this._turns;
    if (!this.connected || !turn || turn.busy) return;
    turn.busy = true;
    this.flags = { ...turn.flags, turn, errorFirst: true };
    this.emit(...turn.data, (err, ...args) => {
      turn.busy = false;
      if (!err || turn.tries++ >= this._opts.retries) {
        this._turns.shift();
        if (turn.fn) call(turn.fn, this, [err, ...args]);
      }
      this._nextTurn();
    });
  }

  emitWithAck(...args) {
    this.flags.errorFirst = true;
    return new Promise((done, fail) => this.emit(...args, (err, value) => (err ? fail(err) : done(value))));
  }

  send(...args) { return this.emit('message', ...args); }

  timeout(ms) {
    Object.assign(this.flags, { ms, errorFirst: true });
    return this;
  }

  get volatile() {
    this.flags.volatile = true;
    return this;
  }

  compress() { return this; }

  _packet(type, data, id, event) {
    return { socket: this, data, event, pieces: encode(type, this.nsp, data, id), failed: 0 };
  }

  _send(packet) {
    if (!('posted' in packet)) this._any._fire('Outgoing', ...packet.data);
    packet.posted = false;
    this._sent.push(packet);
    this.io.engine.send(packet);
  }

  _taken(packet) {
    this._count += this._sent.splice(0, this._sent.indexOf(packet) + 1).length;
  }

  _lost(packet, code, what) {
    const { event, id } = packet, message = `"${event}" was not sent: ${what}`;
    packet.gone = true;
    // What was posted counts until the server tells.
    if (!packet.posted) this._sent = this._sent.filter((p) => p !== packet);
    if (this.acks[id]?.errorFirst) this._settle(id, message);
    else this._fire('error', { code, message, event });
  }

  _onopen() {
    const { engine } = this.io;
    const hello = (auth) => {
      if (engine !== this.io.engine || engine === this._asked || !this.active) return;
      this._asked = engine;
      engine.send(this._packet(CONNECT, { pid: this._pid, offset: this._offset, n: true, ...auth }, '', 'connect'));
    };
    if (typeof this.auth === 'function') call(this.auth, this, [hello]);
    else hello(this.auth);
  }

  _onpacket(type, data, id) {
    if (type === CONNECT) this._onconnect(data);
    else if (type === EVENT) this._onevent(data, id);
    else if (type === ACK) this._settle(id, null, data);
    else {
      this._destroy();
      if (type === DISCONNECT) this._onclose('io server disconnect');
      else this._fire('connect_error', Object.assign(new Error(data.message), data));
    }
  }

  _onconnect({ sid, pid, n }) {
    this.id = sid;
    this.connected = true;
    this.recovered = !!pid && pid === this._pid;
    this._counts = n >= 0;
    // What was not taken or, in a new socket, sent.
    const again = this._sent.filter((p, i) => !p.lost && !p.gone && (this.recovered ? i >= n - this._count : !p.posted));
    const queue = [...again, ...this.sendBuffer];
    this._pid = pid;
    this._count = n || 0;
    this._sent = [];
    this.sendBuffer = [];
    queue.forEach(this._send, this);
    if (!this.recovered) this._clearAcks(queue);
    this.receiveBuffer.splice(0).forEach(this._deliver, this);
    this._fire('connect');
    this._nextTurn();
  }

  _onevent(data, id) {
    const last = data.at(-1);
    const marker = data[0] === 'pollux' && data.length === 2 && isString(last);
    if (marker || (!id && this._pid && isString(last) && !this._counts)) this._offset = last;
    if (marker) return;
    if (id) {
      data.push((...args) => {
        if (id && this.connected) this.io.engine.send(this._packet(ACK, args, id, data[0]));
        id = '';
      });
    }
    if (this.connected) this._deliver(data);
    else this.receiveBuffer.push(data);
  }

  _deliver(data) {
    this._any._fire('', ...data);
    this._fire(...data);
  }

  _settle(id, trouble, data = []) {
    const ack = this.acks[id];
    if (!ack) return;
    delete this.acks[id];
    clearTimeout(ack.timer);
    if (ack.errorFirst) call(ack.fn, this, [trouble && new Error(trouble), ...data]);
    else if (!trouble) call(ack.fn, this, data);
  }

  _clearAcks(except) {
    for (const id in this.acks) if (!except.some((p) => p.id === +id)) this._settle(id, 'socket has been disconnected');
  }

  _forget() {
    this._sent = [];
    this._clearAcks(this.sendBuffer);
  }

  _onclose(reason, err) {
    this.connected = false;
    this.id = undefined;
    this._fire('disconnect', reason, err);
    if (!this._counts || !this.active || !this.io.opts.reconnection) this._forget();
  }

  _destroy() {
    this.active = this._asked = false;
    if (!this.io._sockets[0]) this.io._close();
  }
}
for (const out of ['', 'Outgoing']) {
  for (const how of ['on', 'off', 'prepend', 'listeners']) {
    Socket.prototype[how + 'Any' + out] = function (fn) {
      const list = this._any[how](out, fn);
      return how === 'listeners' ? list : this;
    };
  }
}
Socket.prototype.open = Socket.prototype.connect;
Socket.prototype.close = Socket.prototype.disconnect;

function io(uri, opts) {
  if (!isString(uri)) [uri, opts] = [undefined, opts || uri];
  const { path, forceNew, multiplex } = { ...DEFAULTS, ...given(opts) };
  const { url, nsp } = parse(uri);
  const shared = !forceNew && multiplex && !cache[url + path]?.nsps[nsp];
  const manager = (shared && cache[url + path]) || new Manager(uri, opts);
  if (shared) cache[url + path] = manager;
  return manager.socket(nsp, opts);
}
Object.assign(io, { io, connect: io, Manager, Socket, protocol: 5 });

if (typeof module === 'object' && module.exports) module.exports = io;
else globalThis.io = io;
})();
