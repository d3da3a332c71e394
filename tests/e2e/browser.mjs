// How the suites start Chromium.

import { existsSync } from 'node:fs';

const executablePath = process.env.POLLUX_CHROMIUM ?? '/usr/bin/chromium';
const args = [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
    '--disable-sync', '--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream',
];

/** What playwright's launch() takes. */
export function chromiumOptions() {
    if (!existsSync(executablePath)) throw new Error(`${executablePath} is not there; install chromium, or name it in POLLUX_CHROMIUM`);
    return { executablePath, args, headless: true };
}
