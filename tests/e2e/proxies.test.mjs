// A proxy in front of the web server: one that waits no longer than it wants to, one that calls the host something else, and
// one that speaks HTTP/2 with TLS to browsers.

import assert from 'node:assert/strict';
import http2 from 'node:http2';
import { describe, it } from 'node:test';
import { LIMIT_MS, channelName, peer, shim, until } from './harness.mjs';
import { callPage, hostRules } from './hostsuite.mjs';
import { kinds, startProxy } from './hosts.mjs';

describe('a proxy in front', () => {
    it('that_gives_up_before_a_heartbeat_ends_polls_and_our_client_gets_over_it', async (t) => {
        const host = await startProxy(t, await kinds.nginx(t), { lines: 'proxy_read_timeout 1s;' });    // ping_interval_ms is 3000
        const channel = channelName();
        const [a, b] = [await peer(shim, host.url, { path: host.path }), await peer(shim, host.url, { path: host.path })];
        try {
            a.socket.emit('create or join', channel);
            await a.tape.next('created');
            b.socket.emit('create or join', channel);
            await a.tape.next('ready');
            const heard = () => b.tape.list.filter(([name]) => name === 'message').map(([, n]) => n);
            for (let n = 0; n < 8; n++) {
                a.socket.emit('message', { channel, message: n });
                await until(() => heard().length > n, LIMIT_MS, 'a message');
                await new Promise((done) => setTimeout(done, 400));     // so that polls are cut in between
            }
            assert.deepEqual(heard(), [0, 1, 2, 3, 4, 5, 6, 7]);
        } finally {
            a.socket.close();
            b.socket.close();
        }
    });

    it('that_gives_up_after_a_heartbeat_is_not_noticed', async (t) => {
        const host = await startProxy(t, await kinds.nginx(t, { env: { POLLUX_PING_INTERVAL_MS: 1000 } }), { lines: 'proxy_read_timeout 3s;' });
        for (const rule of ['200', 'killed']) await hostRules[rule][1](host);
    });

    it('that_calls_the_host_something_else_serves_pages_of_this_one', async (t) => {
        const host = await startProxy(t, await kinds.nginx(t), { name: 'internal.example' });
        await callPage(host);
    });

    it('that_speaks_http_2_with_tls', async (t) => {
        const host = await startProxy(t, await kinds.nginx(t), { tls: true });
        const session = http2.connect(host.url, { rejectUnauthorized: false });
        const { status } = await new Promise((done, fail) => {
            session.on('error', fail);
            const stream = session.request({ ':path': `${host.path}?EIO=4&transport=polling&t=h2` });
            stream.on('response', (headers) => done({ status: headers[':status'] }));
            stream.resume();
        });
        session.close();
        assert.equal(status, 200);
        await callPage(host);
    });
});
