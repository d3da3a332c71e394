// The suite for hosts: Apache, mod_proxy_fcgi, Apache, mod_fcgid, Apache, CGI.

import { after, before, describe } from 'node:test';
import { kinds } from './hosts.mjs';
import { hostSuite } from './hostsuite.mjs';

for (const kind of ['Apache, mod_proxy_fcgi', 'Apache, mod_fcgid', 'Apache, CGI']) {
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
