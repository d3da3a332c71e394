/* call.js - a WebRTC call between the two members of a channel; the server passes offers, answers and candidates on.
 *
 * The member who was there first calls the one who joins: on `ready` it names the call and offers. The joiner answers a
 * call it does not know yet, and is the polite one: when both offer at a time it takes its own offer back. Each
 * reload or return is a new call with a new name, so nothing of an old one can disturb it.
 */
import { $, connect, nameChannel, outage, parameter, readable, show, write } from './page.js';

/** Servers that help across networks; within one none is needed. `?stun=stun:host:port` adds one. */
const ICE_SERVERS = [];

const stun = parameter('stun');
const config = { iceServers: stun ? [...ICE_SERVERS, { urls: stun }] : ICE_SERVERS };
const steps = $('steps');
const here = new MediaStream(); // camera and microphone, as far as there are any

let socket, channel;
let polite = false;
let call = null; // { name, pc, chat, offering, ignoring }
let hungUp = false;

const step = (who, text) => write(steps, who, text);

/** The two browsers are connected, and need the server for nothing. */
const talking = () => call?.pc.connectionState === 'connected';

/** The server is away, as TEXT says; a call that goes on is not disturbed. */
const away = (text) => outage(talking() ? '' : text);

// ---- signaling

const signal = (message) => socket.emit('message', { channel, message: { call: call.name, ...message } });

const events = {
  created() {
    polite = false;
    step('server', 'The channel is created.');
    if (!talking()) show('Waiting for the other…', 'busy');
  },
  joined() {
    polite = true;
    step('server', 'You have joined the channel.');
    if (!talking()) show('Calling…', 'busy');
  },
  join() {
    polite = false;
    step('server', 'Somebody joins.');
  },
  ready() {
    step('server', 'The channel is ready.');
    if (!polite) begin(crypto.getRandomValues(new Uint32Array(2)).join('-'));
  },
  full(name) {
    step('server', 'The channel is full.');
    socket.disconnect();
    leave(`Channel ${name} is full: two are talking there.`, 'bad');
  },
  message(message) {
    if (!message || !message.call) return;
    heard(message).catch((err) => call && call.name === message.call && trouble(err));
  },
  leave: gone,
  Bye: gone,
  bye: gone,
  error({ message } = {}) {
    step('server', `That did not work: ${message}`);
    show(`The server refused: ${message}`, 'bad');
  },
  log: (parts) => console.log(...[parts].flat()),
};

function enter() {
  outage('');
  if (socket.recovered) return step('server', 'Connected again, nothing was missed.');
  step('server', 'Connected.');
  socket.emit('create or join', channel);
}

/** A signal of the peer. */
async function heard({ call: name, description, candidate }) {
  if (!call || call.name !== name) {
    if (!polite || !description || description.type !== 'offer') return; // of a call that is over
    begin(name);
  }
  const current = call;
  const { pc } = current;
  if (candidate) {
    await pc.addIceCandidate(candidate).catch((err) => {
      if (!current.ignoring) throw err;
    });
  }
  if (!description) return;
  step('peer', `The peer sends its ${description.type}.`);
  const collision = description.type === 'offer' && (current.offering || pc.signalingState !== 'stable');
  current.ignoring = collision && !polite;
  if (current.ignoring) return;
  await pc.setRemoteDescription(description); // takes an own offer back
  if (description.type !== 'offer') return;
  for (const track of here.getTracks()) addTrack(current, track);
  await pc.setLocalDescription();
  if (current === call) signal({ description: pc.localDescription });
}

function trouble(err) {
  step('me', `${err.name}: ${err.message}`);
  show('The call could not be set up. Hang up and call again.', 'bad');
}

// ---- the call

function begin(name) {
  finish();
  const pc = new RTCPeerConnection(config);
  const current = (call = { name, pc, offering: false, ignoring: false });
  show('Calling…', 'busy');

  pc.addEventListener('negotiationneeded', async () => {
    if (polite && !pc.remoteDescription) return; // the other one calls
    try {
      current.offering = true;
      await pc.setLocalDescription();
      if (current === call) signal({ description: pc.localDescription });
    } catch (err) {
      trouble(err);
    } finally {
      current.offering = false;
    }
  });
  pc.addEventListener('icecandidate', ({ candidate }) => {
    if (candidate && current === call) signal({ candidate });
  });
  pc.addEventListener('connectionstatechange', () => {
    if (current === call) connection(pc);
  });
  pc.addEventListener('track', ({ track, streams }) => {
    $('theirs').srcObject = streams[0];
    track.addEventListener('unmute', videos);
    track.addEventListener('mute', videos);
    videos();
  });

  current.chat = pc.createDataChannel('chat', { negotiated: true, id: 0 });
  current.chat.addEventListener('open', () => writable(true));
  current.chat.addEventListener('close', () => current === call && writable(false));
  current.chat.addEventListener('message', ({ data }) => write($('chat'), 'peer', readable(data), 'Peer'));

  if (!polite) for (const track of here.getTracks()) addTrack(current, track);
}

function addTrack({ pc }, track) {
  if (!pc.getSenders().some((sender) => sender.track === track)) pc.addTrack(track, here);
}

function connection(pc) {
  const state = pc.connectionState;
  step('me', `Connection: ${state}.`);
  if (state === 'connected') {
    outage('');
    show('You are connected.', 'good');
  }
  if (state === 'disconnected') show('The connection is interrupted…', 'busy');
  if (state === 'failed') {
    show('No way from browser to browser was found. Trying again…', 'bad');
    pc.restartIce();
  }
}

function finish() {
  if (call) {
    call.pc.close();
    call = null;
  }
  $('theirs').srcObject = null;
  writable(false);
  videos();
}

function gone() {
  step('server', 'The peer has left.');
  finish();
  polite = false;
  show('The peer has left. Waiting for it to come back…', 'busy');
}

function leave(text, kind) {
  hungUp = true;
  finish();
  outage('');
  show(text, kind);
  $('hangup').hidden = true;
  $('again').hidden = false;
}

// ---- camera, microphone, chat

/** Show the videos that there are. */
function videos() {
  const stream = $('theirs').srcObject;
  const seen = Boolean(stream && stream.getVideoTracks().some((track) => !track.muted));
  $('theirs').hidden = !stream;
  $('nobody').hidden = seen;
  $('nobody').textContent = call ? 'No picture from the peer.' : 'Nobody here yet.';
}

/** Ask for both, else for one of them; what there is goes into `here` and into the call. */
async function openMedia() {
  if (!navigator.mediaDevices) {
    $('media').textContent = 'Camera and microphone need https or localhost; the chat does not.';
    return;
  }
  for (const wish of [{ audio: true, video: true }, { audio: true }, { video: true }]) {
    try {
      const stream = await navigator.mediaDevices.getUserMedia(wish);
      for (const track of stream.getTracks()) here.addTrack(track);
      break;
    } catch { /* the next wish */ }
  }
  const [audio, video] = [here.getAudioTracks().length, here.getVideoTracks().length];
  $('mute').disabled = !audio;
  $('camera').disabled = !video;
  $('mine').hidden = !video;
  if (video) $('mine').srcObject = here; // without a picture it would keep the page loading
  const missing = [!video && 'camera', !audio && 'microphone'].filter(Boolean).join(' or ');
  if (missing) $('media').textContent = `There is no ${missing} here, or it was not allowed.`;
  // A joiner that has not been offered anything yet adds them with its answer.
  if (call && (!polite || call.pc.remoteDescription)) for (const track of here.getTracks()) addTrack(call, track);
}

/** A button that switches TRACKS off while it is pressed. */
function toggle(button, tracks) {
  button.addEventListener('click', () => {
    const off = button.getAttribute('aria-pressed') !== 'true';
    button.setAttribute('aria-pressed', String(off));
    for (const track of tracks()) track.enabled = !off;
  });
}

function writable(yes) {
  $('text').disabled = $('send').disabled = !yes;
}

async function copyLink() {
  try {
    await navigator.clipboard.writeText($('link').value);
    $('copied').textContent = 'Copied.';
  } catch {
    $('link').select();
    $('copied').textContent = 'Selected; copy it with Ctrl-C.';
  }
}

// ---- the page

function start(name) {
  channel = name;
  nameChannel(channel);
  $('entry').hidden = true;
  $('call').hidden = false;
  $('link').value = location.href;
  show('Connecting…', 'busy');
  openMedia();
  socket = connect();
  for (const [event, listener] of Object.entries(events)) socket.on(event, listener);
  socket.on('connect', enter);
  socket.on('connect_error', (err) => {
    if (socket.active) away(`The server does not answer (${err.message}). Trying again…`);
    else leave(`The server refused: ${err.message}`, 'bad');
  });
  socket.on('disconnect', (reason) => {
    step('server', `Disconnected: ${reason}.${talking() ? ' The call goes on.' : ''}`);
    if (hungUp) return;
    if (socket.active) away('The connection to the server is lost. Trying again…');
    else leave('The server has ended the connection.', 'bad');
  });
}

$('entry').addEventListener('submit', (event) => {
  event.preventDefault();
  const name = $('channel').value.trim();
  if (name) start(name);
});

$('say').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = $('text').value;
  if (!text.trim() || !call || call.chat.readyState !== 'open') return;
  call.chat.send(text);
  write($('chat'), 'me', text, 'You');
  $('text').value = '';
});

$('hangup').addEventListener('click', () => {
  socket.emit('Bye', channel);
  socket.disconnect();
  leave('You have hung up.');
});

$('again').addEventListener('click', () => {
  hungUp = false;
  $('hangup').hidden = false;
  $('again').hidden = true;
  show('Connecting…', 'busy');
  socket.connect();
});

$('copy').addEventListener('click', copyLink);
toggle($('mute'), () => here.getAudioTracks());
toggle($('camera'), () => here.getVideoTracks());

const given = parameter('channel');
$('channel').value = given;
if (given) start(given);
else $('channel').focus();
