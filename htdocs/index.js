/* index.js - asks the server for a session as any client does, sends something, looks for the client file, and says how it
   went. */
import { $, server, show } from './page.js';

/** The handshake's answer, and the milliseconds it took. The session is closed again. */
async function handshake() {
  const begun = performance.now();
  const answer = await fetch(`${server}?EIO=4&transport=polling&t=${Date.now()}`, { cache: 'no-store' });
  const text = await answer.text();
  const ms = performance.now() - begun;
  const { status } = answer;
  if (status !== 200) throw Object.assign(new Error(`It answered ${status}: ${text.slice(0, 200)}`), { status });
  if (!text.startsWith('0{')) throw Object.assign(new Error('Something else answers in its place.'), { status });
  const session = JSON.parse(text.slice(1));
  const sent = await fetch(`${server}?EIO=4&transport=polling&sid=${session.sid}&t=${Date.now()}`, { method: 'POST', body: '1' });
  const said = await sent.text();
  if (said !== 'ok') {
    throw Object.assign(new Error(`What this page sends is answered ${sent.status}: ${said.slice(0, 200)}`), { status: sent.status });
  }
  return ms;
}

/** Fails when pages would not find the client. */
async function clientFile() {
  const { status } = await fetch(new URL('socket.io.js', server), { cache: 'no-store' });
  if (status !== 200) throw Object.assign(new Error(`The client file socket.io.js is not there (${status}).`), { status: 'file' });
}

/** What a person can do about ERR. */
function advice({ status }) {
  if (status === undefined) return 'No answer at all: is the web server running, and can this device reach it?';
  if (status === 'file') return `The web server must show the file ${server.pathname}socket.io.js, beside what it hands to pollux.fcgi.`;
  if (status === 404) {
    return `Nothing is mapped to ${server.pathname}: the web server must be told to hand that path to pollux.fcgi.`;
  }
  if (status === 403 || status === 429) {
    return 'The server limits who may connect and how often: see allowed_origins and the max_ settings, or wait.';
  }
  if (status >= 500) {
    return "The web server could not run pollux.fcgi, or its store failed: the web server's error log says why.";
  }
  return `The web server must hand ${server.pathname} to pollux.fcgi, but socket.io.js below it to the pages' folder.`;
}

async function ask() {
  $('again').disabled = true;
  $('advice').hidden = true;
  show('Asking…', 'busy');
  try {
    const ms = await handshake();
    await clientFile();
    show(`The server is well: it answered in ${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms.`, 'good');
  } catch (err) {
    show(`The server does not answer as it should. ${err.message}`, 'bad');
    $('advice').textContent = advice(err);
    $('advice').hidden = false;
  }
  $('again').disabled = false;
}

$('again').addEventListener('click', ask);
ask();
