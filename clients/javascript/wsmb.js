/**
 * A client of the message broker wsmb, for browsers and Node. What each name means to its user is in
 * wsmb.d.ts, what goes over the wire in docs/protocol.md.
 *
 * Line: one WebSocket, and what it has not answered. Outgoing and Receiving: what is said again on the
 * next line. Client: one line after the other.
 */

const CONNECT_TIMEOUT_S = 10
const TICK_S = 10
const PING_TICKS = 3
const SILENCE_TICKS = 6
const FIRST_DELAY_S = 0.2
const LONGEST_DELAY_S = 10
const MAX_BUFFERED_BYTES = 4_194_304
const MOST_PENDING = 10_000 // far below the 100,000 message ids that the broker remembers
const GRACE_S = 0.1 // times are exact to a tenth of a second; a ttl of 0 may take one to be sent
const TOO_BIG = 1009
const FAILED = "the connection failed"

const CLOCK = {
  now: () => Date.now() / 1000, // goes on while a laptop sleeps, as performance.now() may not
  later(call, delayS) {
    const timer = setTimeout(call, delayS * 1000)
    return () => clearTimeout(timer)
  },
}

export class WsmbError extends Error {
  name = "WsmbError"

  constructor(code, text) {
    super(text)
    this.code = code
  }
}

/** How long to wait before the next attempt. Without chance a thousand clients would come back as one. */
class Backoff {
  #longestS = FIRST_DELAY_S

  nextS() {
    const longestS = this.#longestS
    this.#longestS = Math.min(2 * longestS, LONGEST_DELAY_S)
    return (longestS * (1 + Math.random())) / 2
  }

  reset() {
    this.#longestS = FIRST_DELAY_S
  }
}

const isPassing = ({ code }) => code === "05" || code === "06"

/**
 * One WebSocket. Tells `to` that it has `opened`, has `heard` anything, has got a `delivered` frame, or
 * may no longer receive on a channel (`shut`); then, once and last, that it is `lost`.
 */
class Line {
  isOpen = false
  #socket
  #clock
  #to
  #cancelTimer
  #asked = new Map() // what is not answered: number -> what to call with the answer, or with null at the end
  #asks = 0
  #quietTicks = 0
  #bufferedBytes = 0
  #problem = ""

  constructor(socket, clock, to) {
    this.#socket = socket
    this.#clock = clock
    this.#to = to
    const giveUp = () => this.end(`no connection in ${CONNECT_TIMEOUT_S} s`)
    this.#cancelTimer = clock.later(giveUp, CONNECT_TIMEOUT_S)
    socket.onopen = () => this.#opened()
    socket.onmessage = ({ data }) => this.#received(data)
    socket.onerror = ({ message }) => this.#failed(message)
    socket.onclose = ({ code, reason }) => {
      this.end(this.#problem || (code === 1006 ? FAILED : `closed: ${code} ${reason}`.trim()), code)
    }
  }

  get isIdle() {
    return this.#asked.size === 0
  }

  get isCongested() {
    return (this.#socket.bufferedAmount ?? 0) > MAX_BUFFERED_BYTES
  }

  /** Send a command whose `confirm` is `number`. */
  say(number, text, answer) {
    this.#asked.set(number, answer)
    this.#socket.send(text)
  }

  /** The answer to a command; null if the line ends before. */
  ask(fields) {
    if (!this.isOpen) return Promise.resolve(null)
    const confirm = `ask ${++this.#asks}`
    return new Promise((resolve) => this.say(confirm, JSON.stringify({ ...fields, confirm }), resolve))
  }

  /** A dead one may take minutes to say that it is closed, so nobody waits for that. */
  end(reason, code) {
    const socket = this.#socket
    this.isOpen = false
    this.#cancelTimer()
    socket.onopen = socket.onmessage = socket.onclose = null
    socket.onerror = () => {} // the package `ws` throws where nobody listens, as when it is closed early
    socket.close(1000)
    this.#to.lost(reason, code)
    for (const answer of this.#asked.values()) answer(null)
    this.#asked.clear()
  }

  /** Node 20 and 22 tell of no end after this if they have not been let in. Browsers do not say why. */
  #failed(message = FAILED) {
    this.#problem = message
    if (!this.isOpen) this.end(message)
  }

  #opened() {
    this.isOpen = true
    this.#cancelTimer()
    this.#wait()
    this.#to.opened()
  }

  #wait() {
    this.#cancelTimer = this.#clock.later(() => this.#tick(), TICK_S)
  }

  // Ticks, not seconds: after a pause of this process what has come is still to be read.
  #tick() {
    const bufferedBytes = this.#socket.bufferedAmount ?? 0
    if (bufferedBytes < this.#bufferedBytes) this.#quietTicks = 0 // slow is not dead
    this.#bufferedBytes = bufferedBytes
    this.#quietTicks += 1
    if (this.#quietTicks >= SILENCE_TICKS) return this.end(`silent for ${SILENCE_TICKS * TICK_S} s`)
    this.#wait()
    if (this.#quietTicks % PING_TICKS === 0) this.ask({ command: "ping" }) // browsers have no other ping
  }

  #received(text) {
    let frame
    try {
      frame = JSON.parse(text)
    } catch {
      return this.end("what came is not of wsmb")
    }
    this.#quietTicks = 0
    this.#to.heard()
    if (frame.command === "send-message") this.#to.delivered(frame)
    else if (frame.command === "confirm") this.#answered(frame.confirm, frame)
    else if (frame.command === "error") this.#complained(frame)
  }

  #answered(number, { response_code: code, response_text: text, data: [more] }) {
    const answer = this.#asked.get(number)
    this.#asked.delete(number)
    answer?.({ code, text, ...more })
    this.#to.answered()
  }

  #complained(frame) {
    const { response_code: code, response_text: text, data: [{ channel }] } = frame
    if (code === "03") return this.#to.shut(channel, new WsmbError(code, text)) // by a new access list
    if (code !== "02") return
    // The broker could not read the command, nor the number in it. Answers come in the order of the commands.
    const [oldest] = this.#asked.keys()
    this.#answered(oldest, frame)
  }
}

/** Sends by their numbers, which are in the order of the calls. */
const inOrder = (...maps) => new Map(maps.flatMap((map) => [...map]).sort(([one], [other]) => one - other))

const sizeBytes = ({ text }) => new TextEncoder().encode(text).length

function deferred() {
  let resolve
  const promise = new Promise((settle) => (resolve = settle))
  return { promise, resolve }
}

/** What is sent: in order, again after a lost line, until the broker has confirmed it. */
class Outgoing {
  #clock
  #maxPending
  #line = null
  #waiting = new Map()
  #out = new Map() // on the line, and not answered
  #refused = new Map() // for now
  #backoff = new Backoff()
  #cancelRest = null
  #room = null

  constructor(clock, maxPending) {
    this.#clock = clock
    this.#maxPending = maxPending
  }

  get size() {
    return this.#waiting.size + this.#out.size + this.#refused.size
  }

  get ready() {
    if (this.size < this.#maxPending) return Promise.resolve()
    this.#room ??= deferred()
    return this.#room.promise
  }

  add(number, send) {
    this.#waiting.set(number, send)
    this.goOn()
  }

  abandon(number, send) {
    send.isWanted = false
    this.#waiting.delete(number)
    this.#refused.delete(number)
    this.goOn()
  }

  opened(line) {
    this.#line = line
    this.goOn()
  }

  lost(code) {
    this.#line = null
    if (code === TOO_BIG) this.#dropLargest()
    this.#cancelRest?.()
    this.#cancelRest = null
    const out = [...this.#out].filter(([, send]) => send.isWanted)
    this.#waiting = inOrder(out, this.#refused, this.#waiting)
    this.#out.clear()
    this.#refused.clear()
  }

  fail(problem) {
    for (const send of this.#waiting.values()) send.reject(problem)
    this.#waiting.clear()
    this.goOn()
  }

  goOn() {
    for (const [number, send] of this.#waiting) {
      if (this.#line === null || this.#cancelRest !== null || this.#out.size >= this.#maxPending) break
      if (this.#line.isCongested && this.#out.size > 0) break // goes on with the next answer
      this.#waiting.delete(number)
      this.#transmit(number, send)
    }
    if (this.size < this.#maxPending) {
      this.#room?.resolve()
      this.#room = null
    }
  }

  #transmit(number, send) {
    let { text } = send
    if (send.expiresS !== null) {
      const leftS = send.expiresS - this.#clock.now()
      if (leftS < -GRACE_S) return send.reject(new WsmbError("expired", "too old before the broker confirmed it"))
      text = `${text.slice(0, -1)},"ttl":${Math.max(leftS, 0).toFixed(3)}}`
    }
    this.#out.set(number, send)
    this.#line.say(number, text, (answer) => answer && this.#answered(number, send, answer))
  }

  #answered(number, send, answer) {
    this.#out.delete(number)
    if (answer.code === "00") {
      const { receivers, stored, duplicate = false } = answer
      this.#backoff.reset()
      send.resolve({ receivers, stored, duplicate, messageId: send.messageId })
    } else if (isPassing(answer) && send.isWanted) {
      this.#refused.set(number, send)
      this.#rest()
    } else send.reject(new WsmbError(answer.code, answer.text))
  }

  /** What comes behind waits as well, or it would overtake. */
  #rest() {
    this.#cancelRest ??= this.#clock.later(() => {
      this.#cancelRest = null
      this.#waiting = inOrder(this.#refused, this.#waiting)
      this.#refused.clear()
      this.goOn()
    }, this.#backoff.nextS())
  }

  /** The broker does not say which message was too big for it; if any was, the largest was. */
  #dropLargest() {
    const sizes = [...this.#out].map(([number, send]) => [sizeBytes(send), number])
    if (sizes.length === 0) return
    const [size, number] = sizes.reduce((one, other) => (other[0] > one[0] ? other : one))
    this.#out.get(number).reject(new WsmbError("04", `Too large: a message of ${size} bytes`))
    this.#out.delete(number)
  }
}

class Delivery {
  #line
  #number

  /** `line`: on which to answer; null if it is not to be answered. */
  constructor({ channel, data, redelivered, delivery }, line) {
    this.channel = String(channel)
    this.data = Array.isArray(data) ? data : [data]
    this.redelivered = line !== null && redelivered === true
    this.#line = line
    this.#number = delivery
  }

  async ack() {
    return this.#line === null || this.#answer({ command: "ack-message" })
  }

  async reject({ requeue = true, delay = 0 } = {}) {
    if (this.#line === null) throw new TypeError("received without acknowledgement")
    return this.#answer({ command: "reject-message", requeue, delay })
  }

  /** Whether it counts: not if the line is lost, it is too late, or the broker stops. */
  async #answer(fields) {
    const answer = await this.#line.ask({ ...fields, delivery: this.#number })
    if (answer === null || answer.code === "06" || answer.code === "07") return false
    if (answer.code !== "00") throw new WsmbError(answer.code, answer.text)
    return true
  }
}

/** What comes on one channel: an asynchronous iterator of deliveries. */
class Receiving {
  hasEnded = false
  #command
  #clock
  #forget
  #line = null
  #inbox = []
  #waiting = []
  #problem = null
  #backoff = new Backoff()
  #cancelRetry = null

  constructor(channel, { ack = true, prefetch } = {}, clock, forget) {
    this.channel = channel
    this.ack = ack
    this.#command = { command: "receive-message", channel, ...(ack ? { ack, prefetch } : {}) }
    this.#clock = clock
    this.#forget = forget
  }

  [Symbol.asyncIterator]() {
    return this
  }

  async next() {
    if (this.#inbox.length > 0) return { value: this.#inbox.shift(), done: false }
    if (this.#problem !== null) throw this.#problem
    if (this.hasEnded) return { value: undefined, done: true }
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }

  async return(value) {
    if (!this.hasEnded) this.#end()
    return { value, done: true }
  }

  async opened(line) {
    this.#line = line
    const answer = await line.ask(this.#command)
    if (answer === null || answer.code === "00" || this.hasEnded) return
    if (!isPassing(answer)) return this.fail(new WsmbError(answer.code, answer.text))
    this.#cancelRetry = this.#clock.later(() => this.opened(line), this.#backoff.nextS())
  }

  /** What nobody has taken yet comes again on the next line, where it is to be acknowledged. */
  lost() {
    this.#line = null
    this.#cancelRetry?.()
    if (this.ack) this.#inbox = []
  }

  take(frame) {
    const delivery = new Delivery(frame, this.ack ? this.#line : null)
    const waiting = this.#waiting.shift()
    if (waiting !== undefined) waiting.resolve({ value: delivery, done: false })
    else if (!this.hasEnded) this.#inbox.push(delivery)
    else if (this.ack) delivery.reject() // it was on its way when we left
  }

  fail(problem) {
    if (this.hasEnded) return
    this.hasEnded = true
    this.#cancelRetry?.()
    this.#forget()
    if (this.#waiting.length === 0) this.#problem = problem
    for (const { reject } of this.#waiting.splice(0)) reject(problem)
  }

  #end() {
    this.hasEnded = true
    this.#cancelRetry?.()
    for (const { resolve } of this.#waiting.splice(0)) resolve({ value: undefined, done: true })
    const left = this.#inbox.splice(0)
    if (this.#line === null) return this.#forget()
    // Until it is certain that we have left, more can come.
    this.#line.ask({ command: "leave-channel", channel: this.channel }).then(() => this.#forget())
    if (this.ack) for (const delivery of left) delivery.reject()
  }
}

function subprotocols(user, password) {
  if (user === undefined) return ["wsmb"]
  if (user.includes(":")) throw new TypeError("a user name has no colon")
  const base64 = btoa(String.fromCharCode(...new TextEncoder().encode(`${user}:${password}`)))
  return ["wsmb", "basic." + base64.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")]
}

const randomDigits = () => Math.random().toString(36).slice(2, 12)

export class Client {
  state = "new"
  onstate
  #url
  #subprotocols
  #WebSocket
  #clock
  #line = null
  #outgoing
  #receiving = new Map()
  #connecting = new Set()
  #backoff = new Backoff()
  #cancelAttempt = null
  #attempts = 0
  #reason = "no answer"
  #name = `${Date.now().toString(36)}-${randomDigits()}${randomDigits()}` // of message ids: no secret
  #sends = 0
  #isClosing = false
  #closed = null
  #done = deferred()

  constructor(url, options = {}) {
    const { user, password = "", maxPending = 1000, onstate, clock = CLOCK } = options
    const { protocol, searchParams } = new URL(url)
    if (!/^wss?:$/.test(protocol)) throw new TypeError("the URL: ws://… or wss://…")
    if (searchParams.has("topic") || searchParams.has("channel")) {
      throw new TypeError("the URL has topic= or channel= in it: to such a one the broker answers no command")
    }
    if (!(maxPending >= 1 && maxPending <= MOST_PENDING)) throw new RangeError(`maxPending: 1 to ${MOST_PENDING}`)
    this.#WebSocket = options.WebSocket ?? globalThis.WebSocket
    if (this.#WebSocket === undefined) throw new TypeError("no WebSocket here: give one, such as the package ws")
    this.#url = url
    this.#subprotocols = subprotocols(user, password)
    this.#clock = clock
    this.#outgoing = new Outgoing(clock, maxPending)
    this.onstate = onstate
  }

  connect({ timeout } = {}) {
    return new Promise((resolve, reject) => {
      this.#start()
      if (this.state === "open") return resolve()
      const caller = { resolve, reject, cancel: () => {} }
      this.#connecting.add(caller)
      if (timeout === undefined) return
      caller.cancel = this.#clock.later(() => {
        this.#connecting.delete(caller)
        reject(new WsmbError("timeout", `not connected in ${timeout} s: ${this.#reason}`))
      }, timeout)
    })
  }

  send(channel, data, { ttl, messageId, numberOfReceiver, signal } = {}) {
    return new Promise((resolve, reject) => {
      const isGood = ttl === undefined || (Number.isFinite(ttl) && ttl >= 0)
      if (!isGood) throw new TypeError("ttl: seconds, 0 or more")
      signal?.throwIfAborted()
      this.#start()
      const number = ++this.#sends
      const id = messageId ?? `${this.#name}-${number}`
      const fields = { command: "send-message", channel, data, number_of_receiver: numberOfReceiver }
      const text = JSON.stringify({ ...fields, message_id: id, confirm: number })
      const expiresS = ttl === undefined ? null : this.#clock.now() + ttl
      const abandon = () => {
        this.#outgoing.abandon(number, send)
        reject(signal.reason)
      }
      const settled = (settle) => (value) => {
        signal?.removeEventListener("abort", abandon)
        settle(value)
      }
      const outcome = { resolve: settled(resolve), reject: settled(reject) }
      const send = { text, messageId: id, expiresS, isWanted: true, ...outcome }
      signal?.addEventListener("abort", abandon)
      this.#outgoing.add(number, send)
    })
  }

  get ready() {
    return this.#outgoing.ready
  }

  receive(channel, options) {
    this.#start()
    const name = String(channel)
    if (this.#receiving.get(name)?.hasEnded === false) throw new Error(`already receives on ${name}`)
    const receiving = new Receiving(name, options, this.#clock, () => {
      if (this.#receiving.get(name) === receiving) this.#receiving.delete(name)
    })
    this.#receiving.set(name, receiving)
    if (this.state === "open") receiving.opened(this.#line)
    return receiving
  }

  async ping() {
    await this.connect()
    return (await this.#line.ask({ command: "ping" }))?.code === "00"
  }

  close({ timeout = 5 } = {}) {
    this.#closed ??= this.#close(timeout)
    return this.#closed
  }

  async #close(timeoutS) {
    this.#isClosing = true
    for (const receiving of this.#receiving.values()) receiving.return()
    const cancel = this.#clock.later(this.#done.resolve, timeoutS)
    this.#lookWhetherDone()
    await this.#done.promise
    cancel()
    globalThis.removeEventListener?.("online", this.#hurry)
    this.#tell("closed")
    this.#cancelAttempt?.()
    this.#line?.end("closed")
    const problem = new WsmbError("closed", "the client was closed before the broker answered")
    this.#outgoing.fail(problem)
    this.#settleConnecting(({ reject }) => reject(problem))
  }

  #lookWhetherDone() {
    const isIdle = this.#outgoing.size === 0 && (this.#line?.isIdle ?? true)
    if (this.#isClosing && isIdle) this.#done.resolve()
  }

  #start() {
    if (this.#isClosing) throw new WsmbError("closed", "the client is closed")
    if (this.state !== "new") return
    this.#open()
    globalThis.addEventListener?.("online", this.#hurry)
  }

  #hurry = () => {
    if (this.#cancelAttempt === null) return
    this.#cancelAttempt()
    this.#open()
  }

  #open() {
    this.#cancelAttempt = null
    const socket = new this.#WebSocket(this.#url, this.#subprotocols)
    this.#line = new Line(socket, this.#clock, {
      opened: () => this.#opened(),
      heard: () => this.#backoff.reset(), // not when it opens: who lets us in and throws us out is not to be hurried
      delivered: (frame) => this.#receiving.get(String(frame.channel))?.take(frame),
      shut: (channel, problem) => this.#receiving.get(channel)?.fail(problem),
      answered: () => {
        this.#outgoing.goOn()
        this.#lookWhetherDone()
      },
      lost: (reason, code) => this.#lost(reason, code),
    })
    this.#tell("connecting")
  }

  #opened() {
    this.#attempts = 0
    this.#tell("open")
    this.#settleConnecting(({ resolve }) => resolve())
    for (const receiving of this.#receiving.values()) receiving.opened(this.#line)
    this.#outgoing.opened(this.#line)
  }

  #lost(reason, code) {
    this.#line = null
    this.#outgoing.lost(code)
    for (const receiving of this.#receiving.values()) receiving.lost()
    this.#lookWhetherDone()
    if (this.state === "closed") return
    const delay = this.#backoff.nextS()
    this.#reason = reason
    this.#attempts += 1
    this.#cancelAttempt = this.#clock.later(() => this.#open(), delay)
    this.#tell("waiting", { reason, delay, attempts: this.#attempts })
  }

  #settleConnecting(settle) {
    for (const caller of this.#connecting) {
      caller.cancel()
      settle(caller)
    }
    this.#connecting.clear()
  }

  #tell(state, more) {
    this.state = state
    queueMicrotask(() => this.onstate?.({ state, ...more })) // an error in there is not to stop us
  }
}
