import { describeHosts } from './hosts.mjs';

describeHosts('lighttpd', 'lighttpd, the snippet that is installed', 'lighttpd, CGI');
