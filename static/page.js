const $ = (id) => document.getElementById(id);
const number = new Intl.NumberFormat('en');

// Where to

// base is the path of root; the gateway's configuration may move it.
const base = document.documentElement.dataset.path;

// Built as text and not resolved: a path that begins with // would name
// another host.
const origin = `${location.protocol === 'https:' ? 'wss:' : 'ws:'}//${location.host}`;
const address = (channel) => origin + base + (channel && `/${channel}`);

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
  // Allowed by the gateway, but URL parsing resolves these before it asks.
  if (parts.includes('.') || parts.includes('..')) return 'Browsers can’t ask for a part that is only “.” or “..”.';
  return '';
}

function channelOfPage() {
  const hash = location.hash.slice(1);
  try {
    return decodeURIComponent(hash);
  } catch {
    return hash;
  }
}

// When to come back. Times in ms.

const retry = {
  first: 500, // ceiling of the first wait; it doubles with each failure
  cap: 30_000,
  spread: 5_000, // after 1012 and 1013, which hit many clients at once
  busy: 5_000, // after 1013 nobody comes sooner
  settled: 5_000, // a connection that lasted so long was no failure
  handshake: 10_000,
};

// Exponential backoff with full jitter: clients that were cut together don't
// return together.
function waitAfter(code) {
  const ceiling = Math.min(retry.cap, retry.first * 2 ** failures);
  if (code === 1012) return Math.random() * Math.max(ceiling, retry.spread);
  if (code === 1013) return retry.busy + Math.random() * Math.max(ceiling, retry.spread);
  return Math.random() * ceiling;
}

// After these the same request would end the same way.
const final = new Set([1000, 1008]);

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

// The connection. One socket at a time; events of an older one are ignored.

let socket = null;
let channel = '';
let failures = 0;
let timer = 0; // of the next try, or of the handshake's deadline
let due = 0; // when the next try is, as Date.now()
let asked = false; // the gateway asked us not to hurry
let ticking = 0;

function connect() {
  drop();
  const url = address(channel);
  show('connecting', url);
  let s;
  try {
    s = new WebSocket(url);
  } catch (err) {
    show('refused', `The browser refuses ${url}: ${err.message}`);
    return;
  }
  socket = s;
  s.binaryType = 'arraybuffer';
  let opened = 0;
  timer = setTimeout(() => s.close(), retry.handshake);
  s.onopen = () => {
    if (s !== socket) return;
    clearTimeout(timer);
    opened = Date.now();
    show('open', url);
    note(`Connected to ${url}`);
  };
  s.onmessage = (event) => received(event.data); // none come once it is closing
  s.onclose = (event) => {
    if (s !== socket) return;
    if (opened && Date.now() - opened >= retry.settled) failures = 0;
    ended(event, opened > 0);
  };
}

function ended({ code, reason }, opened) {
  drop();
  const known = meaning[code] ?? (opened ? 'The connection was lost.' : `${address(channel)} doesn’t answer, or refuses.`);
  const why = known + (code === 1006 ? '' : ` (${code}${reason && `: ${reason}`})`);
  const again = !final.has(code);
  if (opened || !again || failures === 0) note(why, !again);
  if (!again) {
    show(code === 1000 ? 'off' : 'refused', why);
    return;
  }
  const wait = waitAfter(code);
  failures++;
  due = Date.now() + wait;
  asked = code === 1012 || code === 1013;
  show('waiting', why);
  timer = setTimeout(connect, wait);
  tick();
  ticking = setInterval(tick, 250);
}

// drop lets go of the socket and of every timer.
function drop() {
  clearTimeout(timer);
  clearInterval(ticking);
  $('countdown').textContent = '';
  const s = socket;
  socket = null;
  s?.close(1000);
}

function disconnect() {
  drop();
  show('off', 'You disconnected.');
  note('Disconnected.');
}

function tick() {
  $('countdown').textContent = `Next try in ${Math.max(0, Math.ceil((due - Date.now()) / 1000))} s.`;
}

function retryNow() {
  if (state === 'waiting') connect();
}

const words = { connecting: 'Connecting', open: 'Connected', waiting: 'Reconnecting', refused: 'Refused', off: 'Disconnected' };
let state = 'off';

function show(next, detail) {
  state = next;
  $('status').dataset.state = next;
  $('state').textContent = words[next];
  $('detail').textContent = detail;
  $('toggle').textContent = next === 'off' || next === 'refused' ? 'Connect' : 'Disconnect';
  if (document.activeElement === $('now') && next !== 'waiting') $('toggle').focus();
  $('now').hidden = next !== 'waiting';
  $('send').querySelector('button').setAttribute('aria-disabled', String(next !== 'open'));
  if (next === 'open') $('send-error').textContent = '';
}

// The channel field and the page's address.

function judge(name) {
  const error = complaint(name);
  $('channel-error').textContent = error;
  if (error) $('channel').setAttribute('aria-invalid', 'true');
  else $('channel').removeAttribute('aria-invalid');
  return !error;
}

function enter(name) {
  channel = name;
  failures = 0;
  title();
  connect();
}

function followAddress() {
  const name = channelOfPage();
  $('channel').value = name;
  if (!judge(name)) {
    drop();
    show('off', 'The address of this page names no valid channel.');
    return;
  }
  if (name !== channel || state === 'off' || state === 'refused') enter(name);
}

$('join').addEventListener('submit', (event) => {
  event.preventDefault();
  const name = $('channel').value.trim();
  $('channel').value = name;
  if (!judge(name)) {
    $('channel').focus();
    return;
  }
  if (name !== channelOfPage()) {
    history.pushState(null, '', location.pathname + location.search + (name && `#${name}`));
  }
  if (name !== channel || state !== 'open') enter(name);
});
$('channel').addEventListener('input', () => judge($('channel').value.trim()));
$('toggle').addEventListener('click', () => {
  if (state === 'off' || state === 'refused') $('join').requestSubmit();
  else disconnect();
});
$('now').addEventListener('click', retryNow);
addEventListener('popstate', followAddress); // hash changes fire it too
addEventListener('online', () => asked || retryNow());
document.addEventListener('visibilitychange', () => {
  if (document.hidden) return;
  if (Date.now() >= due) retryNow(); // hidden pages get their timers late
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
  buffered: 1 << 20, // bytes the browser may hold back of what is sent
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

function received(data) {
  total++;
  if (document.hidden && ++unread === 1) setTimeout(title);
  arrive({ data });
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
  document.title = `${many}${channel || 'All channels'} · Warren`;
  if (many) setTimeout(title, 1000);
}

// element makes one from text, never from HTML.
function element(name, className, ...content) {
  const e = document.createElement(name);
  if (className) e.className = className;
  e.append(...content);
  return e;
}

function entry({ at, data, note: text, bad }) {
  const li = element('li', text === undefined ? '' : `note${bad ? ' bad' : ''}`);
  const pad = (n, width) => String(n).padStart(width, '0');
  const clock = `${pad(at.getHours(), 2)}:${pad(at.getMinutes(), 2)}:${pad(at.getSeconds(), 2)}.${pad(at.getMilliseconds(), 3)}`;
  const time = element('time', '', clock);
  time.dateTime = at.toISOString();
  const body = element('div', '');
  let size = 0;
  if (text !== undefined) body.append(element('p', '', text));
  else if (typeof data === 'string') size = drawText(body, data);
  else size = drawBinary(body, data);
  weights.push(size);
  weight += size;
  li.append(time, body);
  return li;
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

function drawBinary(body, buffer) {
  const bytes = new Uint8Array(buffer, 0, Math.min(buffer.byteLength, bounds.hex));
  const rest = buffer.byteLength > bytes.length ? `, the first ${bytes.length} shown` : '';
  body.append(element('span', 'kind', `Binary, ${number.format(buffer.byteLength)} ${buffer.byteLength === 1 ? 'byte' : 'bytes'}${rest}`));
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

$('send').addEventListener('submit', (event) => {
  event.preventDefault();
  const box = $('message');
  $('send-error').textContent = '';
  if (state !== 'open') {
    $('send-error').textContent = 'Not connected. Your text stays here.';
  } else if (socket.bufferedAmount > bounds.buffered) {
    $('send-error').textContent = 'The gateway takes no more at the moment. Try again soon.';
  } else if (box.value !== '') {
    socket.send(box.value);
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

$('prefix').textContent = `${base}/`;
followAddress();
