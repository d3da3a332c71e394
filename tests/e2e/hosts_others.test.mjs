import { describeHosts } from './hosts.mjs';

describeHosts('nginx', 'HAProxy', 'Caddy');
