/** A WebSocket, a clock and a broker under the test's control. */

import { Client } from "../../clients/javascript/wsmb.js"

export class FakeClock {
  time = 1_000
  #calls = []

  now() {
    return this.time
  }

  later(call, delay) {
    const entry = { time: this.time + delay, call }
    this.#calls.push(entry)
    return () => (this.#calls = this.#calls.filter((other) => other !== entry))
  }

  get pending() {
    return this.#calls.length
  }

  /** So many seconds go by, and what is due then happens, in its order. */
  async pass(seconds) {
    const end = this.time + seconds
    for (;;) {
      await turn()
      const due = this.#calls.filter(({ time }) => time <= end).sort((one, other) => one.time - other.time)
      if (due.length === 0) break
      this.time = Math.max(this.time, due[0].time)
      this.#calls = this.#calls.filter((entry) => entry !== due[0])
      due[0].call()
    }
    this.time = end
  }
}

/** Everything that can happen without anything from outside has happened. */
export const turn = () => new Promise((resolve) => setImmediate(resolve))

class FakeSocket {
  sent = []
  isClosed = false
  bufferedAmount = 0

  constructor(url, protocols) {
    Object.assign(this, { url, protocols })
  }

  send(text) {
    this.sent.push(JSON.parse(text))
  }

  close() {
    this.isClosed = true
  }

  // What the broker does

  open() {
    this.onopen()
  }

  say(frame) {
    this.onmessage({ data: JSON.stringify(frame) })
  }

  greet(code = "00") {
    this.say({ command: "connect", response_code: code, response_text: "", data: [{ time_stamp: "" }] })
  }

  confirm({ confirm }, more = {}, code = "00", text = "") {
    const data = [{ time_stamp: "", ...more }]
    this.say({ command: "confirm", confirm, response_code: code, response_text: text, data })
  }

  refuse(command, code, text = "") {
    this.confirm(command, {}, code, text)
  }

  deliver(channel, data, more = {}) {
    this.say({ command: "send-message", channel, data, ...more })
  }

  drop(code = 1006, reason = "") {
    this.onclose?.({ code, reason })
  }

  /** The commands that have come since the last call, all of this kind. */
  take(command) {
    const taken = this.sent.splice(0)
    const others = taken.filter((frame) => frame.command !== command)
    if (others.length > 0) throw new Error(`not ${command}: ${JSON.stringify(others)}`)
    return taken
  }
}

/** A client with its clock, its `states`, and its `sockets`, the last of which is `socket`. */
export function setUp(options = {}) {
  const clock = new FakeClock()
  const sockets = []
  const states = []
  class WebSocket extends FakeSocket {
    constructor(...how) {
      super(...how)
      sockets.push(this)
    }
  }
  const onstate = (change) => states.push(change)
  const fakes = { WebSocket, clock, onstate }
  const client = new Client("ws://broker.example/", { user: "qa", password: "secret", ...fakes, ...options })
  return {
    client,
    clock,
    sockets,
    states,
    get socket() {
      return sockets.at(-1)
    },
    /** The next attempt, and it succeeds. */
    async reconnect() {
      const before = sockets.length
      while (sockets.length === before) await clock.pass(1)
      sockets.at(-1).open()
      await turn()
      return sockets.at(-1)
    },
  }
}

/** A client that is connected. */
export function connected(options) {
  const world = setUp(options)
  world.client.connect()
  world.socket.open()
  world.socket.greet()
  return world
}
