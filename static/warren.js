// Client of a Warren gateway: channels, resume, confirmed publishing. It speaks
// the WebSocket subprotocol warren.v1.json and has no dependencies.

const PROTOCOL = 'warren.v1.json';

// Times in ms, sizes in bytes.
const LIMITS = {
  backoffMin: 250, // ceiling of the first wait; it doubles with each failure
  backoffMax: 30_000,
  spread: 5_000, // after 1012 and 1013, which hit many clients at once
  move: 250, // when the node spreads its clients itself: jitter
  busy: 5_000, // after 1013 nobody comes sooner
  settled: 5_000, // a connection that lasted so long was no failure
  handshake: 10_000, // from the attempt to the node's welcome
  ping: 25_000,
  pong: 10_000,
  request: 10_000,
  hidden: 4, // a hidden page waits and pings so many times longer
  buffered: 256 << 10, // what the socket may hold back before publishes wait
  drain: 50, // how often that is looked at: no event tells
  seen: 2048, // ids remembered a subscription
  early: 1000, // direct messages held while requests have no ack
  outboxMessages: 1000,
  outboxBytes: 4 << 20,
  queue: 10_000, // items an iterator holds for its reader
  depth: 64, // nesting a node reads, the frame itself counted
};

// Close codes after which the same client would fare the same: it broke the
// protocol (1002, 1003, 1007, 1010), may not be here (1008), or was dismissed
// (1000). 1009 costs the message that was too large, not the connection.
const FINAL = new Set([1000, 1002, 1003, 1007, 1008, 1010]);

// The reason, with 1012, of a node that sends its clients away one by one.
const MOVE = 'the node drains: come back now';

/**
 * What publishes, requests and subscriptions fail with. `code` is the node's
 * (`too_large`, `bad_channel`, …) or the module's: `closed`, `full`, `timeout`,
 * `lost`, `bad_frame`, `bad_protocol`, `connect`, `token`.
 */
export class WarrenError extends Error {
  /** Stable, for programs. */
  code;
  /** Whether the message may have been published all the same. */
  sent;
  /** The subscription it is about, if it is about one; "" is root. */
  channel;

  constructor(code, message, { sent = false, channel, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'WarrenError';
    this.code = code;
    this.sent = sent;
    this.channel = channel;
  }
}

/**
 * Connects to a gateway and stays connected, until `close()` or until a node
 * says that coming back is no use.
 *
 * @param {string | URL} url where root's WebSocket is: `wss://host/ws`; http(s)
 *   stands for ws(s), and in a browser it may be relative
 * @param {object} [options] see warren.d.ts
 * @returns {Connection} still connecting: events come after the caller's turn
 */
export function connect(url, options = {}) {
  return new Connection(url, options);
}

const emit = Symbol('emit');

class Emitter {
  #types;
  #listeners = new Map();

  constructor(types) {
    this.#types = types;
  }

  /**
   * Calls `listener` with each event of a type.
   * @returns {() => void} ends that
   */
  on(type, listener) {
    if (!this.#types.includes(type)) throw new TypeError(`no event is called ${type}; there are ${this.#types.join(', ')}`);
    if (typeof listener !== 'function') throw new TypeError('the listener is no function');
    if (!this.#listeners.has(type)) this.#listeners.set(type, new Set());
    const entry = { listener }; // the same function may listen twice
    this.#listeners.get(type).add(entry);
    return () => void this.#listeners.get(type).delete(entry);
  }

  [emit](type, event) {
    for (const entry of [...(this.#listeners.get(type) ?? [])]) {
      try {
        entry.listener(event);
      } catch (err) {
        // The listener's fault must not cost others the message.
        if (typeof reportError === 'function') reportError(err);
        else queueMicrotask(() => { throw err; });
      }
    }
  }
}

/** One channel that is listened to, across reconnects. Made by `Connection.subscribe`. */
export class Subscription extends Emitter {
  #place;

  constructor(place) {
    super(['message', 'gap', 'subscribed', 'error']);
    this.#place = place;
  }

  /** The channel's name; "" is root, which hears every channel. */
  get channel() {
    return this.#place.channel;
  }

  /** Where to resume: keep it, and give it as `since` another day. Undefined before the first `subscribed`. */
  get id() {
    return this.#place.id;
  }

  /** Settles when the node has taken the subscription, or refused it. */
  get ready() {
    return this.#place.ready.promise;
  }

  /** Ends it. Its iterators give what they have, then end. */
  unsubscribe() {
    this.#place.leave();
  }

  /**
   * Messages and gaps from this call on, in order.
   * @param {{ signal?: AbortSignal, limit?: number }} [options]
   */
  messages(options) {
    return openFeed(this.#place.feeds, options, this.#place.ended);
  }

  [Symbol.asyncIterator]() {
    return this.messages();
  }
}

/** A connection that comes back by itself. Made by `connect`. */
export class Connection extends Emitter {
  #url;
  #options;
  #clock;
  #random;
  #state = 'connecting';
  #welcome;
  #error; // why it is closed for good

  #socket = null;
  #turn = 0; // what belongs to an older attempt is ignored
  #failures = 0;
  #moves = 0; // in a row, each after moments
  #openedAt = 0;
  #next = { at: 0, asked: false }; // when the next attempt would be if the page were visible; the node asked for patience
  #timers = {}; // by name: deadline, retry, ping, pong, drain
  #unhook = () => {}; // from the page's own events

  #places = new Map(); // by channel
  #answers = new Map(); // by ref: who waits for an answer on this socket
  #lastRef = 0;
  #feeds = new Set();

  #outbox;
  #ids = `${randomText(12)}-`; // of publishes. A node may judge them by user, so other tabs must not have the same
  #lastId = 0;
  #requests = new Map(); // acknowledged, by mid
  #early = []; // direct messages that may answer a request that has no ack yet

  constructor(url, options) {
    super(['open', 'close', 'state', 'message', 'gap', 'subscribed', 'direct', 'error']);
    this.#options = { ...options, WebSocket: options.WebSocket ?? globalThis.WebSocket };
    if (typeof this.#options.WebSocket !== 'function') {
      throw new TypeError("no WebSocket here: give one as an option, such as the default export of the package 'ws'");
    }
    this.#url = rootUrl(url);
    this.#url.searchParams.set('session', randomText(16));
    this.#clock = options.clock ?? wallClock;
    this.#random = options.random ?? Math.random;
    this.#outbox = new Outbox(options.outbox);
    for (const wanted of options.channels ?? []) {
      if (typeof wanted === 'string') this.subscribe(wanted);
      else this.subscribe(wanted.channel, wanted);
    }
    const turn = this.#turn;
    this.#hook();
    queueMicrotask(() => turn === this.#turn && this.#attempt());
  }

  /** `connecting`; `open`; `waiting` for the next attempt; `closed`: it stays away until `reconnect()`. */
  get state() {
    return this.#state;
  }

  /** What the node said of itself and of this connection, while it is open. */
  get welcome() {
    return this.#welcome;
  }

  /** Messages that wait for their ack, and bytes of them. */
  get pending() {
    return { messages: this.#outbox.size, bytes: this.#outbox.bytes };
  }

  /** All subscriptions. */
  get subscriptions() {
    return [...this.#places.values()].map((place) => place.subscription);
  }

  /** The subscription to a channel, if there is one. */
  subscription(channel) {
    return this.#places.get(channel)?.subscription;
  }

  /**
   * Listens to a channel, also after reconnects: from where it was left.
   * @param {string} channel "" is root, which hears every channel
   * @param {{ since?: string, history?: number }} [options] where to begin: behind an id, and at most so many messages back
   * @throws {WarrenError} `already_subscribed`
   */
  subscribe(channel, { since, history } = {}) {
    if (typeof channel !== 'string') throw new TypeError('the channel is no string');
    if (this.#places.has(channel)) {
      throw new WarrenError('already_subscribed', `there is a subscription to ${name(channel)}: unsubscribe first, or use subscription()`, { channel });
    }
    const place = new Place(channel, since, history ?? (since === undefined ? this.#options.history : undefined));
    place.leave = () => this.#leave(place);
    this.#places.set(channel, place);
    if (this.#socket?.readyState === 1) this.#ask(place);
    return place.subscription;
  }

  /**
   * Publishes a string as text, bytes as binary, and any other value as JSON.
   * While there is no connection the message waits; it is sent again, without
   * a second copy, if its ack was lost with a connection.
   * @param {string} channel
   * @param {unknown} value
   * @param {{ id?: string, timeout?: number, signal?: AbortSignal }} [options] `timeout` in ms; there is none by itself
   * @returns {Promise<{ mid: string, id: string }>} settles when RabbitMQ has confirmed the message
   */
  async publish(channel, value, options = {}) {
    return this.#post(channel, value, options, false);
  }

  /**
   * Publishes, and waits for the answer of an AMQP program: a direct message
   * whose id is the request's mid.
   * @param {{ id?: string, timeout?: number, signal?: AbortSignal }} [options] `timeout` in ms, 10,000 by itself
   */
  async request(channel, value, options = {}) {
    return this.#post(channel, value, { timeout: LIMITS.request, ...options }, true);
  }

  /**
   * Messages and gaps of all subscriptions from this call on, in order. Who
   * reads too slowly finds a gap in place of the oldest: a queue has a limit.
   * @param {{ signal?: AbortSignal, limit?: number }} [options]
   */
  messages(options) {
    return openFeed(this.#feeds, options, this.#state === 'closed' ? { error: this.#error } : undefined);
  }

  [Symbol.asyncIterator]() {
    return this.messages();
  }

  /** Tries now rather than later. Also takes up again, with all subscriptions, what is closed. */
  reconnect() {
    if (this.#state === 'closed') {
      this.#failures = this.#moves = 0;
      this.#error = undefined;
      this.#hook();
      this.#attempt();
    } else if (this.#state === 'waiting') {
      this.#attempt();
    }
  }

  /**
   * Ends the connection for good. Publishes without an ack are rejected.
   * @param {number} [code] 1000 or 3000 to 4999
   * @param {string} [reason] at most 123 bytes
   */
  close(code = 1000, reason = '') {
    if (!(code === 1000 || (Number.isInteger(code) && code >= 3000 && code <= 4999))) throw new RangeError(`close code ${code} is not 1000 or 3000 to 4999`);
    if (bytesOf(reason) > 123) throw new RangeError('the reason of a close has at most 123 bytes');
    if (this.#state === 'closed') return;
    const opened = this.#state === 'open';
    this.#release((socket) => socket.close(code, reason));
    this.#finish({ code, reason, opened }, undefined);
  }

  // Attempts and their ends

  #attempt() {
    this.#release();
    const turn = this.#turn;
    this.#timer('deadline', LIMITS.handshake, () => this.#lost(1006, '', new WarrenError('connect', `no connection within ${LIMITS.handshake / 1000} s`)));
    this.#become('connecting');
    if (turn !== this.#turn) return; // a listener has closed it
    const { token } = this.#options;
    if (typeof token !== 'function') {
      this.#dial(token);
      return;
    }
    // Asked for anew each time: tokens expire.
    (async () => token())().then(
      (value) => turn === this.#turn && this.#dial(value),
      (err) => turn === this.#turn && this.#lost(1006, '', new WarrenError('token', `no token: ${err?.message ?? err}`, { cause: err })),
    );
  }

  #dial(token) {
    const url = new URL(this.#url);
    if (token !== undefined && token !== null) url.searchParams.set('token', token);
    let socket;
    try {
      socket = new this.#options.WebSocket(url.href, [PROTOCOL]);
    } catch (err) {
      // Of the address or the page's own rules: no later attempt would differ.
      this.#finish({ code: 1006, reason: '', opened: false }, new WarrenError('connect', `this address can't be connected to: ${err.message}`, { cause: err }));
      return;
    }
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => this.#opened(socket);
    socket.onmessage = (event) => this.#received(event.data);
    socket.onclose = (event) => this.#lost(event.code, event.reason);
    socket.onerror = () => {}; // a close follows; Node would throw without a listener
    this.#socket = socket;
  }

  #opened(socket) {
    if (socket.protocol !== PROTOCOL) {
      this.#lost(1006, '', new WarrenError('bad_protocol', `the server doesn't speak ${PROTOCOL}: is the address a gateway's?`));
      return;
    }
    // Before the welcome, to save a round trip.
    for (const place of this.#places.values()) this.#ask(place);
  }

  // release lets go of the socket, and of all that hangs on it.
  #release(close = (socket) => (socket.terminate ? socket.terminate() : socket.close(1000))) {
    this.#turn++;
    for (const name of Object.keys(this.#timers)) this.#stop(name);
    this.#answers.clear();
    this.#welcome = undefined;
    for (const place of this.#places.values()) place.live = false;
    this.#outbox.rewind();
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    if (socket.readyState < 2) close(socket);
  }

  #lost(code, reason, error) {
    const opened = this.#state === 'open';
    if (opened && this.#clock.now() - this.#openedAt >= LIMITS.settled) this.#failures = this.#moves = 0;
    const large = code === 1009 ? this.#outbox.largestSent() : undefined;
    this.#release();
    const turn = this.#turn;
    this.#forsake();
    if (large) large.settle(new WarrenError('too_large', `the node closed the connection over a message of ${large.bytes} bytes: ${reason || 'too large'}`));
    if (FINAL.has(code) || (code === 1009 && !large)) {
      this.#finish({ code, reason, opened }, new WarrenError('closed', `the node closed the connection with ${code}${reason && `: ${reason}`}`));
      return;
    }
    const moved = code === 1012 && reason === MOVE;
    // To be sent on is no failure; to be sent on and on, as by nodes that all drain, is.
    const wait = moved && this.#moves++ === 0 ? this.#random() * LIMITS.move : backoff(moved ? 0 : code, this.#failures++, this.#random);
    this.#next = { at: this.#clock.now() + wait, asked: !moved && (code === 1012 || code === 1013) };
    const stretched = isHidden() && !moved ? wait * LIMITS.hidden : isOffline() ? Math.max(wait, LIMITS.backoffMax) : wait;
    this.#timer('retry', stretched, () => this.#attempt());
    this.#state = 'waiting';
    if (error) this[emit]('error', error);
    if (turn === this.#turn) this[emit]('close', { code, reason, opened, final: false, wait: stretched, error });
    if (turn === this.#turn) this[emit]('state', { state: 'waiting' });
  }

  // finish ends what can't go on; only reconnect() begins again.
  #finish({ code, reason, opened }, error) {
    this.#release();
    this.#unhook();
    this.#error = error;
    this.#state = 'closed'; // before anybody hears of it: no publish gets in
    this.#forsake();
    const why = error?.message ?? 'close() was called';
    for (const entry of this.#outbox.all()) entry.settle(new WarrenError('closed', `the message has no ack: ${why}`, { sent: entry.sent, cause: error }));
    for (const feed of [...this.#feeds]) feed.end(error);
    for (const place of this.#places.values()) for (const feed of [...place.feeds]) feed.end(error);
    if (error) this[emit]('error', error);
    this[emit]('close', { code, reason, opened, final: true, error });
    if (this.#state === 'closed') this[emit]('state', { state: 'closed' });
  }

  // forsake gives up replies: they are sent to a connection that is gone.
  #forsake() {
    for (const entry of this.#requests.values()) {
      entry.settle(new WarrenError('lost', 'the connection was lost before the answer came; the request was published', { sent: true }));
    }
    this.#flushEarly();
  }

  #become(state) {
    this.#state = state;
    this[emit]('state', { state });
  }

  #timer(name, ms, f) {
    this.#stop(name);
    this.#timers[name] = this.#clock.setTimeout(() => {
      delete this.#timers[name];
      f();
    }, ms);
  }

  #stop(name) {
    if (this.#timers[name] === undefined) return;
    this.#clock.clearTimeout(this.#timers[name]);
    delete this.#timers[name];
  }

  // The page's own events

  #hook() {
    const hooks = new AbortController();
    this.#unhook = () => hooks.abort();
    const on = (target, type, f) => target?.addEventListener?.(type, f, { signal: hooks.signal });
    on(globalThis, 'online', () => this.#nudge());
    on(globalThis.document, 'visibilitychange', () => isHidden() || this.#nudge());
    on(globalThis.document, 'resume', () => this.#nudge()); // was frozen
    // With an open socket the page could not be kept for the way back.
    on(globalThis, 'pagehide', () => {
      this.#release((socket) => socket.close(1000));
      this.#forsake();
      this.#become('waiting');
    });
    on(globalThis, 'pageshow', (event) => event.persisted && this.#state === 'waiting' && this.#attempt());
  }

  // nudge: things may have changed for the better, or a connection have died unseen.
  #nudge() {
    if (this.#state === 'open') {
      this.#ping();
      return;
    }
    if (this.#state !== 'waiting' || this.#timers.retry === undefined) return;
    const left = this.#next.at - this.#clock.now();
    if (this.#next.asked && left > 0) this.#timer('retry', left, () => this.#attempt());
    else this.#attempt();
  }

  #schedulePing() {
    this.#timer('ping', LIMITS.ping * (isHidden() ? LIMITS.hidden : 1), () => this.#ping());
  }

  #ping() {
    this.#schedulePing();
    this.#send({ type: 'ping' });
    if (this.#timers.pong !== undefined) return;
    this.#timer('pong', LIMITS.pong, () => this.#lost(1006, '', new WarrenError('lost', `no sign of life from the node for ${LIMITS.pong / 1000} s`)));
  }

  // Frames

  #send(frame) {
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(frame));
  }

  #received(data) {
    this.#stop('pong'); // whatever comes, the node is there
    try {
      if (typeof data !== 'string') throw new Error('a binary frame');
      const frame = JSON.parse(data);
      if (frame === null || typeof frame !== 'object' || Array.isArray(frame)) throw new Error('no JSON object');
      this.#handle(frame);
    } catch (err) {
      // What it was can't be known: to resume is the way to miss nothing.
      this.#lost(1006, '', new WarrenError('bad_frame', `the node sent what is not ${PROTOCOL}: ${err.message}`, { cause: err }));
    }
  }

  #handle(frame) {
    switch (frame.type) {
      case 'welcome':
        return this.#welcomed(frame);
      case 'subscribed':
        return this.#subscribed(frame);
      case 'message':
        return this.#message(frame);
      case 'gap':
        return this.#gap(frame);
      case 'ack':
        return this.#acked(frame);
      case 'error':
        return this.#refused(frame);
      case 'direct':
        return this.#direct(frame);
      case 'pong':
        return this.#ponged(frame);
    } // others are of a later version, or answers nobody waits for
  }

  #welcomed({ connection, node, user }) {
    if (this.#state === 'open') return;
    this.#stop('deadline');
    this.#openedAt = this.#clock.now();
    this.#welcome = { connection, node, user };
    this.#schedulePing();
    const turn = this.#turn;
    this.#become('open');
    if (turn === this.#turn) this[emit]('open', this.#welcome);
    this.#flush();
  }

  // ask subscribes on the socket there is.
  #ask(place) {
    const ref = ++this.#lastRef;
    this.#answers.set(ref, place);
    const frame = { type: 'subscribe', channel: place.channel, ref };
    if (place.id !== undefined) frame.since = place.id;
    else if (place.since !== undefined) frame.since = place.since;
    // Whoever resumes wants all, however much it is.
    if (place.id === undefined && place.history !== undefined) frame.history = place.history;
    this.#send(frame);
  }

  #subscribed({ ref, id, gap }) {
    const place = this.#answers.get(ref);
    this.#answers.delete(ref);
    if (!place || place.ended) return;
    const from = place.id ?? place.since;
    place.live = true;
    if (typeof id === 'string') place.id = id; // the node may know no place there
    place.ready.resolve(place.subscription);
    const turn = this.#turn;
    const event = { channel: place.channel, id, gap: gap === true, resumed: from !== undefined };
    place.subscription[emit]('subscribed', event);
    this[emit]('subscribed', event);
    if (gap === true && turn === this.#turn) this.#deliver(place, gapOf(place, from, id, 'resume'));
  }

  #message(frame) {
    const place = this.#places.get(frame.root === true ? '' : frame.channel);
    if (!place?.live) return; // of a subscription that has been given up
    if (typeof frame.id !== 'string') throw new Error('a message without an id');
    const { channel, id, mid, at } = frame;
    const message = { type: 'message', channel, root: frame.root === true, id, mid, at, ...payloadOf(frame) };
    if (place.isNew(id)) this.#deliver(place, message);
  }

  #gap(frame) {
    const place = this.#places.get(frame.root === true ? '' : frame.channel);
    if (place?.live) this.#deliver(place, gapOf(place, frame.from ?? place.id, frame.to, 'node'));
  }

  #deliver(place, item) {
    // Each is looked for again: a listener may have ended it.
    place.subscription[emit](item.type, item);
    this[emit](item.type, item);
    for (const feed of [...place.feeds, ...this.#feeds]) feed.push(place, item);
  }

  #ponged({ id }) {
    if (typeof id !== 'string') return;
    for (const place of this.#places.values()) if (place.live) place.id = id;
  }

  #refused({ ref, code, message }) {
    const waiting = this.#answers.get(ref);
    this.#answers.delete(ref);
    if (waiting) {
      if (waiting.ended) return;
      this.#drop(waiting, new WarrenError(code, `${name(waiting.channel)}: ${message}`, { channel: waiting.channel }));
      return;
    }
    const entry = this.#outbox.get(ref);
    if (entry) entry.settle(new WarrenError(code, message));
    else if (ref === undefined) this[emit]('error', new WarrenError(code, message));
  }

  #leave(place) {
    if (place.ended) return;
    const asked = place.live || [...this.#answers.values()].includes(place);
    this.#drop(place);
    if (asked) this.#send({ type: 'unsubscribe', channel: place.channel, ref: ++this.#lastRef });
  }

  #drop(place, error) {
    this.#places.delete(place.channel);
    place.end(error);
    if (!error) return;
    place.subscription[emit]('error', error);
    this[emit]('error', error);
  }

  // Publishing

  #post(channel, value, { id, timeout, signal }, isRequest) {
    signal?.throwIfAborted();
    if (typeof channel !== 'string') throw new TypeError('the channel is no string');
    if (this.#state === 'closed') throw new WarrenError('closed', 'the connection is closed: reconnect() opens it again');
    const ref = ++this.#lastRef;
    id ??= this.#ids + (++this.#lastId).toString(36);
    const frame = `{"type":"publish","channel":${JSON.stringify(channel)},"id":${JSON.stringify(id)},"ref":${ref},${encode(value)}}`;
    const entry = { ref, id, frame, bytes: bytesOf(frame), sent: false, isRequest, mid: undefined };
    this.#outbox.add(entry);
    const { promise, resolve, reject } = deferred();
    const abort = () => entry.settle(signal.reason);
    const timer = timeout === undefined ? undefined : this.#clock.setTimeout(() => entry.settle(late(entry, timeout)), timeout);
    entry.settle = (error, result) => {
      if (timer !== undefined) this.#clock.clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      this.#outbox.delete(entry);
      this.#requests.delete(entry.mid);
      if (error === undefined) resolve(result);
      else reject(error);
      if (isRequest && !this.#outbox.hasRequest()) this.#flushEarly();
    };
    signal?.addEventListener('abort', abort);
    this.#flush();
    return promise;
  }

  // flush sends what waits, as far as the socket takes it: pings must not
  // queue behind megabytes.
  #flush() {
    if (this.#state !== 'open' || this.#socket.readyState !== 1) return;
    for (const entry of this.#outbox.unsent()) {
      if (this.#socket.bufferedAmount > LIMITS.buffered) {
        if (this.#timers.drain === undefined) this.#timer('drain', LIMITS.drain, () => this.#flush());
        return;
      }
      this.#outbox.sending(entry);
      this.#socket.send(entry.frame);
    }
  }

  #acked({ ref, mid }) {
    const entry = this.#outbox.get(ref);
    if (!entry) return; // it was given up meanwhile
    if (!entry.isRequest) {
      entry.settle(undefined, { mid, id: entry.id });
      return;
    }
    this.#outbox.delete(entry);
    entry.mid = mid;
    this.#requests.set(mid, entry);
    const i = this.#early.findIndex((reply) => reply.id === mid);
    if (i >= 0) entry.settle(undefined, this.#early.splice(i, 1)[0]);
    else if (!this.#outbox.hasRequest()) this.#flushEarly();
  }

  #direct(frame) {
    const direct = { type: 'direct', id: frame.id, ...payloadOf(frame) };
    const entry = direct.id === undefined ? undefined : this.#requests.get(direct.id);
    if (entry) {
      entry.settle(undefined, direct);
      return;
    }
    this.#early.push(direct);
    if (this.#early.length > LIMITS.early) this[emit]('direct', this.#early.shift());
    if (!this.#outbox.hasRequest()) this.#flushEarly();
  }

  // flushEarly gives out what turned out to answer no request.
  #flushEarly() {
    for (const direct of this.#early.splice(0)) this[emit]('direct', direct);
  }
}

// Place is where a subscription stands.
class Place {
  live = false; // the node has taken it on this socket
  id = undefined; // to resume behind
  ended = undefined; // { error } once it is over
  feeds = new Set();
  ready = deferred();
  #seen = new Set(); // the newest ids, oldest first

  constructor(channel, since, history) {
    Object.assign(this, { channel, since, history });
    this.ready.promise.catch(() => {}); // it is told by an event, too
    this.subscription = new Subscription(this);
  }

  // isNew notes id. Ids are not compared: only nodes know their order.
  isNew(id) {
    if (this.#seen.has(id)) return false;
    this.#seen.add(id);
    if (this.#seen.size > LIMITS.seen) this.#seen.delete(this.#seen.values().next().value);
    this.id = id;
    return true;
  }

  end(error) {
    this.live = false;
    this.ended = { error };
    this.ready.reject(error ?? new WarrenError('closed', `unsubscribed from ${name(this.channel)}`, { channel: this.channel }));
    for (const feed of [...this.feeds]) feed.end(error);
  }
}

// Outbox holds publishes until their ack, bounded in messages and bytes.
class Outbox {
  bytes = 0;
  #limits;
  #entries = new Map(); // by ref, in order
  #unsent = new Set(); // in order

  constructor({ messages = LIMITS.outboxMessages, bytes = LIMITS.outboxBytes } = {}) {
    this.#limits = { messages, bytes };
  }

  get size() {
    return this.#entries.size;
  }

  get(ref) {
    return this.#entries.get(ref);
  }

  all() {
    return [...this.#entries.values()];
  }

  unsent() {
    return this.#unsent;
  }

  add(entry) {
    const { messages, bytes } = this.#limits;
    if (this.size >= messages || this.bytes + entry.bytes > bytes) {
      throw new WarrenError('full', `${this.size} messages (${this.bytes} bytes) wait for their ack, and ${entry.bytes} bytes more are over the limit of ${messages} messages or ${bytes} bytes`);
    }
    this.#entries.set(entry.ref, entry);
    this.#unsent.add(entry);
    this.bytes += entry.bytes;
  }

  sending(entry) {
    this.#unsent.delete(entry);
    entry.sent = true;
  }

  delete(entry) {
    if (this.#entries.delete(entry.ref)) this.bytes -= entry.bytes;
    this.#unsent.delete(entry);
  }

  // rewind: all is to be sent on the next socket.
  rewind() {
    this.#unsent = new Set(this.#entries.values());
  }

  largestSent() {
    const sent = this.all().filter((entry) => !this.#unsent.has(entry));
    return sent.reduce((a, b) => (a && a.bytes >= b.bytes ? a : b), undefined);
  }

  hasRequest() {
    return this.all().some((entry) => entry.isRequest);
  }
}

// Feed is the queue of one iterator. Beyond its limit the oldest items go, and
// a gap a subscription stands in their place.
class Feed {
  #items = []; // { place, item }, from #head on
  #head = 0;
  #lost = new Map(); // gaps by place, before the items
  #last = new WeakMap(); // by place, the id of what was last taken out
  #readers = [];
  #ended; // { error }
  #limit;
  #stop;

  constructor(limit, stop) {
    this.#limit = limit;
    this.#stop = stop;
  }

  push(place, item) {
    if (this.#ended) return;
    this.#items.push({ place, item });
    if (this.#items.length - this.#head > this.#limit) this.#overflow();
    this.#serve();
  }

  end(error) {
    if (this.#ended) return;
    this.#ended = { error };
    this.#stop();
    this.#serve();
  }

  // abort ends without what is left.
  abort(error) {
    this.#clear();
    this.end(error);
  }

  next() {
    const reader = deferred();
    this.#readers.push(reader);
    this.#serve();
    return reader.promise;
  }

  return(value) {
    this.abort();
    return Promise.resolve({ done: true, value });
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  #serve() {
    while (this.#readers.length) {
      const item = this.#take();
      if (item) {
        this.#readers.shift().resolve({ done: false, value: item });
      } else if (this.#ended) {
        const { error } = this.#ended;
        this.#ended = {}; // thrown once
        if (error !== undefined) this.#readers.shift().reject(error);
        else this.#readers.shift().resolve({ done: true, value: undefined });
      } else {
        return;
      }
    }
  }

  #take() {
    for (const [place, gap] of this.#lost) {
      this.#lost.delete(place);
      this.#last.set(place, gap.to);
      return gap;
    }
    if (this.#head === this.#items.length) return undefined;
    const { place, item } = this.#shift();
    this.#last.set(place, item.id ?? item.to);
    return item;
  }

  #shift() {
    const first = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return first;
  }

  #overflow() {
    const { place, item } = this.#shift();
    let gap = this.#lost.get(place);
    if (!gap) {
      gap = { ...gapOf(place, this.#last.get(place) ?? item.from, undefined, 'slow'), dropped: 0 };
      this.#lost.set(place, gap);
    }
    gap.to = item.id ?? item.to;
    if (item.type === 'message') gap.dropped++;
  }

  #clear() {
    this.#items = [];
    this.#head = 0;
    this.#lost.clear();
  }
}

function openFeed(feeds, { signal, limit = LIMITS.queue } = {}, ended) {
  if (!(limit >= 1)) throw new RangeError(`an iterator's limit is at least 1, not ${limit}`);
  const abort = () => feed.abort(signal.reason);
  const feed = new Feed(limit, () => {
    feeds.delete(feed);
    signal?.removeEventListener('abort', abort);
  });
  feeds.add(feed);
  if (ended) feed.end(ended.error);
  else if (signal?.aborted) abort();
  else signal?.addEventListener('abort', abort);
  return feed;
}

function gapOf(place, from, to, reason) {
  return { type: 'gap', channel: place.channel, root: place.channel === '', from, to, reason };
}

// Full jitter: clients that were cut together don't return together.
function backoff(code, failures, random) {
  const ceiling = Math.min(LIMITS.backoffMax, LIMITS.backoffMin * 2 ** Math.min(failures, 30));
  if (code === 1012) return random() * Math.max(ceiling, LIMITS.spread);
  if (code === 1013) return LIMITS.busy + random() * Math.max(ceiling, LIMITS.spread);
  return random() * ceiling;
}

function late(entry, timeout) {
  if (entry.mid !== undefined) return new WarrenError('timeout', `no answer within ${timeout} ms; the request was published`, { sent: true });
  if (entry.sent) return new WarrenError('timeout', `no ack within ${timeout} ms; the message may have been published all the same`, { sent: true });
  return new WarrenError('timeout', `not sent within ${timeout} ms`);
}

const wallClock = {
  now: () => Date.now(),
  setTimeout: (f, ms) => setTimeout(f, ms),
  clearTimeout: (timer) => clearTimeout(timer),
};

function isHidden() {
  return globalThis.document?.visibilityState === 'hidden';
}

// Browsers err about it, and a host of one's own is there without a network:
// so attempts go on, but seldom.
function isOffline() {
  return globalThis.navigator?.onLine === false;
}

function rootUrl(url) {
  let parsed;
  try {
    parsed = new URL(url, globalThis.location?.href);
  } catch (err) {
    throw new TypeError(`${url} is no address of a gateway, such as wss://host/ws`, { cause: err });
  }
  if (parsed.protocol === 'http:') parsed.protocol = 'ws:';
  if (parsed.protocol === 'https:') parsed.protocol = 'wss:';
  if (parsed.protocol !== 'ws:' && parsed.protocol !== 'wss:') throw new TypeError(`${url} is no address of ws, wss, http or https`);
  parsed.hash = ''; // WebSockets refuse one
  return parsed;
}

// Payloads

function encode(value) {
  if (typeof value === 'string') return `"text":${JSON.stringify(value)}`;
  if (value instanceof ArrayBuffer) return `"base64":"${toBase64(new Uint8Array(value))}"`;
  if (ArrayBuffer.isView(value)) return `"base64":"${toBase64(new Uint8Array(value.buffer, value.byteOffset, value.byteLength))}"`;
  const json = JSON.stringify(value);
  if (json === undefined) throw new TypeError(`a ${typeof value} can't be published: it has no JSON`);
  // Such a frame's answer would not say which message it is about.
  if (depthOf(json) >= LIMITS.depth) throw new TypeError(`a value nested ${LIMITS.depth} deep can't be published`);
  return `"data":${json}`;
}

function payloadOf(frame) {
  if ('data' in frame) return { kind: 'json', data: frame.data };
  if (typeof frame.text === 'string') return { kind: 'text', data: frame.text };
  if (typeof frame.base64 === 'string') return { kind: 'binary', data: fromBase64(frame.base64) };
  throw new Error(`a ${frame.type} without a payload`);
}

// depthOf is how deep a JSON text is nested.
function depthOf(json) {
  let depth = 0;
  let deepest = 0;
  let quoted = false;
  for (let i = 0; i < json.length; i++) {
    const c = json[i];
    if (quoted) {
      if (c === '\\') i++;
      else if (c === '"') quoted = false;
    } else if (c === '"') {
      quoted = true;
    } else if (c === '[' || c === '{') {
      deepest = Math.max(deepest, ++depth);
    } else if (c === ']' || c === '}') {
      depth--;
    }
  }
  return deepest;
}

function toBase64(bytes) {
  let text = '';
  // In pieces: the stack bounds the number of arguments.
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(text);
}

function fromBase64(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

// randomText is n random bytes in letters that a URL takes as they are.
function randomText(n) {
  const bytes = crypto.getRandomValues(new Uint8Array(n));
  return toBase64(bytes).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

function bytesOf(text) {
  return new TextEncoder().encode(text).length;
}

function name(channel) {
  return channel === '' ? 'root' : `channel ${channel}`;
}

function deferred() {
  const d = {};
  d.promise = new Promise((resolve, reject) => Object.assign(d, { resolve, reject }));
  return d;
}
