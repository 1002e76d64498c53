import { connect } from './warren.js';

const $ = (id) => document.getElementById(id);
const number = new Intl.NumberFormat('en');

// Where to

// base is the path of root; the gateway's configuration may move it.
const base = document.documentElement.dataset.path;

// Built as text and not resolved: a path that begins with // would name
// another host.
const origin = `${location.protocol === 'https:' ? 'wss:' : 'ws:'}//${location.host}`;
const address = origin + base;

// complaint says why channel can't be one, or is empty.
function complaint(channel) {
  const odd = channel.match(/[^A-Za-z0-9._:~\/-]/u);
  if (odd) {
    const shown = odd[0] === ' ' ? 'A space' : `“${odd[0]}”`;
    return `${shown} can’t be part of a channel. Use A–Z a–z 0–9 . _ : - ~ and / only.`;
  }
  if (channel.length > 200) return `A channel has at most 200 characters; this has ${channel.length}.`;
  const parts = channel.split('/');
  if (channel && parts.includes('')) return 'A channel can’t begin or end with /, nor have // inside.';
  return '';
}

// What one listens to stands in the page's address, behind a #: nothing for
// root, or channels with commas between them.

function split(text) {
  return [...new Set(text.split(',').map((name) => name.trim()))];
}

function channelsOfPage() {
  const hash = location.hash.slice(1);
  try {
    return split(decodeURIComponent(hash));
  } catch {
    return split(hash);
  }
}

// The connection. It comes back by itself, and says when.

const earlier = 50; // messages of before that a channel begins with

let connection = null;
let names = []; // of what is listened to; "" is root, and then the only one
let due = 0; // when the next try is, as Date.now()
let ticking = 0;

const meaning = {
  1000: 'The gateway ended the connection.',
  1001: 'The node stops.',
  1002: 'The gateway found a protocol error.',
  1007: 'The gateway found text that is not UTF-8.',
  1008: 'The gateway refuses this connection.',
  1009: 'The message was too big for the gateway.',
  1011: 'The gateway had an internal error.',
  1012: 'The node restarts.',
  1013: 'The gateway is overloaded, or this page read too slowly.',
};

// 1012 has several reasons.
const restarts = new Map([
  ['the node drains: come back now', 'The node drains: another one takes over.'],
  ['messages were lost', 'The node could not get all messages.'],
]);

// listen makes what is listened to the given channels, and connects.
function listen(channels) {
  names = channels;
  connection ??= make();
  for (const s of connection.subscriptions) if (!names.includes(s.channel)) s.unsubscribe();
  for (const name of names) if (!connection.subscription(name)) connection.subscribe(name, { history: earlier });
  if (connection.state === 'closed') connection.reconnect();
  showChannels();
}

function make() {
  const c = connect(address);
  let failing = false; // said already
  const taken = new Set(); // channels the node listens to for us
  // Connected is who hears what he asked for, not only who has a connection.
  const settle = () => {
    if (state === 'open' || c.state !== 'open' || !names.every((name) => taken.has(name))) return;
    failing = false;
    show('open', address);
    note(`Connected to ${address}`);
  };
  c.on('state', (event) => {
    taken.clear();
    if (event.state === 'connecting') show('connecting', address);
  });
  c.on('open', settle);
  c.on('subscribed', ({ channel }) => {
    taken.add(channel);
    settle();
  });
  c.on('close', (event) => {
    const why = reasonOf(event);
    if (event.opened || event.final || !failing) note(why, event.final && event.error !== undefined && event.code !== 1000);
    failing = true;
    if (event.final) show(event.error === undefined || event.code === 1000 ? 'off' : 'refused', why);
    else wait(why, event.wait);
  });
  c.on('error', (err) => {
    if (err.channel === undefined) {
      if (!told.has(err.code)) note(`The gateway refuses what this page sent: ${err.message} (${err.code})`, true);
      return;
    }
    note(`The gateway refuses ${err.message} (${err.code})`, true);
    names = names.filter((name) => name !== err.channel);
    showChannels();
    settle();
  });
  c.on('message', received);
  c.on('gap', ({ channel, reason }) => {
    const whose = channel ? `Messages of ${channel}` : 'Messages';
    arrive({ note: reason === 'resume' ? `${whose} that came meanwhile are missing here.` : `${whose} are missing here.`, bad: true, gap: true });
  });
  return c;
}

// Errors of these codes come with a close.
const told = new Set(['closed', 'connect', 'lost', 'bad_frame', 'bad_protocol']);

function reasonOf({ code, reason, opened, final, error }) {
  if (final && !error) return 'You disconnected.';
  if (code === 1006 && error) return `${error.message[0].toUpperCase()}${error.message.slice(1)}.`;
  const known = (code === 1012 ? restarts.get(reason) : undefined) ?? meaning[code] ?? (opened ? 'The connection was lost.' : `${address} doesn’t answer, or refuses.`);
  return known + (code === 1006 ? '' : ` (${code}${reason && `: ${reason}`})`);
}

function wait(why, ms) {
  due = Date.now() + ms;
  show('waiting', why);
  tick();
  ticking = setInterval(tick, 250);
}

function tick() {
  $('countdown').textContent = `Next try in ${Math.max(0, Math.ceil((due - Date.now()) / 1000))} s.`;
}

const words = { connecting: 'Connecting', open: 'Connected', waiting: 'Reconnecting', refused: 'Refused', off: 'Disconnected' };
let state = 'off';

function show(next, detail) {
  state = next;
  clearInterval(ticking);
  $('countdown').textContent = '';
  $('status').dataset.state = next;
  $('state').textContent = words[next];
  $('detail').textContent = detail;
  $('toggle').textContent = next === 'off' || next === 'refused' ? 'Connect' : 'Disconnect';
  if (document.activeElement === $('now') && next !== 'waiting') $('toggle').focus();
  $('now').hidden = next !== 'waiting';
  $('send').querySelector('button').setAttribute('aria-disabled', String(next !== 'open'));
  if (next === 'open') $('send-error').textContent = '';
}

// The channel field, the channels below it, and the page's address.

function judge(channels) {
  const error = channels.map(complaint).find(Boolean) ?? (channels.length > 1 && channels.includes('') ? 'Between two commas a channel is missing.' : '');
  $('channel-error').textContent = error;
  if (error) $('channel').setAttribute('aria-invalid', 'true');
  else $('channel').removeAttribute('aria-invalid');
  return !error;
}

function followAddress() {
  const channels = channelsOfPage();
  if (!judge(channels)) {
    $('channel').value = channels.join(',');
    connection?.close();
    names = [];
    showChannels();
    show('off', 'The address of this page names no valid channel.');
    return;
  }
  listen(channels);
}

// go listens to channels and has the address say so.
function go(channels) {
  const hash = channels.join(',');
  if (hash !== channelsOfPage().join(',')) {
    history.pushState(null, '', location.pathname + location.search + (hash && `#${hash}`));
  }
  listen(channels);
}

function showChannels() {
  const focused = [...$('channels').children].findIndex((li) => li.contains(document.activeElement));
  $('channels').replaceChildren(...names.map((name) => {
    if (name === '') return element('li', 'all', 'All channels');
    const leave = element('button', '', '×');
    leave.type = 'button';
    leave.setAttribute('aria-label', `Leave ${name}`);
    leave.addEventListener('click', () => {
      const rest = names.filter((other) => other !== name);
      go(rest.length ? rest : ['']);
    });
    return element('li', '', element('span', '', name), leave);
  }));
  if (focused >= 0) ($('channels').children[Math.min(focused, names.length - 1)]?.querySelector('button') ?? $('channel')).focus();
  const to = $('to').value;
  $('to').replaceChildren(...names.map((name) => element('option', '', name)));
  if (names.includes(to)) $('to').value = to;
  $('target').hidden = names.length < 2;
  title();
}

$('join').addEventListener('submit', (event) => {
  event.preventDefault();
  const channels = split($('channel').value);
  if (!judge(channels)) {
    $('channel').focus();
    return;
  }
  $('channel').value = '';
  const all = channels[0] === '' ? channels : [...new Set([...names.filter((name) => name !== ''), ...channels])];
  go(all);
});
$('channel').addEventListener('input', () => judge(split($('channel').value)));
$('toggle').addEventListener('click', () => {
  if (state !== 'off' && state !== 'refused') connection.close();
  else if (names.length && !$('channel').value) listen(names);
  else $('join').requestSubmit();
});
$('now').addEventListener('click', () => connection.reconnect());
addEventListener('popstate', followAddress); // hash changes fire it too
document.addEventListener('visibilitychange', () => {
  if (document.hidden) return;
  unread = 0;
  title();
});

// Messages as they come. Each frame draws what arrived since the last; a hidden
// page gets no frames and just keeps the newest.

const bounds = {
  shown: 500, // messages in the list, and as many waiting to be drawn
  weight: 8 << 20, // characters the list may hold
  text: 4000, // characters shown of one message before it is unfolded
  hex: 64, // bytes shown of a binary message
  pretty: 80, // characters of JSON in one line
  own: 200, // messages sent from here whose return is waited for
  past: 3000, // ms after which a message is of the past
  aloud: 10, // messages in a burst that a screen reader is given
};

let waiting = [];
let weights = []; // of the list's items, in their order
let weight = 0;
let total = 0;
let unread = 0;
let paused = false;
let frame = 0;
let burst = 0;
let drawn = 0;
let following = true; // the newest, until the reader scrolls up

function received(message) {
  total++;
  returned(message.mid);
  if (document.hidden && ++unread === 1) setTimeout(title);
  // Of what comes at once the own clock knows the time better: the other's
  // may count whole seconds.
  const past = Date.now() - message.at > bounds.past;
  if (!past) rates.in++; // history is no traffic
  arrive(past ? { message, at: new Date(message.at), past } : { message });
}

function note(text, bad = false) {
  arrive({ note: text, bad });
}

function arrive(item) {
  waiting.push({ at: new Date(), ...item });
  if (waiting.length > bounds.shown) waiting.shift();
  frame ||= requestAnimationFrame(draw);
}

function draw(now) {
  frame = 0;
  if (!paused && waiting.length) {
    pace(now, waiting.length);
    const items = document.createDocumentFragment();
    for (const item of waiting) items.append(entry(item));
    waiting = [];
    $('list').append(items);
    while (weights.length > bounds.shown || (weight > bounds.weight && weights.length > 1)) {
      weight -= weights.shift();
      $('list').firstElementChild.remove();
    }
    if (following) follow();
    else $('latest').hidden = false;
  }
  count();
}

// pace stops reading aloud while messages come faster than anyone listens.
function pace(now, n) {
  burst = Math.max(0, burst - (now - drawn) / 500) + n;
  drawn = now;
  const fast = burst > bounds.aloud;
  if (fast === ($('log').getAttribute('aria-live') === 'off')) return;
  $('log').setAttribute('aria-live', fast ? 'off' : 'polite');
  $('announce').textContent = fast ? 'Messages come too fast to be read aloud.' : '';
}

function count() {
  const parts = [];
  if (total) parts.push(`${number.format(total)} received`);
  if (total > bounds.shown) parts.push(`at most ${bounds.shown} kept`);
  if (paused) parts.push(`${waiting.length}${waiting.length < bounds.shown ? '' : ' or more'} waiting`);
  $('count').textContent = parts.join(', ');
}

function title() {
  const many = document.hidden && unread ? `(${unread}) ` : '';
  document.title = `${many}${names.join(', ') || 'All channels'} · Warren`;
  if (many) setTimeout(title, 1000);
}

// element makes one from text, never from HTML.
function element(name, className, ...content) {
  const e = document.createElement(name);
  if (className) e.className = className;
  e.append(...content);
  return e;
}

function entry({ at, message, past, note: text, bad, gap }) {
  const li = element('li', text === undefined ? '' : `note${bad ? ' bad' : ''}${gap ? ' gap' : ''}`);
  const pad = (n, width) => String(n).padStart(width, '0');
  const clock = `${pad(at.getHours(), 2)}:${pad(at.getMinutes(), 2)}:${pad(at.getSeconds(), 2)}`;
  const time = element('time', '', past ? clock : `${clock}.${pad(at.getMilliseconds(), 3)}`);
  time.dateTime = at.toISOString();
  time.title = at.toLocaleString();
  const body = element('div', '');
  let size = 0;
  if (text !== undefined) {
    body.append(element('p', '', text));
  } else {
    // Where only one is listened to, its name would be noise.
    if (message.channel && (message.root || names.length > 1)) body.append(element('span', 'channel', message.channel));
    size = message.kind === 'binary' ? drawBinary(body, message.data) : drawText(body, message.kind === 'json' ? jsonOf(message.data) : message.data);
  }
  weights.push(size);
  weight += size;
  li.append(time, body);
  return li;
}

function jsonOf(data) {
  const json = JSON.stringify(data);
  return json.length <= bounds.pretty ? json : JSON.stringify(data, null, 2);
}

function drawText(body, text) {
  const pre = element('pre', 'text');
  if (text === '') body.append(element('span', 'kind', 'Empty text'));
  body.append(pre);
  if (text.length <= bounds.text) {
    pre.append(text);
    return text.length;
  }
  pre.append(`${text.slice(0, bounds.text)}…`);
  const more = element('button', 'link', `Show all ${number.format(text.length)} characters`);
  more.type = 'button';
  more.addEventListener('click', () => {
    pre.textContent = text;
    pre.tabIndex = -1;
    pre.focus(); // the button that had it goes
    more.remove();
  });
  body.append(more);
  return text.length;
}

function drawBinary(body, all) {
  const bytes = all.subarray(0, bounds.hex);
  const rest = all.length > bytes.length ? `, the first ${bytes.length} shown` : '';
  body.append(element('span', 'kind', `Binary, ${number.format(all.length)} ${all.length === 1 ? 'byte' : 'bytes'}${rest}`));
  const width = $('log').clientWidth < 640 ? 8 : 16;
  const pre = element('pre', 'hex');
  for (let i = 0; i < bytes.length; i += width) {
    const row = [...bytes.subarray(i, i + width)];
    const hex = row.map((b) => b.toString(16).padStart(2, '0')).join(' ');
    const ascii = row.map((b) => (b > 0x1f && b < 0x7f ? String.fromCharCode(b) : '·')).join('');
    pre.append(`${i ? '\n' : ''}${i.toString(16).padStart(4, '0')}  `, element('b', '', hex.padEnd(width * 3 - 1)), `  ${ascii}`);
  }
  if (bytes.length) body.append(pre);
  return bounds.hex * 5;
}

$('pause').addEventListener('click', () => {
  paused = !paused;
  $('pause').setAttribute('aria-pressed', String(paused));
  frame ||= requestAnimationFrame(draw);
});
$('clear').addEventListener('click', () => {
  $('list').replaceChildren();
  $('latest').hidden = true;
  waiting = [];
  weights = [];
  weight = 0;
  total = 0;
  count();
});

function follow() {
  $('log').scrollTop = $('log').scrollHeight;
}

$('log').addEventListener('scroll', () => {
  const log = $('log');
  following = log.scrollHeight - log.scrollTop - log.clientHeight < 32;
  if (following) $('latest').hidden = true;
});
$('latest').addEventListener('click', () => {
  follow();
  $('log').focus({ preventScroll: true });
});
new ResizeObserver(() => following && follow()).observe($('log'));

// Sending. What is sent comes back through the exchange, so it isn't echoed.

async function send(text) {
  const began = performance.now();
  unconfirmed++;
  rates.out++;
  try {
    const { mid } = await connection.publish(names.length > 1 ? $('to').value : names[0], text);
    confirmed(mid, began);
  } catch (err) {
    const why = err.code === 'full' ? 'The gateway takes no more at the moment.' : `Not sent: ${err.message}.`;
    const box = $('message');
    $('send-error').textContent = box.value ? `${why} It was: ${text.slice(0, 100)}` : `${why} Your text is back here.`;
    box.value ||= text;
    grow();
  } finally {
    if (--unconfirmed === 0) came.clear();
  }
}

$('send').addEventListener('submit', (event) => {
  event.preventDefault();
  const box = $('message');
  $('send-error').textContent = '';
  if (state !== 'open') {
    $('send-error').textContent = 'Not connected. Your text stays here.';
  } else if (box.value !== '') {
    send(box.value);
    box.value = '';
    grow();
  }
  box.focus();
});
$('message').addEventListener('keydown', (event) => {
  // Enter that ends an input method's composition sends nothing.
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $('send').requestSubmit();
});

// grow does what field-sizing does, where that is missing.
function grow() {
  if (!CSS.supports('field-sizing', 'content')) $('message').rows = Math.min(6, $('message').value.split('\n').length);
}
$('message').addEventListener('input', grow);

plot();
followAddress();
