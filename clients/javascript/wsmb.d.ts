/** The WebSocket of a browser, of Node 22 and above, or of the package `ws`. */
export type WebSocketConstructor = new (url: string, protocols: string[]) => object

/** What a client tells its `onstate`. */
export type StateChange =
  | { state: "connecting" | "open" | "closed" }
  | {
      /** Not connected: there is another attempt after a while, for as long as it takes. */
      state: "waiting"
      /**
       * Why, as far as is known. In a browser a refused login, a refused origin and a broker that is not
       * there all look alike, in Node without `ws` as well; `ws` says "Unexpected server response: 401".
       */
      reason: string
      /** Seconds until the next attempt. */
      delay: number
      /** How many attempts have failed since the client was last connected. */
      attempts: number
    }

export interface ClientOptions {
  /** Without one, only the client's certificate or a proxy can log in. No colon. */
  user?: string
  password?: string
  /** Where none is built in: the package `ws`. */
  WebSocket?: WebSocketConstructor
  /** How many messages may be on their way at a time, 1 to 10,000; 1,000 if it is missing. */
  maxPending?: number
  /** Is told of each change of state; can be replaced later. */
  onstate?: (change: StateChange) => void
  /** For tests. Seconds; `later` returns what cancels the call. */
  clock?: { now(): number; later(call: () => void, delay: number): () => void }
}

export interface SendOptions {
  /** Seconds after which it is not to be delivered any more. */
  ttl?: number
  /**
   * 1 to 64 characters: what was sent under it within the last 10 minutes is not sent again. If it is
   * missing, the client makes one, so that what it sends again after a lost connection comes once.
   */
  messageId?: string
  /** How many receivers are to get it; 0 is all of them. If it is missing, the broker's setting. */
  numberOfReceiver?: number
  /** Ends the waiting. What is on its way already may arrive all the same. */
  signal?: AbortSignal
}

/** What has become of a message: `receivers` or `stored` is 0, or both. */
export interface Receipt {
  /** How many receivers it was handed to. */
  receivers: number
  /** How many of its items are committed to the broker's database. */
  stored: number
  /** Sent before under this id, and not sent again. */
  duplicate: boolean
  messageId: string
}

export interface ReceiveOptions {
  /** Whether a delivery counts only when it is acknowledged; true if it is missing. */
  ack?: boolean
  /** How many deliveries may be open at a time, 1 to 10,000; 64 if it is missing. */
  prefetch?: number
}

export interface RejectOptions {
  /** False: it is not to be tried again, but goes to the dead letters. */
  requeue?: boolean
  /** Seconds before it is tried again, up to 86,400. */
  delay?: number
}

export interface Delivery<Item = unknown> {
  readonly channel: string
  /** The items. JSON.parse has read them: integers beyond 2^53 are not exact. */
  readonly data: Item[]
  /** It was tried before, perhaps with another receiver. */
  readonly redelivered: boolean
  /**
   * It has been dealt with. Whether that counts: false if the connection was lost meanwhile, or it is too
   * late, so that it comes again. Never rejected, so nobody has to wait for it.
   */
  ack(): Promise<boolean>
  /** It has not been dealt with: somebody else is to try. Whether that counts, as with `ack`. */
  reject(options?: RejectOptions): Promise<boolean>
}

/** Ends at `break`, `return()` or `client.close()`; fails with a WsmbError if the broker refuses. */
export interface Deliveries<Item = unknown> extends AsyncIterableIterator<Delivery<Item>> {
  return(value?: unknown): Promise<IteratorResult<Delivery<Item>>>
}

/** What the broker refuses, and what the client gives up. */
export class WsmbError extends Error {
  constructor(code: string, text: string)
  /**
   * Of the broker: "02" malformed, "03" forbidden, "04" too large (docs/protocol.md). Of the client:
   * "expired", "timeout", "closed".
   */
  readonly code: string
}

/** One broker. Connects when it is first used, and again whenever the connection is lost, until `close`. */
export class Client {
  /** `url`: ws://… or wss://…, without `topic=` or `channel=`, which are for clients that send no commands. */
  constructor(url: string, options?: ClientOptions)

  readonly state: "new" | StateChange["state"]
  onstate?: (change: StateChange) => void

  /** Resolved once the broker has let us in; rejected after `timeout` seconds, while the client goes on trying. */
  connect(options?: { timeout?: number }): Promise<void>

  /**
   * Resolved once the broker has confirmed it. `data`: the items, or one that is no array. What was not
   * confirmed when a connection was lost, or what the broker cannot take just then, is sent again.
   */
  send(channel: string | number, data: unknown, options?: SendOptions): Promise<Receipt>

  /** Resolved while fewer than `maxPending` messages are pending: to wait for it bounds memory. */
  readonly ready: Promise<void>

  /** One at a time for a channel. On each new connection the broker is asked for it again. */
  receive<Item = unknown>(channel: string | number, options?: ReceiveOptions): Deliveries<Item>

  /** Once there is a connection: whether the broker is well, and its database answers if it keeps messages. */
  ping(): Promise<boolean>

  /**
   * Waits, up to `timeout` seconds (5), for what is not confirmed yet; the rest is rejected as "closed".
   * All `receive` end.
   */
  close(options?: { timeout?: number }): Promise<void>
}
