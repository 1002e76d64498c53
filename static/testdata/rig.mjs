// What the tests of the client stand on, in a browser and in Node: a clock that
// moves when told, and a log of all events, as short lines.

const rounded = (ms) => Math.round(ms * 1000) / 1000;

class Clock {
  #now = 1e9;
  #last = 0;
  #timers = new Map();
  now = () => this.#now;
  setTimeout = (f, ms) => {
    this.#timers.set(++this.#last, { f, at: this.#now + ms });
    return this.#last;
  };
  clearTimeout = (id) => void this.#timers.delete(id);
  // waits lists, in ms from now, when timers are due.
  waits = () => [...this.#timers.values()].map((t) => rounded(t.at - this.#now)).sort((a, b) => a - b);
  // advance runs what comes due, in its order.
  advance = (ms) => {
    const end = this.#now + ms;
    for (;;) {
      const due = [...this.#timers].filter(([, t]) => t.at <= end).sort(([, a], [, b]) => a.at - b.at)[0];
      if (!due) break;
      this.#timers.delete(due[0]);
      this.#now = Math.max(this.#now, due[1].at);
      due[1].f();
    }
    this.#now = end;
  };
}

const shown = (data) => (data instanceof Uint8Array ? `<${[...data]}>` : JSON.stringify(data));

const lines = {
  state: (e) => e.state,
  open: (e) => `${e.node} ${e.connection} ${e.user}`,
  close: (e) => `${e.code} ${e.reason || '-'} ${e.opened ? 'opened' : 'unopened'} ${e.final ? 'final' : rounded(e.wait)}`,
  message: (e) => `${e.channel || '-'}${e.root ? '*' : ''} ${e.id} ${e.kind} ${shown(e.data)}`,
  gap: (e) => `${e.channel || '-'} ${e.from}..${e.to} ${e.reason}${e.dropped === undefined ? '' : ` ${e.dropped}`}`,
  subscribed: (e) => `${e.channel || '-'} ${e.id}${e.gap ? ' gap' : ''}${e.resumed ? ' resumed' : ''}`,
  direct: (e) => `${e.id} ${e.kind} ${shown(e.data)}`,
  error: (e) => `${e.code}${e.channel === undefined ? '' : ` in ${e.channel}`}`,
};

export function install(warren, WebSocket) {
  const g = globalThis;
  Object.assign(g, { warren, lines, log: [], clock: new Clock(), chance: 0.5, Sockets: WebSocket });
  // open makes c, a connection whose events go to log.
  g.open = (url, options = {}) => {
    g.c = warren.connect(url, { WebSocket, clock: g.clock, random: () => g.chance, ...options });
    for (const type of Object.keys(lines)) g.c.on(type, (e) => g.log.push(`${type} ${lines[type](e)}`));
    return g.c;
  };
  // follow logs how a promise settles.
  g.follow = (name, promise) =>
    void promise.then(
      (v) => g.log.push(`${name} ok ${JSON.stringify(v)}`),
      (err) => g.log.push(`${name} failed ${err.code ?? err.name}${err.sent ? ' sent' : ''}`),
    );
  // read logs what an iterator gives.
  g.read = async (name, feed) => {
    try {
      for await (const item of feed) g.log.push(`${name} ${item.type} ${lines[item.type](item)}`);
      g.log.push(`${name} done`);
    } catch (err) {
      g.log.push(`${name} failed ${err.code ?? err.name}`);
    }
  };
}
