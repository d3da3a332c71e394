/* doctor.js - measures how the web server and what is in front of it treat requests, and says what to change. */
import { $, parameter, server, show } from './page.js';

const VERSION = '0.1.0'; // of these pages
const CUT_MS = 4000; // how much longer than it should a request may take

const HOST_ERRORS = {
  404: 'Nothing is mapped here: the web server must hand this path to pollux.fcgi.',
  403: 'The web server forbids it: see its rights for this folder.',
  500: 'The web server could not start pollux.fcgi: mode 755, the right machine (uname -m), and its error log.',
  502: 'The program does not run, or the web server looks for it elsewhere.',
  503: 'The program cannot begin, or all processes are taken; the code, if there is one, says more.',
};

const lines = new Map();
let word = '';

/** Add a finding: KIND 'good', 'look' or 'bad'; SETTING is a line for pollux.conf. */
function find(kind, what, text, advice = '', setting = '') {
  const item = document.createElement('li');
  const name = document.createElement('b');
  const line = document.createElement('p');
  item.className = kind;
  item.dataset.what = what;
  name.textContent = `${{ good: 'Well', look: 'Look', bad: 'Bad' }[kind]}: ${what}. `;
  line.append(name, text);
  item.append(line);
  if (advice) {
    const more = document.createElement('p');
    more.className = 'small';
    more.textContent = advice;
    item.append(more);
  }
  $('findings').append(item);
  if (setting) lines.set(setting.split(' ')[0], setting);
}

/** A request below the server's path: {status, text, ms, first}, `first` when its headers came. */
async function ask(query, options = {}) {
  const begun = performance.now();
  const answer = await fetch(`${server}?${query}&t=${Date.now()}.${Math.random()}`, { cache: 'no-store', ...options });
  const first = performance.now() - begun;
  const text = await answer.text();
  return { status: answer.status, text, first, ms: performance.now() - begun };
}

const doctor = (more = '', options = undefined) => ask(`doctor=${encodeURIComponent(word)}${more}`, options);

/** What the server says of itself and of the request; undefined when there is no use in going on. */
async function facts() {
  let answer;
  try {
    answer = await doctor();
  } catch (err) {
    find('bad', 'Who answers', `Nobody: ${err.message}.`, 'Is the web server running, and can this device reach it?');
    return undefined;
  }
  if (answer.status === 200 && answer.text.startsWith('{"version"')) {
    const known = JSON.parse(answer.text);
    find('good', 'Who answers', `pollux.fcgi ${known.version} behind ${known.software || 'a web server without a name'}, as ${known.how},`
      + ` after ${Math.round(answer.ms)} ms.`);
    return known;
  }
  if (answer.status === 403 && /file doctor/.test(answer.text)) {
    find('bad', 'Who answers', 'The server is there, and wants the word.', $('hint').textContent.replace(/\s+/g, ' '));
    return undefined;
  }
  const said = /"message":"([^"]*)"/.exec(answer.text);
  find('bad', 'Who answers', said ? `${answer.status}: ${said[1]}` : `Something else, with status ${answer.status}.`,
    HOST_ERRORS[answer.status] || 'The web server must hand this path to pollux.fcgi, but the files below it to this folder.');
  return undefined;
}

function judgeFacts(known) {
  const local = /^(localhost|127\.|\[?::1)/.test(location.hostname);
  if (known.version === VERSION) find('good', 'Versions', `Pages and program are ${VERSION}.`);
  else find('look', 'Versions', `The pages are ${VERSION}, the program ${known.version}.`, 'Upload both from one archive.');
  const off = Math.round((known.now_ms - Date.now()) / 1000);
  if (Math.abs(off) < 60) find('good', 'Clock', `The server's differs from yours by ${Math.abs(off)} s.`);
  else find('look', 'Clock', `The server's is ${Math.abs(off)} s ${off > 0 ? 'ahead' : 'behind'}.`, 'Times in the log will be wrong: set it by NTP.');
  if (window.isSecureContext) find('good', 'TLS', `Browsers give cameras to this page (${location.protocol}).`);
  else find('bad', 'TLS', 'Browsers give no cameras to this page.', 'Put a certificate on the web server, and open the page by https://.');
  const shared = /^(127\.|::1$|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)/.test(known.address);
  if (local || !shared) {
    find('good', 'Addresses', `The server sees you as ${known.address || '(nobody)'}.`);
  } else {
    find('look', 'Addresses', `The server sees you as ${known.address}, which may be a proxy's: then all visitors share it.`,
      'Let the web server take the address from the proxy (mod_remoteip, real_ip, mod_extforward), or raise the limit.',
      `max_sessions_per_address = ${Math.max(10000, known.max_sessions_per_address)}`);
  }
}

/** Does a POST with the browser's own Origin get through? */
async function post() {
  const open = await ask('EIO=4&transport=polling');
  const sid = /"sid":"([^"]+)"/.exec(open.text)?.[1];
  const answer = sid && await ask(`EIO=4&transport=polling&sid=${sid}`, { method: 'POST', body: '1' });
  if (answer?.text === 'ok') find('good', 'POST', 'A session opens, and what the browser sends gets through.');
  else {
    const said = /"message":"([^"]*)"/.exec((answer ?? open).text)?.[1] ?? `status ${(answer ?? open).status}`;
    find('bad', 'POST', said, 'If it is the origin or the host: see these lines.', `allowed_origins = ${location.origin}`);
  }
}

async function clientFile() {
  const answer = await fetch(new URL('socket.io.js', server), { cache: 'no-store' });
  const text = await answer.text();
  const type = answer.headers.get('Content-Type') ?? '';
  if (answer.status !== 200) {
    find('bad', 'Client file', `socket.io.js is not there (${answer.status}).`, 'Upload it beside the program, or map its path to the pages.');
  } else if (!/javascript/.test(type)) {
    find('bad', 'Client file', `socket.io.js comes as ${type || 'nothing'}, which browsers do not run.`, 'Let the web server call .js text/javascript.');
  } else if (!text.includes('pollux=1')) {
    find('look', 'Client file', 'socket.io.js is not the one of these pages.', 'Another client works, but costs more requests.');
  } else {
    find('good', 'Client file', 'It is there.');
  }
}

/** How large a body gets through: an unknown session is answered so, whatever it sends. */
async function payload(most) {
  let through = 0;
  for (const size of [1000, 60000, 100000, most].filter((n, i, all) => n <= most && all.indexOf(n) === i)) {
    const { status, text } = await ask('EIO=4&transport=polling&sid=doctor', { method: 'POST', body: 'x'.repeat(size) })
      .catch(() => ({ status: 0, text: '' }));
    if (status !== 400 || !text.includes('"code":1')) {
      find('bad', 'Payload', `${through} bytes get through, ${size} do not (${status || 'the connection was cut'}).`,
        'Let the web server take more (client_max_body_size, server.max-request-size, FcgidMaxRequestLen, LimitRequestBody), or offer less.',
        `max_payload_bytes = ${Math.max(1000, through)}`);
      return;
    }
    through = size;
  }
  find('good', 'Payload', `${most} bytes get through, as many as the server offers.`);
}

async function flow() {
  const { status, first, ms } = await doctor('&flow=1500');
  if (status !== 200) find('look', 'Parts of answers', `An answer in parts came as ${status}.`);
  else if (ms - first > 700) find('good', 'Parts of answers', 'They get through as they come.');
  else find('look', 'Parts of answers', 'Answers are kept until they are whole.', 'Nothing to do today: polls are answered whole.');
}

/** Five that wait, and one that does not. */
async function atATime(known) {
  const begun = performance.now();
  const waiting = [1, 2, 3, 4, 5].map(() => doctor('&hold=3000').catch(() => ({ status: 0 })));
  await new Promise((done) => { setTimeout(done, 500); });
  const probe = await doctor();
  const answers = await Promise.all(waiting);
  const ms = performance.now() - begun;
  const refused = answers.filter(({ status }) => status !== 200);
  if (refused.length) {
    find('bad', 'At a time', `Of five requests that wait, ${refused.length} were answered ${refused[0].status || 'by nothing'}.`,
      'The host allows few processes: say how many.', 'slots = 5');
  } else if (probe.ms > 1500 || ms > 3000 + CUT_MS) {
    find('bad', 'At a time', 'While five requests wait, a sixth waits too.', 'The host allows few processes: say how many.', 'slots = 5');
  } else {
    find('good', 'At a time', `While five requests wait a sixth is answered after ${Math.round(probe.ms)} ms.`,
      known.how === 'FastCGI' ? '' : 'Each takes a process. If the host counts them (entry processes), say how many there are: slots.');
  }
}

/** Is the server told of a client that has gone? */
async function vanished(known) {
  const abort = new AbortController();
  const before = JSON.parse((await doctor()).text);
  doctor('&hold=20000', { signal: abort.signal }).catch(() => {});
  await new Promise((done) => { setTimeout(done, 500); });
  abort.abort();
  let told = false;
  for (let i = 0; i < 10 && !told; i++) {
    await new Promise((done) => { setTimeout(done, 200); });
    const after = JSON.parse((await doctor()).text);
    told = after.gone > (after.pid === before.pid ? before.gone : 0);
  }
  if (told) find('good', 'Vanished clients', 'The server is told at once.');
  else {
    const seconds = Math.round((known.ping_interval_ms + known.ping_timeout_ms) / 1000);
    find('look', 'Vanished clients', `Nobody tells the server: it notices after ${seconds} s, by heartbeats.`,
      'For sooner, shorten ping_interval_ms and ping_timeout_ms; each heartbeat is a request.');
  }
}

/** How long may a request wait? All at a time. */
async function hold(known, longest) {
  const times = [5, 15, 30, 60].filter((s) => s <= longest);
  show(`Waiting for ${times.at(-1)} s…`, 'busy');
  const lived = await Promise.all(times.map(async (seconds) => {
    const { status, ms } = await doctor(`&hold=${seconds * 1000}`).catch(() => ({ status: 0, ms: 0 }));
    return status === 200 && ms >= seconds * 1000 - 200;
  }));
  const best = times.filter((_, i) => lived[i]).at(-1) ?? 0;
  const needed = known.ping_interval_ms / 1000;
  const cut = times[lived.indexOf(false)];
  if (!cut && best >= needed) find('good', 'Waiting', `A request may wait for ${best} s; polls wait for ${needed} s.`);
  else if (!cut) find('look', 'Waiting', `A request may wait for ${best} s, as long as was tried; polls wait for ${needed} s.`, 'Choose a longer time above.');
  else if (best >= needed) find('good', 'Waiting', `A request may wait for ${best} s, and not for ${cut} s; polls wait for ${needed} s.`);
  else {
    find('bad', 'Waiting', `A request may wait for ${best} s, and not for ${cut} s: polls of ${needed} s are cut.`,
      'Raise the limit of the web server or of the proxy in front, or wait for less.', `ping_interval_ms = ${Math.max(1000, best * 1000 - 1000)}`);
  }
}

async function examine() {
  $('findings').replaceChildren();
  $('lines').hidden = true;
  lines.clear();
  show('Asking…', 'busy');
  const known = await facts();
  if (known) {
    judgeFacts(known);
    const steps = [
      ['What the browser sends', post], ['The client file', clientFile], ['Large payloads', () => payload(known.max_payload_bytes)],
      ['Parts of answers', flow], ['Several at a time', () => atATime(known)], ['A client that goes', () => vanished(known)],
      ['Waiting', () => hold(known, Number($('longest').value))],
    ];
    for (const [name, step] of steps) {
      show(`${name}…`, 'busy');
      await step().catch((err) => find('bad', name, `It could not be measured: ${err.message}.`));
    }
  }
  const count = (kind) => $('findings').querySelectorAll(`.${kind}`).length;
  $('conf').textContent = [...lines.values()].join('\n');
  $('lines').hidden = lines.size === 0;
  if (count('bad')) show(`${count('bad')} to mend, ${count('look')} to look at.`, 'bad');
  else show(count('look') ? `All works; ${count('look')} to look at.` : 'All is well.', 'good');
}

$('ask').addEventListener('submit', async (event) => {
  event.preventDefault();
  word = $('word').value.trim();
  $('begin').disabled = true;
  await examine();
  $('begin').disabled = false;
});
if (parameter('longest')) $('longest').value = parameter('longest');
