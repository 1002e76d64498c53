// Clients of the JavaScript client, which lies beside this file as warren.mjs.
// They are told what to do on the standard input: a line is [verb, arguments…],
// answered by a line {"value"} or {"error"}, one at a time.
import { createRequire } from 'node:module';
import { webcrypto } from 'node:crypto';
import { createInterface } from 'node:readline';
import { connect } from './warren.mjs';

globalThis.crypto ??= webcrypto; // not there by itself before Node.js 19
const WebSocket = createRequire(import.meta.url)('ws');

// Client uses nothing but the API: who cuts its socket does it behind its back.
class Client {
  heard = new Map(); // by subscription: lines of channel, id and text
  gaps = [];
  errors = []; // that were told unasked
  nodes = new Set(); // that it was connected to
  closes = []; // codes, of connections that had been opened
  acks = [];
  failed = []; // publishes that were not acknowledged
  said = 0;
  again = 0; // publishes that were sent another time
  repeated = 0; // messages that a node sent though they had come: the module would hide it
  socket = undefined;
  #known = new Set(); // frames of publishes that were sent
  #came = new Set(); // subscription and id of messages

  constructor({ id, url, channels, channel }) {
    const client = this;
    class Socket extends WebSocket {
      constructor(...args) {
        super(...args);
        client.socket = this;
        this.on('message', (frame) => this.onmessage && client.#judge(JSON.parse(frame))); // null: the module has let go of it
      }
      send(frame) {
        super.send(frame);
        if (JSON.parse(frame).type !== 'publish') return;
        if (client.#known.has(frame)) client.again++;
        client.#known.add(frame);
      }
    }
    this.id = id;
    this.channel = channel; // to publish to
    for (const name of channels) this.heard.set(name, []);
    // A quarter of the usual backoffs, or tests wait for the unluckiest in the end.
    this.connection = connect(url, { channels, WebSocket: Socket, random: () => Math.random() / 4 });
    this.connection.on('message', (m) => this.heard.get(m.root ? '' : m.channel).push(`${m.channel} ${m.id} ${m.data}`));
    this.connection.on('gap', (gap) => this.gaps.push(`${gap.channel || 'root'}: ${gap.reason}, ${gap.from} to ${gap.to}`));
    this.connection.on('error', (err) => this.errors.push(err.code));
    this.connection.on('open', ({ node }) => this.nodes.add(node));
    this.connection.on('close', ({ code, opened }) => opened && this.closes.push(code));
  }

  #judge({ type, channel, root, id }) {
    if (type !== 'message') return;
    const name = `${root ? '' : channel} ${id}`;
    if (this.#came.has(name)) this.repeated++;
    this.#came.add(name);
  }

  say() {
    this.connection.publish(this.channel, `${this.id}/${this.said++}`).then(
      ({ mid }) => this.acks.push(mid),
      (err) => this.failed.push(`${err.code}: ${err.message}`),
    );
  }

  // settled: what was said is acknowledged, or was refused.
  settled() {
    return this.acks.length + this.failed.length === this.said;
  }

  // last says whether a text is what came last in every subscription.
  last(text) {
    return [...this.heard.values()].every((lines) => lines.at(-1)?.endsWith(` ${text}`));
  }

  toString() {
    const heard = [...this.heard].map(([name, lines]) => `${name || 'root'}: ${lines.length} messages, last ${lines.at(-1)}`);
    return `${this.id}, ${this.connection.state}, ${this.acks.length} of ${this.said} acknowledged; ${heard.join('; ')}`;
  }

  report() {
    const { id, gaps, errors, closes, acks, failed, said, again, repeated } = this;
    return { id, heard: Object.fromEntries(this.heard), gaps, errors, nodes: [...this.nodes], closes, acks, failed, said, again, repeated };
  }
}

const crowd = new Map(); // by id
let talk;
const everyone = () => [...crowd.values()];

const verbs = {
  async join(clients) {
    for (const c of clients) crowd.set(c.id, new Client(c));
    const all = clients.flatMap(({ id }) => crowd.get(id).connection.subscriptions);
    await Promise.all(all.map((subscription) => subscription.ready));
  },
  // Each says something once in so many ms, one after the other.
  talk(every) {
    const all = everyone();
    let next = 0;
    talk = setInterval(() => all[next++ % all.length].say(), every / all.length);
  },
  // Each says something and is cut off before it can be acknowledged.
  cut(ids) {
    for (const id of ids) {
      const client = crowd.get(id);
      client.say();
      client.socket?.terminate();
    }
  },
  hush: () => clearInterval(talk),
  unsettled: () => everyone().filter((c) => !c.settled()).map(String),
  waiting: (text) => everyone().filter((c) => !c.last(text)).map(String),
  counts: () => everyone().flatMap((c) => [...c.heard.values()].map((lines) => lines.length)),
  report: () => everyone().map((c) => c.report()),
  async request(id, channel, text) {
    const { id: mid, kind, data } = await crowd.get(id).connection.request(channel, text, { timeout: 60_000 });
    return { mid, kind, data };
  },
};

async function run([verb, ...args]) {
  try {
    return { value: (await verbs[verb](...args)) ?? null };
  } catch (err) {
    return { error: String(err?.stack ?? err) };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const answer = await run(JSON.parse(line));
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit(0);
