/** Any value that JSON has. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** What a message holds, and of which kind it is. */
export type Payload =
  | { kind: 'json'; data: Json }
  | { kind: 'text'; data: string }
  | { kind: 'binary'; data: Uint8Array };

export type Message = Payload & {
  type: 'message';
  /** The message's own channel. */
  channel: string;
  /** It came by the subscription to root. */
  root: boolean;
  /** Where to resume, behind this message. */
  id: string;
  /** The AMQP `message_id`. */
  mid?: string;
  /** When it was published, in ms since 1970. */
  at: number;
};

/** Messages that can't be given, here in their place. */
export interface Gap {
  type: 'gap';
  /** The subscription's channel; "" is root. */
  channel: string;
  root: boolean;
  /** The id behind which messages are missing, if it is known. */
  from?: string;
  /** The id up to which they are missing; undefined: up to what comes next. */
  to?: string;
  /** `node`: the node has lost or skipped them; `resume`: it could not give all that was missed; `slow`: the iterator was read too slowly. */
  reason: 'node' | 'resume' | 'slow';
  /** With `slow`: how many messages. */
  dropped?: number;
}

/** A message of an AMQP program to this connection alone. */
export type Direct = Payload & {
  type: 'direct';
  /** The `mid` of the message it answers, if the program says so. */
  id?: string;
};

/** What a node says of itself and of the connection. */
export interface Welcome {
  connection: string;
  node: string;
  user?: string;
}

export interface Subscribed {
  channel: string;
  /** Where the subscription begins, if the node knows a place there. */
  id?: string;
  /** A `Gap` follows. */
  gap: boolean;
  /** It went on behind an id that was known. */
  resumed: boolean;
}

/** A connection, or an attempt at one, has ended. */
export interface Closed {
  /** 1006: without a close frame. */
  code: number;
  reason: string;
  /** Whether the node had welcomed it. */
  opened: boolean;
  /** It stays away, until `reconnect()`. */
  final: boolean;
  /** Otherwise, ms until the next attempt: 250 at most if the node drains and sends its clients on. */
  wait?: number;
  error?: WarrenError;
}

export type State = 'connecting' | 'open' | 'waiting' | 'closed';

export interface Ack {
  /** The message's AMQP `message_id`, with which it also comes back. */
  mid: string;
  /** The id it was published with. */
  id: string;
}

export class WarrenError extends Error {
  private constructor();
  /** Stable: a code of the node, or `closed`, `full`, `timeout`, `lost`, `too_large`, `already_subscribed`, `bad_frame`, `bad_protocol`, `connect`, `token`. */
  readonly code: string;
  /** Whether the message may have been published all the same. */
  readonly sent: boolean;
  /** The subscription it is about, if it is about one; "" is root. */
  readonly channel?: string;
}

export interface SubscribeOptions {
  /** Begin behind the message with this id. */
  since?: string;
  /** Begin at most so many messages back. */
  history?: number;
}

export interface PublishOptions {
  /** 1 to 128 bytes; a message with an id that was used before is not delivered again. By itself, a new one. */
  id?: string;
  /** ms. */
  timeout?: number;
  signal?: AbortSignal;
}

export interface IterateOptions {
  signal?: AbortSignal;
  /** Items that wait for the reader, 10,000 by itself; beyond, the oldest go and a gap stands in their place. */
  limit?: number;
}

export interface Options {
  /** What to listen to from the start; "" is root, which hears every channel. */
  channels?: Iterable<string | ({ channel: string } & SubscribeOptions)>;
  /** For subscriptions that don't say where they begin: at most so many messages back. */
  history?: number;
  /** Sent as `token` in the query; a function is asked anew at each attempt. */
  token?: string | (() => string | undefined | Promise<string | undefined>);
  /** The constructor to use where there is no global one, such as that of the package `ws`. */
  WebSocket?: new (url: string, protocols: string[]) => unknown;
  /** What may wait for its ack: 1,000 messages and 4 MiB by itself. Beyond, `publish` rejects with `full`. */
  outbox?: { messages?: number; bytes?: number };
}

export interface SubscriptionEvents {
  message: Message;
  gap: Gap;
  subscribed: Subscribed;
  /** The node has refused or ended it. */
  error: WarrenError;
}

export interface ConnectionEvents {
  open: Welcome;
  close: Closed;
  state: { state: State };
  /** Of every subscription. */
  message: Message;
  gap: Gap;
  subscribed: Subscribed;
  /** Except what answers a `request`. */
  direct: Direct;
  error: WarrenError;
}

/** Messages and, in their places, gaps. Throws if the node ends what it reads from. */
export type Feed = AsyncIterableIterator<Message | Gap>;

export class Subscription implements AsyncIterable<Message | Gap> {
  private constructor();
  /** "" is root, which hears every channel. */
  readonly channel: string;
  /** Where to resume: keep it, and give it as `since` another day. Undefined before the first `subscribed`. */
  readonly id: string | undefined;
  /** Settles when the node has taken the subscription, or refused it. */
  readonly ready: Promise<Subscription>;
  /** Returns what ends it. */
  on<T extends keyof SubscriptionEvents>(type: T, listener: (event: SubscriptionEvents[T]) => void): () => void;
  /** What comes from this call on. */
  messages(options?: IterateOptions): Feed;
  /** Its iterators give what they have, then end. */
  unsubscribe(): void;
  [Symbol.asyncIterator](): Feed;
}

export class Connection implements AsyncIterable<Message | Gap> {
  private constructor();
  /** `waiting`: for the next attempt; `closed`: until `reconnect()`. */
  readonly state: State;
  /** While it is open. */
  readonly welcome: Welcome | undefined;
  /** Messages without an ack, and their bytes. */
  readonly pending: { messages: number; bytes: number };
  readonly subscriptions: Subscription[];
  /** Returns what ends it. */
  on<T extends keyof ConnectionEvents>(type: T, listener: (event: ConnectionEvents[T]) => void): () => void;
  subscription(channel: string): Subscription | undefined;
  /** Listens to a channel, also after reconnects: from where it was left. Throws `already_subscribed`. */
  subscribe(channel: string, options?: SubscribeOptions): Subscription;
  /**
   * Publishes a string as text, bytes as binary, any other value as JSON;
   * text that is JSON arrives as JSON. Settles when RabbitMQ has confirmed it. Without a
   * connection it waits; it is sent again, without a second copy, if the ack was lost.
   */
  publish(channel: string, value: unknown, options?: PublishOptions): Promise<Ack>;
  /** Publishes, and waits for an AMQP program's answer; `timeout` is 10,000 by itself. */
  request(channel: string, value: unknown, options?: PublishOptions): Promise<Direct>;
  /** What comes from this call on, of all subscriptions. */
  messages(options?: IterateOptions): Feed;
  /** Tries now rather than later, also after `closed`, with all subscriptions. */
  reconnect(): void;
  /** Ends it; what has no ack is rejected. `code` is 1000 or 3000 to 4999, `reason` at most 123 bytes. */
  close(code?: number, reason?: string): void;
  [Symbol.asyncIterator](): Feed;
}

/**
 * Connects and stays connected, until `close()` or until a node says that
 * coming back is no use.
 *
 * @param url where root's WebSocket is, `wss://host/ws`; http(s) stands for ws(s), and in a browser it may be relative
 */
export function connect(url: string | URL, options?: Options): Connection;
