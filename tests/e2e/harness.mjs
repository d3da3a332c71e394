// What the end-to-end suites stand on: a Pollux behind a lighttpd of its own, in a folder of its own, on a port of its own;
// clients to talk to it; and waits that wait for the thing itself and say what was missing.
//
// Nothing here knows a rule of the protocol; the suites do.
//
//   POLLUX_BIN       the program under test (default: $POLLUX_BUILD/pollux.fcgi, else pollux.fcgi at the top of the sources)
//   POLLUX_LIGHTTPD  the web server (default: lighttpd, also looked for in /usr/sbin)
//   POLLUX_KEEP      set: keep each test's folder, and say where it is
//   POLLUX_SLOW      factor for every time limit, for sanitizers and busy machines (default 1)

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once as emitted } from 'node:events';
import { chmodSync, closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const top = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..');
const slow = Number(process.env.POLLUX_SLOW ?? 1);

export const htdocs = join(top, 'htdocs');
export const program = resolve(process.env.POLLUX_BIN ?? join(process.env.POLLUX_BUILD ?? top, 'pollux.fcgi'));

/** The limit of a wait for something that is due at once: generous, since it is only ever reached by a failure. */
export const LIMIT_MS = 20000 * slow;

// ---- waiting

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** Call FN until it returns something true, and return that. */
export async function until(fn, ms = LIMIT_MS, what = fn.toString()) {
    const deadline = Date.now() + ms;
    for (;;) {
        const value = await fn();
        if (value) return value;
        if (Date.now() > deadline) throw new Error(`not within ${ms} ms: ${what}`);
        await sleep(20);
    }
}

/** The outcome of PROMISE, or an error that says WHAT did not come. */
export async function within(promise, what, ms = LIMIT_MS) {
    let timer;
    const late = new Promise((_, fail) => {
        timer = setTimeout(() => fail(new Error(`not within ${ms} ms: ${what}`)), ms);
    });
    try {
        return await Promise.race([promise, late]);
    } finally {
        clearTimeout(timer);
    }
}

/** The arguments of the next EVENT of a Socket.IO socket or manager. */
export function once(socket, event, ms = LIMIT_MS) {
    const heard = new Promise((done) => socket.once(event, (...args) => done(args)));
    return within(heard, `the event "${event}"`, ms);
}

// ---- the server

/** A port of 127.0.0.1 that was free a moment ago. */
export async function freePort() {
    const server = net.createServer().listen(0, '127.0.0.1');
    await emitted(server, 'listening');
    const { port } = server.address();
    server.close();
    await emitted(server, 'close');
    return port;
}

function lighttpdBinary() {
    const choices = [process.env.POLLUX_LIGHTTPD, '/usr/sbin/lighttpd', '/usr/local/sbin/lighttpd', '/usr/bin/lighttpd'];
    return choices.find((path) => path && existsSync(path)) ?? 'lighttpd';
}

// Should this process be killed, what it started ends too.
const mortal = existsSync('/usr/bin/setpriv') ? ['/usr/bin/setpriv', '--pdeathsig', 'TERM'] : [];

const quoted = (text) => `"${String(text).replace(/(["\\])/g, '\\$1')}"`;
const pairs = (object) => Object.entries(object).map(([k, v]) => `    ${quoted(k)} => ${quoted(v)}`).join(',\n');

/** PARTS of lighttpd's configuration, as conf/lighttpd-pollux.conf.in has it, with VALUES for what is left open there. */
export function lighttpdParts(parts, values) {
    return execFileSync('awk', ['-v', `parts=${parts}`, '-f', join(top, 'tools/fill.awk'), join(top, 'conf/lighttpd-pollux.conf.in')],
        { encoding: 'utf8', env: { PATH: process.env.PATH, ...values } });
}

/** The lighttpd.conf of ./serve, but for the places of files, numbers, and what the test wants otherwise. */
function lighttpdConf({ dir, port, maxProcs, cgi, env, also, lighttpd }) {
    const path = env.POLLUX_PATH ?? '/socket.io/';
    const escaped = (text) => text.replaceAll('.', '\\.');
    const polls = `${escaped(path)}?`;
    const how = cgi ? 'cgi' : 'fastcgi';
    const own = {
        'server.errorlog': quoted(join(dir, 'lighttpd.log')),
        'server.breakagelog': quoted(join(dir, 'program.log')), // standard error of the program
        ...lighttpd,
    };
    return Object.entries(own).map(([k, v]) => `${k} = ${v}\n`).join('') + lighttpdParts(`server pages ${how}`, {
        modules: ['indexfile', 'access', 'alias', 'setenv', how].map((name) => quoted(`mod_${name}`)).join(', '),
        htdocs, bind: '127.0.0.1', port, uploads: dir, fds: 4096, connections: 1600, keep_alive: 60,
        polls, asked: `(${[polls, ...also.map(escaped)].join('|')})`, path, folder: path.slice(0, -1),
        max_request: Math.ceil((env.POLLUX_MAX_PAYLOAD_BYTES ?? 1000000) / 1024) + 1,
        program, socket: join(dir, 'fcgi.sock'), max_procs: maxProcs,
        environment: `\n${pairs(cgi ? { ...sanitizerOptions(), ...env } : env)}\n`,
    });
}

export function sanitizerOptions() {
    const passed = ['ASAN_OPTIONS', 'UBSAN_OPTIONS', 'LSAN_OPTIONS'];
    return Object.fromEntries(passed.filter((n) => process.env[n]).map((n) => [n, process.env[n]]));
}

/** Processes whose environment holds WORD. */
function processesWith(word) {
    return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => {
        try {
            return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(word);
        } catch {
            return false; // gone meanwhile, or not ours
        }
    });
}

function parentOf(pid) {
    try {
        return Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))[1]);
    } catch {
        return 0;
    }
}

/** The name that process PID goes by; '' when there is none. */
export function nameOf(pid) {
    try {
        return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
    } catch {
        return '';
    }
}

const isKeeper = (pid) => nameOf(pid) === 'pollux-keeper';

/** Until it has been given its work, and its name, a new process has the name of the one above it. */
export const isWorker = (pid) => !['pollux-keeper', 'pollux-super'].includes(nameOf(pid));

const TROUBLE = /^\S+ error |AddressSanitizer|runtime error:|LeakSanitizer|UndefinedBehaviorSanitizer|MemorySanitizer|Assertion .* failed/m;

// Whatever a test forgets or a failure leaves behind ends with this process.
const running = new Set();
process.on('exit', () => running.forEach((server) => {
    server.kill('SIGKILL');
    rmSync(server.dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
}));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

const namespace = ['unshare', ...(process.getuid() === 0 ? [] : ['-r']), '--pid', '--fork', '--mount-proc', '--kill-child', '--'];

function childrenOf(pid) {
    const list = `/proc/${pid}/task/${pid}/children`;
    return existsSync(list) ? readFileSync(list, 'utf8').split(' ').filter(Boolean).map(Number) : [];
}

// On a busy machine all work is long, and those who come back are late.
const patient = { POLLUX_MAX_WORK_PERCENT: 0, POLLUX_LEAVE_AFTER_MS: 30000 };

/**
 * Start Pollux behind lighttpd.
 *
 * procs     worker processes that the program forks (key `processes`)
 * maxProcs  processes that lighttpd starts, each with a socket of its own
 * cgi       as a CGI program instead of FastCGI
 * also      further paths that go to the program (as FastCGI)
 * env       further variables for the program, POLLUX_… or other
 * lighttpd  further settings for lighttpd.conf, name: value as written there
 * apart     in a pid namespace of its own, as in a container
 */
export async function startPollux({ procs = 1, maxProcs = 1, cgi = false, env = {}, also = [], lighttpd = {}, apart = false } = {}) {
    if (!existsSync(program)) throw new Error(`${program} is not there; build first, or name the program in POLLUX_BIN`);
    const dir = mkdtempSync(join(tmpdir(), 'pollux-e2e-'));
    chmodSync(dir, 0o755);
    const dataDir = join(dir, 'data');
    mkdirSync(dataDir, { mode: 0o700 });
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const all = { POLLUX_CONFIG: '/dev/null', POLLUX_STORE: dataDir, POLLUX_PROCESSES: procs, POLLUX_LOG_LEVEL: 'info', ...patient, ...env };
    // The mark is how the program's processes are found again; it is no key, so it does not begin as keys do.
    const marked = { ...all, E2E_MARK: dir };
    const conf = join(dir, 'lighttpd.conf');
    writeFileSync(conf, lighttpdConf({ dir, port, maxProcs, cgi, env: marked, also, lighttpd }));

    let child = null;
    const web = () => (apart ? childrenOf(child.pid)[0] : child.pid);
    const logText = () => ['program.log', 'lighttpd.log', 'stderr.log'].map((name) => join(dir, name))
        .filter(existsSync).map((path) => readFileSync(path, 'utf8')).join('');
    const pids = () => processesWith(`E2E_MARK=${dir}`);

    const server = {
        url, port, dataDir, dir, env: all, logText, pids,
        database: join(dataDir, 'pollux.db'),

        /** Rows of QUERY as objects. */
        sql: (query) => readSql(join(dataDir, 'pollux.db'), query),

        /** Send SIGNAL to lighttpd and to every process of the program. */
        kill(signal) {
            for (const pid of [child && web(), ...pids()]) {
                try {
                    if (pid) process.kill(pid, signal);
                } catch { /* it has ended by itself */ }
            }
        },

        /** Start again after crash(): same port, same data. */
        async start() {
            const [command, ...args] = [...mortal, ...(apart ? namespace : []), lighttpdBinary(), '-D', '-f', conf];
            const words = openSync(join(dir, 'stderr.log'), 'a');
            child = spawn(command, args, {
                detached: true,
                stdio: ['ignore', 'ignore', words],
                env: { PATH: process.env.PATH, ...sanitizerOptions() },
            });
            closeSync(words);
            running.add(server);
            await until(answers, LIMIT_MS, 'an answer to a handshake').catch((error) => {
                const log = logText();
                server.kill('SIGKILL');
                throw new Error(`${error.message}\n${log.slice(0, 2000)}`);
            });
            // One may be serving while others still begin.
            const count = maxProcs * all.POLLUX_PROCESSES;
            if (!cgi) await until(() => server.workers().length === count && server.keepers().length === maxProcs, LIMIT_MS, `${count} workers`);
        },

        /** The process of lighttpd. */
        web,

        /** The process that watches over the workers; several with maxProcs. */
        supervisors: () => pids().filter((pid) => !isKeeper(pid) && !server.workers().includes(pid)),
        keepers: () => pids().filter(isKeeper),

        /** The processes that answer requests: all but those that watch over the others, or the write-ahead log. */
        workers() {
            const living = pids();
            const parents = new Set(living.map(parentOf));
            return living.filter((pid) => !parents.has(pid) && isWorker(pid));
        },

        /** End everything without a word. */
        async crash() {
            server.kill('SIGKILL');
            await ended();
        },

        /** End in good order; the folder stays. */
        async halt() {
            if (child.exitCode === null && child.signalCode === null) process.kill(web(), 'SIGTERM');
            await ended();
        },

        /** End in good order, remove the folder; fails on trouble in the log or processes that stay. */
        async stop({ allow } = {}) {
            if (!running.has(server)) return;
            try {
                await server.halt();
                const trouble = logText().split('\n').filter((line) => TROUBLE.test(line) && !allow?.test(line));
                assert.deepEqual(trouble, [], `the log of the program:\n${logText()}`);
            } finally {
                server.kill('SIGKILL');
                running.delete(server);
                if (process.env.POLLUX_KEEP) console.error(`kept: ${dir}`);
                else rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
            }
        },
    };

    const answers = async () => {
        if (child.exitCode !== null) throw new Error(`lighttpd ended with ${child.exitCode}`);
        const first = engine(url, all.POLLUX_PATH);
        try {
            const answer = await first.open();
            if (answer.status !== 200) return false;
            await first.post('1'); // leaves nothing behind that a test would count
            return true;
        } catch {
            return false;
        } finally {
            first.end();
        }
    };
    const ended = () => until(() => (child.exitCode !== null || child.signalCode !== null) && pids().length === 0, LIMIT_MS,
        `the end of lighttpd (${child.pid}) and of the program (${pids().join(' ')})\n${logText()}`);

    try {
        await server.start();
    } catch (error) {
        rmSync(dir, { recursive: true, force: true });
        throw error;
    }
    return server;
}

/** Start one, run BODY(server), stop it, whatever happens. */
export async function withPollux(options, body) {
    const { allow, ...rest } = options;
    const server = await startPollux(rest);
    try {
        await body(server);
    } catch (error) {
        const log = server.logText();
        if (log.trim()) error.message += `\n--- log of the program ---\n${log.slice(-4000)}`;
        await server.stop({ allow: /(?:)/ }).catch(() => {});
        throw error;
    }
    await server.stop({ allow });
}

/** Read a database with the sqlite3 tool, or with Node's own module where that is missing. */
export function readSql(file, query) {
    try {
        const out = execFileSync('sqlite3', ['-json', '-cmd', '.timeout 10000', file, query], { encoding: 'utf8', maxBuffer: 1 << 28 });
        return out.trim() ? JSON.parse(out) : [];
    } catch (error) {
        if (error.code !== 'ENOENT') throw error;
        const { DatabaseSync } = require('node:sqlite');
        const db = new DatabaseSync(file);
        try {
            db.exec('pragma busy_timeout = 10000');
            return db.prepare(query).all();
        } finally {
            db.close();
        }
    }
}

/** A wire between a client and SERVER that can be cut: url, cut() drops every connection and refuses new ones, heal(). */
export async function wire(server) {
    const open = new Set();
    let whole = true;
    const listener = net.createServer((near) => {
        if (!whole) return near.destroy();
        const far = net.connect(server.port, '127.0.0.1');
        for (const [from, to] of [[near, far], [far, near]]) {
            open.add(from);
            from.on('error', () => {});
            from.on('close', () => {
                open.delete(from);
                to.destroy();
            });
            from.pipe(to);
        }
    }).listen(0, '127.0.0.1');
    await emitted(listener, 'listening');
    const self = {
        url: `http://127.0.0.1:${listener.address().port}`,
        cut() {
            whole = false;
            for (const socket of open) socket.destroy();
        },
        heal() {
            whole = true;
        },
        close() {
            self.cut();
            listener.close();
        },
    };
    return self;
}

// ---- a raw client: every byte is the test's own

/** One HTTP request. Resolves to {status, headers, bytes, text}. */
export function request(url, { method = 'GET', headers = {}, body, agent, pieces } = {}) {
    return new Promise((done, fail) => {
        const rq = http.request(url, { method, headers, agent }, (rs) => {
            const chunks = [];
            rs.on('data', (chunk) => chunks.push(chunk));
            rs.on('error', fail);
            rs.on('end', () => {
                const bytes = Buffer.concat(chunks);
                done({ status: rs.statusCode, headers: rs.headers, bytes, text: bytes.toString('utf8') });
            });
        });
        rq.on('error', fail);
        if (pieces) for (const piece of pieces) rq.write(piece);
        rq.end(body);
    });
}

/** An Engine.IO session without any cleverness, on keep-alive connections as a browser has them, and with the Origin that a browser sends. */
export function engine(url, path = '/socket.io/') {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
    let count = 0;
    const held = []; // packets of answers that nobody has asked for yet
    let polling = null;

    // One poll at a time, as clients have it. Its packets go to `held`; anything but 200 is an error.
    const poll = () => {
        polling ??= self.get().then((answer) => {
            polling = null;
            if (answer.status !== 200) throw Object.assign(new Error(`poll: ${answer.status} ${answer.text}`), answer);
            held.push(...packets(answer));
        }, (error) => {
            polling = null;
            throw error;
        });
        polling.catch(() => {}); // next() tells
        return polling;
    };

    const self = {
        sid: null,
        handshake: null,
        origin: new URL(url).origin,

        /** The address of a request. QUERY adds to or replaces what a client sends; undefined leaves a part out. */
        address(query = {}) {
            const all = { EIO: '4', transport: 'polling', t: `t${process.pid}.${++count}`, ...(self.sid ? { sid: self.sid } : {}), ...query };
            const text = Object.entries(all).filter(([, v]) => v !== undefined).map(([k, v]) => `${k}=${encodeURIComponent(v)}`).join('&');
            return `${url}${path}?${text}`;
        },

        async open(query, headers) {
            const answer = await request(self.address(query), { agent, headers });
            if (answer.status === 200 && answer.text.startsWith('0{')) {
                self.handshake = JSON.parse(answer.text.slice(1));
                self.sid = self.handshake.sid;
            }
            return answer;
        },

        get: (t, { query, headers } = {}) => request(self.address({ ...(t === undefined ? {} : { t }), ...query }), { agent, headers }),

        post(body, { t, query, headers, pieces } = {}) {
            const bytes = Buffer.isBuffer(body) ? body : Buffer.from(body);
            return request(self.address({ ...(t === undefined ? {} : { t }), ...query }), {
                method: 'POST', agent, pieces, body: pieces ? undefined : bytes,
                headers: { Origin: self.origin, 'Content-Type': 'text/plain;charset=UTF-8', 'Content-Length': pieces ? Buffer.concat(pieces).length
                    : bytes.length, ...headers },
            });
        },

        /** POST that must be answered `ok`. */
        async send(...list) {
            const answer = await self.post(list.join('\x1e'));
            assert.equal(`${answer.status} ${answer.text}`, '200 ok', `POST of ${list.join(' ').slice(0, 200)}`);
        },

        /**
         * The next packet that says something: polls as often as needed, answers pings, leaves out noops and the recovery marker.
         * A poll that fails yields {status, text} as the error's members.
         */
        async next(ms = LIMIT_MS) {
            const deadline = Date.now() + ms;
            for (;;) {
                while (held.length) {
                    const packet = held.shift();
                    if (packet === '2') await self.post('3');
                    else if (packet !== '6' && !packet.startsWith('42["pollux",')) return packet;
                }
                await within(poll(), `a packet for ${self.sid}`, Math.max(1, deadline - Date.now()));
            }
        },

        /** Begin to poll; next() yields what comes. */
        startPoll: () => void poll(),

        /** The next N packets. */
        async take(n, ms) {
            const list = [];
            while (list.length < n) list.push(await self.next(ms));
            return list;
        },

        /** Open, and connect to a namespace; returns the answer to the CONNECT as an object. */
        async connect(nsp = '/', auth) {
            if (!self.sid) {
                const answer = await self.open();
                assert.equal(answer.status, 200, answer.text);
            }
            const begin = nsp === '/' ? '40' : `40${nsp},`;
            await self.send(begin + (auth === undefined ? '' : JSON.stringify(auth)));
            const reply = await self.next();
            assert.ok(reply.startsWith(`${begin}{`), `the answer to CONNECT: ${reply}`);
            return JSON.parse(reply.slice(begin.length));
        },

        /** The session is over: what is left to poll ends in `1` or in "Session ID unknown". */
        async closed(ms = LIMIT_MS) {
            try {
                const packet = await self.next(ms);
                assert.equal(packet, '1', 'the session should be closed');
            } catch (error) {
                if (error.status === undefined) throw error;
                assert.equal(error.status, 400);
            }
            const after = await self.get();
            assert.equal(`${after.status} ${after.text}`, '400 {"code":1,"message":"Session ID unknown"}');
        },

        /** Close the connections; the server hears nothing of it. */
        end() {
            agent.destroy();
        },
    };
    return self;
}

/** The packets of an answer. */
export const packets = (answer) => answer.text.split('\x1e');

// ---- clients as pages have them

/** The official client. */
export function official(url, options = {}) {
    const { io } = require('socket.io-client');
    return io(url, { transports: ['polling'], forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 500, ...options });
}

/** Our own client file. */
export function shim(url, options = {}) {
    const loaded = require(join(htdocs, 'socket.io', 'socket.io.js'));
    const io = loaded.io ?? loaded;
    return io(url, { forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 500, ...options });
}

/**
 * A tape of all that a socket hears. next(name) takes the arguments of the first event of that name that has not been taken, waiting for it;
 * `list` is everything in order, [name, ...args], but for `log` and the recovery marker.
 */
export function tape(socket) {
    const list = [];
    const logs = [];
    const fresh = [];
    const waiting = new Set();
    socket.onAny((name, ...args) => {
        if (name === 'pollux') return;
        (name === 'log' ? logs : list).push([name, ...args]);
        fresh.push([name, ...args]);
        for (const wake of waiting) wake();
        waiting.clear();
    });
    const self = {
        list,
        logs,
        names: () => list.map(([name]) => name),
        async next(name, ms = LIMIT_MS) {
            const deadline = Date.now() + ms;
            for (;;) {
                const at = fresh.findIndex((event) => event[0] === name);
                if (at !== -1) return fresh.splice(at, 1)[0].slice(1);
                const news = new Promise((done) => { waiting.add(done); });
                await within(news, `"${name}"; heard so far: ${JSON.stringify(list).slice(0, 1000)}`, Math.max(1, deadline - Date.now()));
            }
        },
        /** Forget what was heard. */
        clear() {
            list.length = logs.length = fresh.length = 0;
        },
    };
    return self;
}

/** A connected socket with its tape: {socket, tape, id}. */
export async function peer(factory, url, options) {
    const socket = factory(url, options);
    const recorded = tape(socket);
    await once(socket, 'connect');
    return { socket, tape: recorded, get id() { return socket.id; } };
}

/** Emit with an acknowledgement, and wait for that. */
export function ask(socket, name, ...args) {
    return within(new Promise((done) => socket.emit(name, ...args, done)), `the acknowledgement of "${name}"`);
}

let names = 0;
/** A channel name that no other test has. */
export const channelName = () => `channel ${process.pid}.${++names}`;
