/** One connection after the other. */

import assert from "node:assert/strict"
import { test } from "node:test"

import { Client } from "../../clients/javascript/wsmb.js"
import { connected, setUp, turn } from "./fakes.mjs"

const names = (states) => states.map(({ state }) => state)

test("it logs in by subprotocol, in UTF-8 and base64url without padding", () => {
  for (const [options, ...protocols] of [
    [{ user: "qa", password: "4lt0@1234" }, "wsmb", "basic.cWE6NGx0MEAxMjM0"],
    [{ user: "zoë", password: "ÿ?>ÿ" }, "wsmb", "basic.em_DqzrDvz8-w78"],
    [{ user: undefined }, "wsmb"],
  ]) {
    assert.deepEqual(connected(options).socket.protocols, protocols)
  }
})

test("what cannot be right is said at once", () => {
  class WebSocket {}
  assert.throws(() => new Client("http://broker.example/", { WebSocket }), TypeError)
  assert.throws(() => new Client("nonsense", { WebSocket }), TypeError)
  assert.throws(() => new Client("ws://broker.example/?topic=sms", { WebSocket }), /topic=/)
  assert.throws(() => new Client("ws://broker.example/?x=1&channel=sms", { WebSocket }), /channel=/)
  assert.throws(() => new Client("ws://broker.example/", { WebSocket, user: "a:b" }), TypeError)
  for (const maxPending of [0, 10_001, Number.NaN]) {
    assert.throws(() => new Client("ws://broker.example/", { WebSocket, maxPending }), RangeError)
  }
})

test("it connects when it is first used, and tells its states", async () => {
  const world = setUp()
  assert.deepEqual([world.sockets.length, world.client.state], [0, "new"])
  const connecting = world.client.connect()
  assert.equal(world.client.state, "connecting")
  world.socket.open()
  await connecting
  assert.equal(world.client.state, "open")
  world.socket.drop(1001, "the broker stops")
  await turn()
  assert.equal(world.client.state, "waiting")
  assert.deepEqual(names(world.states), ["connecting", "open", "waiting"])
  const { reason, attempts, delay } = world.states.at(-1)
  assert.deepEqual([reason, attempts], ["closed: 1001 the broker stops", 1])
  assert.ok(delay >= 0.1 && delay <= 0.2)
})

test("each attempt waits longer, by chance, up to 10 s, until the broker has spoken", async () => {
  const world = setUp()
  world.client.connect()
  for (let count = 0; count < 9; count += 1) {
    const before = world.sockets.length
    world.socket.drop()
    while (world.sockets.length === before) await world.clock.pass(0.05)
  }
  const delays = world.states.filter(({ state }) => state === "waiting").map(({ delay }) => delay)
  delays.forEach((delay, count) => {
    const longest = Math.min(0.2 * 2 ** count, 10)
    assert.ok(delay >= longest / 2 && delay <= longest, `${count}: ${delay}`)
  })
  assert.equal(world.states.at(-2).attempts, 9)
  world.socket.open()
  world.socket.drop() // let in, and thrown out without a word
  await turn()
  assert.ok(world.states.at(-1).delay >= 5)
  assert.equal(world.states.at(-1).attempts, 1)
  ;(await world.reconnect()).greet()
  world.socket.drop()
  await turn()
  assert.ok(world.states.at(-1).delay <= 0.2)
})

test("two clients do not come back at the same time", async () => {
  const delays = new Set()
  for (let count = 0; count < 20; count += 1) {
    const world = connected()
    world.socket.drop()
    await turn()
    delays.add(world.states.at(-1).delay)
  }
  assert.ok(delays.size > 15)
})

test("an attempt without any answer is given up after 10 s", async () => {
  const world = setUp()
  world.client.connect()
  await world.clock.pass(9.9)
  assert.equal(world.socket.isClosed, false)
  await world.clock.pass(0.2)
  assert.equal(world.sockets[0].isClosed, true)
  assert.match(world.states.find(({ state }) => state === "waiting").reason, /10 s/)
})

test("an attempt that fails is over, whether or not it is said to be closed as well", async () => {
  for (const drops of [0, 1]) {
    const world = setUp()
    world.client.connect()
    const [socket] = world.sockets
    socket.onerror({})
    for (let count = 0; count < drops; count += 1) socket.drop()
    socket.onerror({ message: "closed before it was open" })
    await turn()
    assert.deepEqual(names(world.states), ["connecting", "waiting"])
    assert.equal(world.states[1].reason, "the connection failed")
    await world.clock.pass(5)
    assert.equal(world.sockets.length, 2)
  }
})

test("an error on an open connection does not hide how it was closed", async () => {
  const world = connected()
  const sending = world.client.send("sms", 1)
  world.socket.onerror({})
  world.socket.drop(1009)
  await assert.rejects(sending, { code: "04" })
})

test("the state says why the connection failed, as far as is known", async () => {
  for (const [message, reason] of [
    ["read ECONNRESET", "read ECONNRESET"],
    [undefined, "the connection failed"],
  ]) {
    const world = connected()
    world.socket.onerror({ message })
    world.socket.drop()
    await turn()
    assert.equal(world.states.at(-1).reason, reason)
  }
})

test("connect() with a timeout says why there was no connection, and the client goes on", async () => {
  const world = setUp()
  const connecting = world.client.connect({ timeout: 5 })
  connecting.catch(() => {})
  world.socket.onerror({ message: "Unexpected server response: 401" })
  world.socket.drop()
  await world.clock.pass(5)
  await assert.rejects(connecting, { code: "timeout", message: /not connected in 5 s: .*401/ })
  const later = world.client.connect({ timeout: 60 })
  await world.reconnect()
  await later
  await world.client.connect()
})

test("in silence it asks for a sign of life, and gives up a dead connection after a minute", async () => {
  const world = connected()
  const { clock, socket } = world
  await clock.pass(29)
  assert.deepEqual(socket.sent, [])
  await clock.pass(2)
  const [ping] = socket.take("ping")
  await clock.pass(20)
  socket.greet()
  socket.confirm(ping)
  await clock.pass(28)
  assert.equal(socket.take("ping").length, 0)
  await clock.pass(26)
  assert.equal(socket.take("ping").length, 1)
  assert.equal(socket.isClosed, false)
  await clock.pass(10)
  assert.equal(socket.isClosed, true)
  assert.match(world.states.find(({ state }) => state === "waiting").reason, /silent/)
  world.socket.open()
  socket.drop() // says at last that it is closed
  await clock.pass(5)
  assert.equal(world.sockets.length, 2)
})

test("a line that is only slow is not given up", async () => {
  const { clock, socket } = connected()
  for (let left = 20; left > 0; left -= 1) {
    socket.bufferedAmount = left * 100_000
    await clock.pass(10)
  }
  assert.equal(socket.isClosed, false)
})

test("a pause of the program is no silence", async () => {
  const { clock, socket } = connected()
  await clock.pass(15)
  clock.time += 3_600
  await clock.pass(1)
  assert.equal(socket.isClosed, false)
})

test("ping() asks whether the broker is well", async () => {
  const { client, socket } = connected()
  for (const [code, isWell] of [
    ["00", true],
    ["01", false],
  ]) {
    const pinging = client.ping()
    await turn()
    socket.confirm(socket.take("ping")[0], {}, code)
    assert.equal(await pinging, isWell)
  }
})

test("close() waits for what is not confirmed, ends all receivers, and leaves nothing behind", async () => {
  const world = connected()
  const { client, socket, clock } = world
  const next = client.receive("sms").next()
  const sending = client.send("sms", 1)
  const closing = client.close()
  assert.equal((await next).done, true)
  await assert.rejects(client.send("sms", 2), { code: "closed" })
  assert.throws(() => client.receive("other"), { code: "closed" })
  assert.equal(socket.isClosed, false)
  const commands = socket.sent.splice(0)
  assert.deepEqual(commands.map(({ command }) => command), ["receive-message", "send-message", "leave-channel"])
  commands.slice(0, 2).forEach((command) => socket.confirm(command, { receivers: 1, stored: 0 }))
  await turn()
  assert.equal(socket.isClosed, false)
  socket.confirm(commands[2])
  await closing
  assert.equal((await sending).receivers, 1)
  assert.deepEqual([socket.isClosed, client.state, clock.pending], [true, "closed", 0])
  await client.close()
})

test("close() waits until its timeout, then rejects the rest", async () => {
  const world = connected()
  const sending = world.client.send("sms", 1)
  sending.catch(() => {})
  world.socket.drop()
  const connecting = world.client.connect()
  connecting.catch(() => {})
  const closing = world.client.close({ timeout: 3 })
  await world.clock.pass(2.9)
  assert.notEqual(world.client.state, "closed")
  await world.clock.pass(0.2)
  await closing
  await assert.rejects(sending, { code: "closed" })
  await assert.rejects(connecting, { code: "closed" })
  await world.client.ready
  assert.equal(world.clock.pending, 0)
})

test("close() does not wait for answers that cannot come any more", async () => {
  const { client, socket, clock } = connected()
  client.receive("sms")
  const closing = client.close()
  socket.drop()
  await closing
  assert.equal(clock.pending, 0)
})

test("close() ends all waiting: for an attempt, for another try, for who wants to connect", async () => {
  const waiting = setUp()
  waiting.client.connect({ timeout: 60 }).catch(() => {})
  waiting.socket.drop()
  const refused = connected()
  refused.client.send("sms", 1).catch(() => {})
  refused.socket.refuse(refused.socket.sent[0], "06")
  for (const { client, clock } of [waiting, refused]) {
    const closing = client.close({ timeout: 0.05 })
    await clock.pass(0.06)
    await closing
    assert.equal(clock.pending, 0)
  }
})

test("once connected, nothing is left of the wait for it", async () => {
  const world = setUp()
  const connecting = world.client.connect({ timeout: 60 })
  world.socket.open()
  await connecting
  assert.equal(world.clock.pending, 1) // the beat that looks for silence
})

test("close() of a client without anything to do does not wait", async () => {
  for (const world of [setUp(), connected()]) {
    await world.client.close()
    assert.equal(world.client.state, "closed")
    assert.equal(world.clock.pending, 0)
  }
})

test("what is not of wsmb ends the connection, and not the program", async () => {
  const world = connected()
  world.socket.onmessage({ data: "hello" })
  await turn()
  assert.match(world.states.at(-1).reason, /not of wsmb/)
})

test("what a newer broker may say is passed over", async () => {
  const { client, socket } = connected()
  socket.say({ command: "news", data: [] })
  socket.deliver("never asked for", [1])
  assert.equal(client.state, "open")
})

test("an error in onstate is the caller's own", async () => {
  const problems = []
  const onstate = () => {
    throw new Error("mine")
  }
  process.setUncaughtExceptionCaptureCallback((problem) => problems.push(problem.message))
  const world = connected({ onstate })
  await turn()
  process.setUncaughtExceptionCaptureCallback(null)
  assert.deepEqual(problems, ["mine", "mine"])
  assert.equal(world.client.state, "open")
})

test("when the network is back the browser says so, and there is no more waiting", async () => {
  const listeners = new Map()
  globalThis.addEventListener = (name, call) => listeners.set(name, call)
  globalThis.removeEventListener = (name) => listeners.delete(name)
  try {
    const world = connected()
    world.socket.drop()
    assert.equal(world.sockets.length, 1)
    listeners.get("online")()
    assert.equal(world.sockets.length, 2)
    listeners.get("online")()
    await world.clock.pass(5)
    assert.equal(world.sockets.length, 2)
    await world.client.close({ timeout: 0 })
    assert.equal(listeners.size, 0)
  } finally {
    delete globalThis.addEventListener
    delete globalThis.removeEventListener
  }
})
