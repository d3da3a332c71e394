// FastCGI, as a web server speaks it: the test's own connections to the program.

import assert from 'node:assert/strict';
import net from 'node:net';
import { LIMIT_MS, until, within } from './harness.mjs';

export const BEGIN = 1, ABORT = 2, END = 3, PARAMS = 4, STDIN = 5, STDOUT = 6, STDERR = 7, GET_VALUES = 9;

export function record(type, content = '', id = 1) {
    const data = Buffer.from(content);
    return Buffer.concat([Buffer.from([1, type, 0, id, data.length >> 8, data.length & 255, 0, 0]), data]);
}

/** A whole request. */
export function fastcgi({ method = 'GET', query, body = '', keep = true, variables: more = {} }) {
    const variables = {
        REQUEST_METHOD: method, REQUEST_URI: `/socket.io/?${query}`, QUERY_STRING: query, REMOTE_ADDR: '192.0.2.1',
        HTTP_HOST: 'here.example', CONTENT_TYPE: 'text/plain;charset=UTF-8', ...(body && { CONTENT_LENGTH: String(body.length) }), ...more,
    };
    const params = Object.entries(variables).map(([name, value]) => Buffer.concat([
        Buffer.from([name.length, 0x80, 0, value.length >> 8, value.length & 255]), Buffer.from(name + value)]));
    return Buffer.concat([record(BEGIN, Buffer.from([0, 1, keep ? 1 : 0, 0, 0, 0, 0, 0])), record(PARAMS, Buffer.concat(params)), record(PARAMS),
        ...(body ? [record(STDIN, body)] : []), record(STDIN)]);
}

/** A connection to the program that begins with its first request; ask() sends one and takes its answer's text. */
export function connect(t, socket) {
    const line = new net.Socket();
    let bytes = Buffer.alloc(0), wake = () => {}, begun = false;
    const self = { line, closed: false, complaints: '' };
    self.send = (data) => {
        if (!begun) line.connect(socket);
        begun = true;
        line.write(data);
    };
    line.on('data', (data) => { bytes = Buffer.concat([bytes, data]); wake(); });
    line.on('close', () => { self.closed = true; wake(); });
    line.on('error', () => {});
    t.after(() => line.destroy());
    self.answer = () => within((async () => {
        let text = '';
        for (;;) {
            while (bytes.length >= 8 && bytes.length >= 8 + bytes.readUInt16BE(4) + bytes[6]) {
                const [type, length, padding] = [bytes[1], bytes.readUInt16BE(4), bytes[6]];
                if (type === STDOUT) text += bytes.subarray(8, 8 + length);
                if (type === STDERR) self.complaints += bytes.subarray(8, 8 + length);
                bytes = bytes.subarray(8 + length + padding);
                if (type === END) return text;
            }
            if (self.closed) return null;
            await new Promise((done) => { wake = done; });
        }
    })(), 'an answer on a FastCGI connection');
    self.ask = (request) => {
        self.send(fastcgi(request));
        return self.answer();
    };
    self.end = () => until(() => self.closed, LIMIT_MS, 'the end of the connection');
    return self;
}

let t36 = 0;
export const mark = () => `t=${(++t36).toString(36)}`;
export const SESSION = 'EIO=4&transport=polling';

/** A session on LINE that has joined CHANNEL; what it hears of that has been taken. */
export async function join36(line, channel) {
    const sid = /"sid":"([^"]+)"/.exec(await line.ask({ query: `${SESSION}&${mark()}` }))[1];
    const client = { sid, query: () => `${SESSION}&sid=${sid}&${mark()}` };
    client.post = (on, body) => on.ask({ method: 'POST', query: client.query(), body });
    client.poll = (on) => on.ask({ query: client.query() });
    assert.match(await client.post(line, '40'), /ok$/);
    assert.match(await client.poll(line), /40\{"sid":/);
    assert.match(await client.post(line, `42["create or join",${JSON.stringify(channel)}]`), /ok$/);
    assert.match(await client.poll(line), /"(created|joined)"/);
    return client;
}
