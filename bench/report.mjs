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
    const { machine: seen } = read(process.argv[3]);
    console.log(seen.other_core_share + seen.steal_core_share > NOISE ? 'no' : 'yes');
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
        .sort((a, b) => a[1] - b[1]).map(([name]) => ({ ...read(join(results, name)), count: countBeside(name) }));
}

/** What bench/run has counted besides siobench. */
function countBeside(name) {
    try {
        return Number(readFileSync(join(results, name.replace('.json', '.count')), 'utf8'));
    } catch {
        return NaN;
    }
}

/** Median, least and most; null when there is nothing. */
function summary(values) {
    const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
    if (sorted.length === 0) return null;
    const half = sorted.length / 2;
    const middle = sorted.length % 2 ? sorted[Math.floor(half)] : (sorted[half - 1] + sorted[half]) / 2;
    return { median: middle, min: sorted[0], max: sorted.at(-1), count: sorted.length };
}

const of = (prefix, pick) => summary(runs(prefix).map(pick));
const median = (figure) => figure?.median ?? NaN;

const pairCounts = [...new Set(readdirSync(results).map((name) => /^(?:relay|together)-\w+-(\d+)-\d+\./.exec(name)?.[1]).filter(Boolean))]
    .map(Number).sort((a, b) => a - b);

/** What FIGURE is of all processes of the program; the first that is watched is the web server. */
const programSum = (r, figure) => r.watch.slice(1).reduce((sum, one) => sum + figure(one), 0);

/** CPU for each message of all the program's processes. */
const programCpu = (r) => programSum(r, (one) => one.cpu_us_per_hop);

/** What a measurement of messages passed on has found. */
function hopFigures(prefix) {
    return {
        hops: of(prefix, (r) => r.hops_per_s),
        p50: of(prefix, (r) => r.latency_ms?.p50),
        p99: of(prefix, (r) => r.latency_ms?.p99),
        p999: of(prefix, (r) => r.latency_ms?.p999),
        longest: of(prefix, (r) => r.latency_ms?.max),
        beyond: of(prefix, (r) => r.latency_ms && r.latency_ms.max - r.latency_ms.p50),
        count: of(prefix, (r) => r.count),
        web: of(prefix, (r) => r.watch[0].cpu_us_per_hop),
        own: of(prefix, programCpu),
        toWeb: of(prefix, (r) => programCpu(r) / r.watch[0].cpu_us_per_hop),
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
        own: of(prefix, (r) => programSum(r, (one) => one.per_idle_session?.pss_bytes)),
        p50: of(prefix, (r) => r.latency_ms.p50),
        alone: of(`alone-${target}`, (r) => r.latency_ms.p50),
        cpu: of(prefix, (r) => 100 * programSum(r, (one) => one.core_share)),
        cpuAlone: of(`alone-${target}`, (r) => 100 * programSum(r, (one) => one.core_share)),
    };
}

const growthNames = {
    'log-empty-paced': 'empty log, 2,000 messages/s',
    'log-full-paced': '10 million rows in it',
    'log-trim-paced': 'the same, and retention at work',
    'log-empty-relay': 'empty log, 50 pairs as fast as they can',
    'log-full-relay': '10 million rows in it',
    'log-trim-relay': 'the same, and retention at work',
    'crowded-2': '2,000 messages/s beside 2 waiting sessions',
    'crowded-8000': 'beside 8,000',
    'processes-1': 'one process, 200 pairs as fast as they can',
    'processes-4': 'four processes',
    'wake-1': 'one process, 200 messages/s',
    'wake-2': 'two processes',
    checkpoints: '2,000 messages/s through checkpoints',
};
const growth = Object.fromEntries(Object.keys(growthNames).map((name) => [name, hopFigures(name)]));

/** Cold starts: on an empty store, on the one with ten million rows, and on one that was named. */
const coldStores = { empty: 'empty store', grown: '10 million rows', given: 'the given store' };

function coldTimes(store, how) {
    try {
        return summary(readFileSync(join(results, `cold-${store}-${how}.txt`), 'utf8').split('\n').filter(Boolean).map(Number));
    } catch {
        return null;
    }
}
const cold = Object.entries(coldStores).map(([store, name]) => ({ name, store, fcgi: coldTimes(store, 'fcgi'), cgi: coldTimes(store, 'cgi') }))
    .filter(({ store, fcgi, cgi }) => fcgi || cgi || store === 'empty' || (store === 'grown' && wanted('growth')));

// ---- goals: what is to be reached, what was, whether that is enough

const goals = [];

/** What web server and program take together. */
const wholeCpu = (side) => median(side.web) + median(side.own);

/** GOOD(value) decides, with null where nothing is to be reached; a value that is missing reaches nothing. */
function goal(what, aim, value, unit, good, digits = 1) {
    const known = Number.isFinite(value);
    const verdict = !known ? 'not measured' : { true: 'yes', false: 'NO', null: '' }[good(value)];
    goals.push({ what, wanted: aim, reached: known ? `${value.toFixed(digits)}${unit}` : '-', verdict });
}

for (const pairs of pairCounts) {
    if (!wanted('relay')) break;
    const { pollux, socketio, ceiling } = relay[pairs];
    goal(`${pairs} pairs: messages/s, as a multiple of Socket.IO's`, '1.5 x or more', median(pollux.hops) / median(socketio.hops), ' x', (v) => v >= 1.5, 2);
    goal(`${pairs} pairs: p99, as a multiple of Socket.IO's`, 'under 1 x', median(pollux.p99) / median(socketio.p99), ' x', (v) => v < 1, 2);
    goal(`${pairs} pairs: messages/s, as a share of the empty responder's`, '80 % or more', 100 * median(pollux.hops) / median(ceiling.hops), ' %',
        (v) => v >= 80, 0);
    goal(`${pairs} pairs: CPU of lighttpd and Pollux for a message, as a multiple of lighttpd's and the empty responder's`, 'no goal',
        wholeCpu(pollux) / wholeCpu(ceiling), ' x', () => null, 2);
    goal(`${pairs} pairs: Pollux's CPU for a message above the empty responder's`, '40 us or less', median(pollux.own) - median(ceiling.own), ' us',
        (v) => v <= 40);
}
for (const pairs of pairCounts) {
    if (!wanted('together')) break;
    const { together, socketio } = relay[pairs];
    goal(`${pairs} pairs: messages/s of Pollux's own client, as a multiple of Socket.IO's`, '2.5 x or more', median(together.hops) / median(socketio.hops),
        ' x', (v) => v >= 2.5, 2);
}
for (const pairs of pairCounts) {
    if (!wanted('nginx')) break;
    const { nginx: kept, pollux } = relay[pairs];
    goal(`${pairs} pairs: Pollux's CPU for a message behind nginx`, '60 us or less', median(kept.own), ' us', (v) => v <= 60);
    goal(`${pairs} pairs: CPU of nginx and Pollux for a message, as a share of lighttpd's and Pollux's`, 'under 50 %', 100 * wholeCpu(kept) / wholeCpu(pollux),
        ' %', (v) => v < 50, 0);
}
if (wanted('idle')) {
    const { pollux, socketio } = idle;
    const whole = (side) => median(side.web) + median(side.own);
    goal("Pollux's memory for a waiting session", '2,048 bytes or less', median(pollux.own), ' bytes', (v) => v <= 2048, 0);
    goal("memory of web server and program for a waiting session, as a share of Socket.IO's", 'under 50 %', 100 * whole(pollux) / whole(socketio), ' %',
        (v) => v > 0 && v < 50, 0);
    goal('p50 of five active pairs beside the waiting ones, above what it is alone', '20 % or less', 100 * (median(pollux.p50) / median(pollux.alone) - 1),
        ' %', (v) => v <= 20, 0);
    goal("Pollux's CPU for the waiting sessions' heartbeats", 'under 5 % of a core', median(pollux.cpu) - median(pollux.cpuAlone), ' %', (v) => v < 5);
}
if (wanted('growth')) {
    const g = growth;
    // A message is the same work for the web server in all of these, so its CPU tells how fast the machine was meanwhile.
    const more = (a, b) => 100 * (median(a.toWeb) / median(b.toWeb) - 1);
    for (const [mode, name] of [['paced', '2,000 messages/s'], ['relay', '50 pairs']]) {
        const [empty, full, trim] = ['empty', 'full', 'trim'].map((log) => g[`log-${log}-${mode}`]);
        goal(`${name}: Pollux's CPU for a message with 10 million rows and retention at work, above an empty log's`, '10 % or less', more(trim, empty), ' %',
            (v) => v <= 10);
        goal(`${name}: the same with nothing to remove`, 'no goal', more(full, empty), ' %', () => null);
    }
    goal("Pollux's CPU for a message beside 8,000 waiting sessions, above that beside 2", '10 % or less', more(g['crowded-8000'], g['crowded-2']), ' %',
        (v) => v <= 10);
    const one = g['processes-1'];
    const limit = Number(cores) * 1e6 / (wholeCpu(one) + median(one.load)) / median(one.hops);
    goal('messages/s of four processes, as a multiple of one', '1.5 x or more on 4 cores', median(g['processes-4'].hops) / median(one.hops), ' x',
        (v) => v >= 1.5 || (Number(cores) < 4 ? null : false), 2);
    goal(`the most that ${cores} cores allow, at the CPU that web server, one process and load take for a message`, 'no goal', limit, ' x', () => null, 2);
    goal('p99 at 200 messages/s with two processes, above that with one', 'under 1 ms', median(g['wake-2'].p99) - median(g['wake-1'].p99), ' ms', (v) => v < 1,
        2);
    goal('checkpoints during a measurement', '10 or more', median(g.checkpoints.count), '', (v) => v >= 10, 0);
    goal('longest latency in it, above the p50', 'under 20 ms', median(g.checkpoints.beyond), ' ms', (v) => v < 20);
    goal('p99.9 in it', 'no goal', median(g.checkpoints.p999), ' ms', () => null);
}
if (wanted('cold')) {
    for (const { name, fcgi, cgi } of cold) {
        goal(`${name}: a FastCGI process just started has answered`, 'within 10 ms', median(fcgi), ' ms', (v) => v <= 10);
        goal(`${name}: a CGI request, from start to end of the program`, 'within 10 ms', median(cgi), ' ms', (v) => v <= 10);
    }
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
const servers = [lighttpd.split(' ')[0], nginx?.replace('nginx version: ', '')].filter(Boolean).join('; ');
const machine = `${cpu}, ${cores} cores, ${kernel}, ${date}; ${servers}; Node ${node}`;
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

const growthTable = !wanted('growth') ? '' : `## Growth

${table(['measured', 'messages/s', 'p50 ms', 'p99 ms', 'p99.9 ms', 'longest ms', 'web server us', 'program us', 'of the web server\'s', 'counted', 'runs'],
        Object.entries(growth).map(([name, r]) => [growthNames[name], cell(r.hops), cell(r.p50, 2), cell(r.p99, 2), cell(r.p999, 2), cell(r.longest, 2),
            cell(r.web, 1), cell(r.own, 1), cell(r.toWeb, 2), cell(r.count), r.hops?.count ?? 0]))}

"Of the web server's": the program's CPU as a multiple of the web server's in the same measurement. Counted: messages that
retention removed meanwhile; checkpoints.

`;

const coldTable = !wanted('cold') ? '' : `## Cold start

${table(['store', 'FastCGI, to the end of the first answer, ms', 'CGI, to the end of the program, ms', 'times'],
        cold.map(({ name, fcgi, cgi }) => [name, cell(fcgi, 1), cell(cgi, 1), fcgi?.count ?? 0]))}
`;

const goalTable = table(['goal', 'wanted', 'measured', 'reached'], goals.map((g) => [g.what, g.wanted, g.reached, g.verdict]));

writeFileSync(join(out, 'report.md'), `# Measured

${machine}

${voids} Figures are medians (least to most).

${goalTable}

${relayTable}${idleTable}${growthTable}${coldTable}`);

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
    const drawn = bars.map(({ pairs, target, name, hops }) => {
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
${drawn.join('\n')}
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
