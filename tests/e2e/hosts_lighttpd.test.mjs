// The suite for hosts: lighttpd, lighttpd, the snippet that is installed, lighttpd, CGI.

import { after, before, describe } from 'node:test';
import { kinds } from './hosts.mjs';
import { hostSuite } from './hostsuite.mjs';

for (const kind of ['lighttpd', 'lighttpd, the snippet that is installed', 'lighttpd, CGI']) {
    describe(kind, () => {
        const ends = [];
        let host;
        before(async () => { host = await kinds[kind]({ after: (fn) => ends.unshift(fn) }); });
        after(async () => {
            for (const end of ends) await end();
        });

        hostSuite(() => host);
    });
}
