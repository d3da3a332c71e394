/* chapter.js - two people talk through the server, and see each step of how they met.
 *
 * Who is in the channel when the other joins says the first message; the other responds; so they take turns, until one
 * says Bye and the other answers Ack. What comes from the peer is only ever put in as text.
 */
import { $, connect, nameChannel, outage, parameter, readable, show, write } from './page.js';

const steps = $('steps');
let socket, channel;
let say = null; // the event of my next message: 'message' or 'response'; null: it is not my turn
let over = false;

const server = (text) => write(steps, 'server', text, 'Server');
const mine = (text) => write(steps, 'me', text, 'You');
const peer = (text) => write(steps, 'peer', text, 'Peer');

/** My turn with EVENT, which PROMPT asks for; or nobody's. */
function turn(event, prompt) {
  say = event;
  $('prompt').textContent = prompt ?? 'Message';
  $('text').disabled = $('send').disabled = !event;
  if (event) $('text').focus();
}

/** From here on there is nobody to talk to, or there is. */
function together(yes) {
  $('bye').disabled = !yes;
  if (!yes) turn(null);
}

function end(text, kind) {
  over = true;
  together(false);
  outage('');
  show(text, kind);
  $('again').hidden = false;
}

const events = {
  created(name, id) {
    server(`Channel ${name} is created; you are ${id}.`);
    show('You are first. Waiting for the other…', 'busy');
  },
  remotePeerJoining: (name) => server(`Somebody asks to join channel ${name}.`),
  join: (name) => server(`Somebody joins channel ${name}.`),
  'broadcast: joined'(text) {
    server(text);
    together(true);
    show('You are two. It is your turn.', 'good');
    turn('message', 'Your first message');
  },
  joined(name, id) {
    server(`You have joined channel ${name}; you are ${id}.`);
    together(true);
    show('You are two. Waiting for the first message…', 'good');
  },
  ready: (name) => server(`Channel ${name} is ready.`),
  full(name) {
    server(`Channel ${name} is full.`);
    socket.disconnect();
    end(`Channel ${name} is full: two are talking there. Choose another.`, 'bad');
  },
  message: said,
  response: said,
  Bye() {
    peer('Bye');
    mine('Ack');
    end('The peer has said Bye. The conversation is over.', '');
    socket.emit('Ack');
  },
  leave: gone,
  bye: gone,
  error({ message } = {}) {
    server(`That did not work: ${message}`);
    show(`The server refused: ${message}`, 'bad');
  },
  log(parts) {
    console.log(...[parts].flat());
    write($('server-log'), 'me', [parts].flat().map(readable).join(''));
  },
};

function said(text) {
  peer(readable(text));
  show('It is your turn.', 'good');
  turn('response', 'Your response');
}

function gone(name) {
  server(`The peer has left channel ${name}.`);
  together(false);
  show('Alone again. Waiting for the other…', 'busy');
}

function enter() {
  outage('');
  server(socket.recovered ? 'Connected again, nothing was missed.' : 'Connected.');
  if (socket.recovered) return;
  together(false);
  mine(`create or join ${channel}`);
  socket.emit('create or join', channel);
}

function start(name) {
  channel = name;
  nameChannel(channel);
  $('entry').hidden = true;
  $('talk').hidden = false;
  show('Connecting…', 'busy');
  socket = connect();
  for (const [event, listener] of Object.entries(events)) socket.on(event, listener);
  socket.on('connect', enter);
  socket.on('connect_error', (err) => {
    if (socket.active) outage(`The server does not answer (${err.message}). Trying again…`);
    else end(`The server refused: ${err.message}`, 'bad');
  });
  socket.on('disconnect', (reason) => {
    server(`Disconnected: ${reason}.`);
    if (!over && socket.active) outage('The connection is lost. Trying again…');
    else if (!over) end('The server has ended the connection.', 'bad');
  });
}

function bye() {
  mine('Bye');
  socket.emit('Bye', channel);
  end('You have said Bye. The conversation is over.');
}

$('entry').addEventListener('submit', (event) => {
  event.preventDefault();
  const name = $('channel').value.trim();
  if (name) start(name);
});

$('say').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = $('text').value;
  if (!say || !text.trim()) return;
  $('text').value = '';
  if (text.trim() === 'Bye') return bye();
  mine(text);
  socket.emit(say, { channel, message: text });
  turn(null);
  show('Waiting for the peer…', 'busy');
});

$('bye').addEventListener('click', bye);
$('again').addEventListener('click', () => location.reload());

const given = parameter('channel');
$('channel').value = given;
if (given) start(given);
else $('channel').focus();
