/* page.js - what the pages share: where the server is, the channel of the address, lines of a log. */

/** The element with this id. */
export const $ = (id) => document.getElementById(id);

/** Where requests go: beside the page, so that the site may live in any folder. */
export const server = new URL('socket.io/', document.baseURI);

/** A socket of the client file that the page has loaded. */
export const connect = () => window.io({ path: server.pathname });

/** The parameter NAME of the page's address; '' when there is none. */
export const parameter = (name) => (new URLSearchParams(location.search).get(name) ?? '').trim();

/** Put CHANNEL into the page's address, for reloading and for sharing. */
export function nameChannel(channel) {
  const address = new URL(location.href);
  address.searchParams.set('channel', channel);
  history.replaceState(null, '', address);
  document.title = `${channel} · ${document.title}`;
}

/** Append TEXT to the log LIST. WHO: 'me', 'peer' or 'server'; NAME stands in front of what somebody said. */
export function write(list, who, text, name) {
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  const item = document.createElement('li');
  const time = document.createElement('time');
  const line = document.createElement('p');
  const now = new Date();
  time.dateTime = now.toISOString();
  time.textContent = now.toLocaleTimeString([], { hour12: false });
  line.className = who;
  if (name) {
    const speaker = document.createElement('b');
    speaker.textContent = `${name}: `;
    line.append(speaker);
  }
  line.append(text);
  item.append(time, line);
  list.append(item);
  if (atEnd) list.scrollTop = list.scrollHeight;
}

let said = ['', '']; // what the state line says when the server is there
let missing = ''; // what it says as long as the server is not

function renewState() {
  const [text, kind] = missing ? [missing, 'bad'] : said;
  $('state').className = `state ${kind}`;
  $('state').textContent = text;
}

/** Show TEXT in the state line; KIND: '', 'good', 'bad' or 'busy'. */
export function show(text, kind = '') {
  said = [text, kind];
  renewState();
}

/** The server does not answer: TEXT stands in the state line. '': it does again, and there stands what was shown last. */
export function outage(text) {
  missing = text;
  renewState();
}

/** Any value as a person would read it. */
export const readable = (value) => (typeof value === 'string' ? value : JSON.stringify(value) ?? String(value));
