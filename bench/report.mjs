// What bench/run has measured, as a table: on standard output, in report.md and as the plot report.svg.
//
//   node report.mjs RESULTS OUT            writes the report; status 1 when a figure is missing
//   node report.mjs --quiet-machine FILE   says yes or no: did nothing else run during this measurement?

import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const read = (path) => JSON.parse(readFileSync(path, 'utf8'));

/** The share of a core that went to others, above which a measurement is void. */
const NOISE = 0.15;

if (process.argv[2] === '--quiet-machine') {
    const { machine } = read(process.argv[3]);
    console.log(machine.other_core_share + machine.steal_core_share > NOISE ? 'no' : 'yes');
    process.exit(0);
}

const [results, out] = process.argv.slice(2);
const names = { pollux: 'Pollux', together: 'Pollux, own client', nginx: 'Pollux, nginx', socketio: 'Socket.IO 4.8', ceiling: 'empty responder' };
const [cpu, cores, kernel, date, lighttpd, node, counts, partNames, nginx] = readFileSync(join(results, 'machine.txt'), 'utf8').split('\n');
const parts = partNames.split(' ');
const wanted = (part) => parts.includes(part);

// ---- figures: a name, and for each round one value

/** The measurements named PREFIX-ROUND.json, in the order of rounds. */
function runs(prefix) {
    const round = new RegExp(`^${prefix}-(\\d+)\\.json$`);
    return readdirSync(results).map((name) => round.exec(name)).filter(Boolean)
        .sort((a, b) => a[1] - b[1]).map(([name]) => read(join(results, name)));
}

/** Median, least and most; null when there is nothing. */
function summary(values) {
    const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
    if (sorted.length === 0) return null;
    const half = sorted.length / 2;
    const median = sorted.length % 2 ? sorted[Math.floor(half)] : (sorted[half - 1] + sorted[half]) / 2;
    return { median, min: sorted[0], max: sorted.at(-1), count: sorted.length };
}

const of = (prefix, pick) => summary(runs(prefix).map(pick));
const median = (figure) => figure?.median ?? NaN;

const pairCounts = [...new Set(readdirSync(results).map((name) => /^(?:relay|together)-\w+-(\d+)-\d+\./.exec(name)?.[1]).filter(Boolean))]
    .map(Number).sort((a, b) => a - b);

/** CPU for each message of all the program's processes. */
const programCpu = (r) => r.watch.slice(1).reduce((sum, { cpu_us_per_hop: us }) => sum + us, 0);

/** What a measurement of messages passed on has found. */
function hopFigures(prefix) {
    return {
        hops: of(prefix, (r) => r.hops_per_s),
        p50: of(prefix, (r) => r.latency_ms?.p50),
        p99: of(prefix, (r) => r.latency_ms?.p99),
        web: of(prefix, (r) => r.watch[0].cpu_us_per_hop),
        own: of(prefix, programCpu),
        load: of(prefix, (r) => r.generator.cpu_us_per_hop),
    };
}

const relay = {};
for (const pairs of pairCounts) {
    relay[pairs] = { together: hopFigures(`together-pollux-${pairs}`) };
    for (const target of ['pollux', 'nginx', 'socketio', 'ceiling']) relay[pairs][target] = hopFigures(`relay-${target}-${pairs}`);
}

const idle = {};
for (const target of ['pollux', 'socketio']) {
    const prefix = `idle-${target}`;
    idle[target] = {
        sessions: of(prefix, (r) => r.idle_sessions),
        web: of(prefix, (r) => r.watch[0].per_idle_session?.pss_bytes),
        own: of(prefix, (r) => r.watch[1].per_idle_session?.pss_bytes),
        p50: of(prefix, (r) => r.latency_ms.p50),
        alone: of(`alone-${target}`, (r) => r.latency_ms.p50),
        cpu: of(prefix, (r) => 100 * r.watch[1].core_share),
        cpuAlone: of(`alone-${target}`, (r) => 100 * r.watch[1].core_share),
    };
}

function coldTimes(how) {
    try {
        return summary(readFileSync(join(results, `cold-${how}.txt`), 'utf8').split('\n').filter(Boolean).map(Number));
    } catch {
        return null;
    }
}
const cold = { fcgi: coldTimes('fcgi'), cgi: coldTimes('cgi') };

// ---- goals: what is to be reached, what was, whether that is enough

const goals = [];

/** What web server and program take together. */
const wholeCpu = (side) => median(side.web) + median(side.own);

/** GOOD(value) decides, with null where nothing is to be reached; a value that is missing reaches nothing. */
function goal(what, wanted, value, unit, good, digits = 1) {
    const known = Number.isFinite(value);
    const verdict = !known ? 'not measured' : { true: 'yes', false: 'NO', null: '' }[good(value)];
    goals.push({ what, wanted, reached: known ? `${value.toFixed(digits)}${unit}` : '-', verdict });
}

for (const pairs of pairCounts) {
    if (!wanted('relay')) break;
    const { pollux, socketio, ceiling } = relay[pairs];
    goal(`${pairs} pairs: messages/s, as a multiple of Socket.IO's`, '1.5 x or more', median(pollux.hops) / median(socketio.hops), ' x', (v) => v >= 1.5, 2);
    goal(`${pairs} pairs: p99, as a multiple of Socket.IO's`, 'under 1 x', median(pollux.p99) / median(socketio.p99), ' x', (v) => v < 1, 2);
    goal(`${pairs} pairs: messages/s, as a share of the empty responder's`, '80 % or more', 100 * median(pollux.hops) / median(ceiling.hops), ' %', (v) => v >= 80, 0);
    goal(`${pairs} pairs: CPU of lighttpd and Pollux for a message, as a multiple of lighttpd's and the empty responder's`, 'no goal', wholeCpu(pollux) / wholeCpu(ceiling), ' x', () => null, 2);
    goal(`${pairs} pairs: Pollux's CPU for a message above the empty responder's`, '40 us or less', median(pollux.own) - median(ceiling.own), ' us', (v) => v <= 40);
}
for (const pairs of pairCounts) {
    if (!wanted('together')) break;
    const { together, socketio } = relay[pairs];
    goal(`${pairs} pairs: messages/s of Pollux's own client, as a multiple of Socket.IO's`, '2.5 x or more', median(together.hops) / median(socketio.hops), ' x', (v) => v >= 2.5, 2);
}
for (const pairs of pairCounts) {
    if (!wanted('nginx')) break;
    const { nginx: kept, pollux } = relay[pairs];
    goal(`${pairs} pairs: Pollux's CPU for a message behind nginx`, '60 us or less', median(kept.own), ' us', (v) => v <= 60);
    goal(`${pairs} pairs: CPU of nginx and Pollux for a message, as a share of lighttpd's and Pollux's`, 'under 50 %', 100 * wholeCpu(kept) / wholeCpu(pollux), ' %', (v) => v < 50, 0);
}
if (wanted('idle')) {
    const { pollux, socketio } = idle;
    const whole = (side) => median(side.web) + median(side.own);
    goal("Pollux's memory for a waiting session", '2,048 bytes or less', median(pollux.own), ' bytes', (v) => v <= 2048, 0);
    goal("memory of web server and program for a waiting session, as a share of Socket.IO's", 'under 50 %', 100 * whole(pollux) / whole(socketio), ' %', (v) => v > 0 && v < 50, 0);
    goal('p50 of five active pairs beside the waiting ones, above what it is alone', '20 % or less', 100 * (median(pollux.p50) / median(pollux.alone) - 1), ' %', (v) => v <= 20, 0);
    goal("Pollux's CPU for the waiting sessions' heartbeats", 'under 5 % of a core', median(pollux.cpu) - median(pollux.cpuAlone), ' %', (v) => v < 5);
}
if (wanted('cold')) {
    goal('a FastCGI process just started has answered', 'within 10 ms', median(cold.fcgi), ' ms', (v) => v <= 10);
    goal('a CGI request, from start to end of the program', 'within 10 ms', median(cold.cgi), ' ms', (v) => v <= 10);
}

// ---- text

const number = (value, digits) => value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });

/** "median (least to most)" */
function cell(figure, digits = 0) {
    if (figure === null) return '-';
    return `${number(figure.median, digits)} (${number(figure.min, digits)} to ${number(figure.max, digits)})`;
}

function table(head, rows) {
    const line = (cells) => `| ${cells.join(' | ')} |`;
    return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

const [rounds, lost, noisy, seconds, keptNoisy] = counts.split(' ');
const machine = `${cpu}, ${cores} cores, ${kernel}, ${date}; ${[lighttpd.split(' ')[0], nginx?.replace('nginx version: ', '')].filter(Boolean).join('; ')}; Node ${node}`;
const voids = `${rounds} rounds of ${seconds} s. Void: ${lost} that lost something or were cut short, ${noisy} ` +
    (keptNoisy === 'yes' ? 'would be for a machine that was not quiet, AND WERE COUNTED.' : 'for a machine that was not quiet.');

const relayRows = pairCounts.flatMap((pairs) => Object.entries(names).map(([target, name]) => ({ pairs, target, name, ...relay[pairs][target] })))
    .filter(({ hops }) => hops !== null);

const relayTable = relayRows.length === 0 ? '' : `![messages a second](report.svg)

## Messages relayed

${table(['pairs', 'program', 'messages/s', 'p50 ms', 'p99 ms', 'web server us', 'program us', 'load us', 'runs'],
        relayRows.map((r) => [r.pairs, r.name, cell(r.hops), cell(r.p50, 2), cell(r.p99, 2), cell(r.web, 1), cell(r.own, 1), cell(r.load, 1), r.hops.count]))}

us: microseconds of CPU for each message passed on. "load" is what the load generator itself took. The empty responder
answers the same requests with as many bytes and relays nothing, and its load is lighter: a bound, not a competitor.

`;

const idleTable = !wanted('idle') ? '' : `## Waiting sessions

${table(['program', 'sessions', 'its bytes', "lighttpd's bytes", 'p50 alone ms', 'p50 beside them ms', 'CPU alone %', 'CPU beside them %'],
        Object.entries(idle).map(([target, r]) => [names[target], number(median(r.sessions), 0), cell(r.own), cell(r.web),
            cell(r.alone, 2), cell(r.p50, 2), cell(r.cpuAlone, 1), cell(r.cpu, 1)]))}

Bytes are growth of proportional set size for each session. CPU is the program's, in percent of a core.

`;

const coldTable = !wanted('cold') ? '' : `## Cold start

${table(['start', 'ms', 'times'], [['FastCGI, to the end of the first answer', cell(cold.fcgi, 1), cold.fcgi?.count ?? 0], ['CGI, to the end of the program', cell(cold.cgi, 1), cold.cgi?.count ?? 0]])}
`;

const goalTable = table(['goal', 'wanted', 'measured', 'reached'], goals.map((g) => [g.what, g.wanted, g.reached, g.verdict]));

writeFileSync(join(out, 'report.md'), `# Measured

${machine}

${voids} Figures are medians (least to most).

${goalTable}

${relayTable}${idleTable}${coldTable}`);

// ---- plot: a bar for each program, in groups of pairs; the line on top of it is the spread

const WIDTH = 640;
const BAR = 22;
const colors = { pollux: '#2a6fb0', together: '#5fa3dd', nginx: '#2f8f5b', socketio: '#b0532a', ceiling: '#9a9a9a' };

function plot() {
    const bars = relayRows;
    const most = Math.max(1, ...bars.map(({ hops }) => hops.max));
    const x = (value) => 190 + (WIDTH - 270) * value / most;
    let y = 34;
    let last = null;
    const parts = bars.map(({ pairs, target, name, hops }) => {
        if (last !== null && last !== pairs) y += 14;
        last = pairs;
        const top = y;
        const middle = top + BAR / 2;
        y += BAR + 4;
        const label = `<text x="180" y="${middle + 4}" text-anchor="end">${pairs} pairs, ${name}</text>`;
        return `${label}
<rect x="190" y="${top}" width="${(x(hops.median) - 190).toFixed(1)}" height="${BAR}" fill="${colors[target]}"/>
<path d="M${x(hops.min).toFixed(1)} ${middle}H${x(hops.max).toFixed(1)}" stroke="#000" stroke-width="2"/>
<text x="${(x(hops.max) + 8).toFixed(1)}" y="${middle + 4}">${number(hops.median, 0)}</text>`;
    });
    return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${y + 10}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="#fff"/>
<text x="10" y="18" font-weight="bold">Messages relayed a second, behind lighttpd (median; line: least to most)</text>
${parts.join('\n')}
</svg>
`;
}
writeFileSync(join(out, 'report.svg'), plot());

// ---- the same for the eye

const wide = (key) => Math.max(...goals.map((g) => g[key].length));
console.log(`${machine}\n${voids}\n`);
for (const g of goals) {
    console.log(`${g.what.padEnd(wide('what'))}  ${g.wanted.padEnd(wide('wanted'))}  ${g.reached.padStart(wide('reached'))}  ${g.verdict}`);
}
process.exit(goals.some((g) => g.verdict === 'not measured') ? 1 : 0);
