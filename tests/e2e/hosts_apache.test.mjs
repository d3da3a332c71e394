import { describeHosts } from './hosts.mjs';

describeHosts('Apache, mod_proxy_fcgi', 'Apache, mod_fcgid', 'Apache, CGI');
