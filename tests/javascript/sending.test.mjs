/** What becomes of what is sent, whatever happens to the connection. */

import assert from "node:assert/strict"
import { test } from "node:test"

import { WsmbError } from "../../clients/javascript/wsmb.js"
import { connected, setUp, turn } from "./fakes.mjs"

const items = (frames) => frames.flatMap(({ data }) => data)
const STORED = { receivers: 0, stored: 1 }

test("a send is one command with a confirm and a message id, and its receipt is the answer", async () => {
  const { client, socket } = connected()
  const sending = client.send("sms", [{ n: 1 }], { numberOfReceiver: 2 })
  const [command] = socket.take("send-message")
  const { confirm, message_id: id, ...fields } = command
  assert.deepEqual(fields, { command: "send-message", channel: "sms", data: [{ n: 1 }], number_of_receiver: 2 })
  socket.confirm(command, { receivers: 0, stored: 1 })
  assert.deepEqual(await sending, { receivers: 0, stored: 1, duplicate: false, messageId: id })
  assert.ok(id.length <= 64)
})

test("the caller's message id is taken, and a duplicate is said", async () => {
  const { client, socket } = connected()
  const sending = client.send("sms", 1, { messageId: "order 4711" })
  const [command] = socket.take("send-message")
  assert.equal(command.message_id, "order 4711")
  socket.confirm(command, { receivers: 0, stored: 0, duplicate: true })
  assert.equal((await sending).duplicate, true)
})

test("two clients never use the same message id", async () => {
  const ids = Array.from({ length: 100 }, () => {
    const { client, socket } = connected()
    client.send("sms", 1)
    return socket.take("send-message")[0].message_id
  })
  assert.equal(new Set(ids).size, 100)
})

test("what is sent is what it was when it was sent", async () => {
  const world = setUp()
  const item = { n: 1 }
  world.client.send("sms", item)
  item.n = 2
  world.socket.open()
  assert.deepEqual(world.socket.take("send-message")[0].data, { n: 1 })
})

test("what is not confirmed when the connection is lost is sent again, in order, with its id", async () => {
  const world = connected()
  const { client, socket } = world
  const sendings = [1, 2, 3].map((n) => client.send("sms", n))
  const first = socket.take("send-message")
  socket.confirm(first[1], STORED)
  socket.drop()
  sendings.push(client.send("sms", 4))
  const next = await world.reconnect()
  const again = next.take("send-message")
  assert.deepEqual(items(again), [1, 3, 4])
  assert.equal(again[0].message_id, first[0].message_id)
  assert.equal(again[1].message_id, first[2].message_id)
  again.forEach((command) => next.confirm(command, STORED))
  assert.equal((await Promise.all(sendings)).length, 4)
})

test("what had no room before goes behind what is sent again", async () => {
  const world = connected({ maxPending: 2 })
  for (const n of [1, 2, 3, 4]) world.client.send("sms", n)
  const [one] = world.socket.take("send-message")
  world.socket.confirm(one, STORED)
  assert.deepEqual(items(world.socket.take("send-message")), [3])
  world.socket.drop()
  const next = await world.reconnect()
  assert.deepEqual(items(next.sent), [2, 3])
  next.sent.splice(0).forEach((command) => next.confirm(command, STORED))
  assert.deepEqual(items(next.take("send-message")), [4])
})

test("not more than maxPending are out, and `ready` says when there is room", async () => {
  const { client, socket } = connected({ maxPending: 2 })
  await client.ready
  const sendings = [1, 2, 3].map((n) => client.send("sms", n))
  let isReady = false
  client.ready.then(() => (isReady = true))
  const [one, two] = socket.sent
  assert.deepEqual(items(socket.take("send-message")), [1, 2])
  socket.confirm(one, STORED)
  await turn()
  assert.equal(isReady, false)
  assert.deepEqual(items(socket.take("send-message")), [3])
  socket.confirm(two, STORED)
  await turn()
  assert.equal(isReady, true)
  await Promise.all(sendings.slice(0, 2))
})

test("everybody waits for room each time that there is none", async () => {
  const { client, socket } = connected({ maxPending: 1 })
  for (let count = 0; count < 2; count += 1) {
    client.send("sms", count)
    let ready = 0
    for (let waiting = 0; waiting < 2; waiting += 1) client.ready.then(() => (ready += 1))
    await turn()
    assert.equal(ready, 0)
    socket.confirm(socket.take("send-message")[0], STORED)
    await turn()
    assert.equal(ready, 2)
  }
})

test("a socket that does not get rid of its bytes is given one message at a time", async () => {
  const { client, socket } = connected()
  socket.bufferedAmount = 5_000_000
  ;[1, 2].map((n) => client.send("sms", n))
  const [command] = socket.take("send-message")
  assert.deepEqual(command.data, 1)
  socket.confirm(command, STORED)
  assert.deepEqual(items(socket.take("send-message")), [2])
})

test("what the broker cannot take now is sent again after a while, and what comes behind waits", async () => {
  const { client, clock, socket } = connected()
  const sendings = [1, 2, 3].map((n) => client.send("sms", n))
  const [one, two, three] = socket.take("send-message")
  socket.refuse(one, "06")
  socket.confirm(two, STORED)
  socket.refuse(three, "05")
  sendings.push(client.send("sms", 4))
  await clock.pass(0.09)
  assert.deepEqual(socket.take("send-message"), [])
  await clock.pass(0.2)
  const again = socket.take("send-message")
  assert.deepEqual(items(again), [1, 3, 4])
  assert.equal(again[0].message_id, one.message_id)
  again.forEach((command) => socket.confirm(command, STORED))
  await Promise.all(sendings)
})

test("what the broker could not take is not lost with the connection, nor later than all else", async () => {
  const world = connected()
  for (const n of [1, 2]) world.client.send("sms", n)
  const [one, two] = world.socket.take("send-message")
  world.socket.confirm(one, STORED)
  world.socket.refuse(two, "06")
  world.client.send("sms", 3)
  world.socket.drop()
  const next = await world.reconnect()
  assert.deepEqual(items(next.take("send-message")), [2, 3])
  await world.clock.pass(5)
  assert.deepEqual(next.sent, [])
})

test("it begins anew with short waits once the broker has taken something", async () => {
  const { client, clock, socket } = connected()
  client.send("sms", 1)
  for (let count = 0; count < 5; count += 1) {
    socket.refuse(socket.take("send-message")[0], "06")
    await clock.pass(10)
  }
  socket.confirm(socket.take("send-message")[0], STORED)
  client.send("sms", 2)
  socket.refuse(socket.take("send-message")[0], "06")
  await clock.pass(0.2)
  assert.deepEqual(items(socket.take("send-message")), [2])
})

test("it waits longer each time that the broker cannot take it, up to 10 s", async () => {
  const { client, clock, socket } = connected()
  client.send("sms", 1)
  const waits = []
  for (let count = 0; count < 9; count += 1) {
    const [command] = socket.take("send-message")
    socket.refuse(command, "06")
    const before = clock.time
    while (socket.sent.length === 0) await clock.pass(0.05)
    waits.push(clock.time - before)
  }
  waits.forEach((wait, count) => {
    const longest = Math.min(0.2 * 2 ** count, 10)
    assert.ok(wait >= longest / 2 - 0.001 && wait <= longest + 0.051, `${count}: ${wait}`)
  })
})

test("a refusal rejects with the broker's code", async () => {
  const { client, socket } = connected()
  const sending = client.send("secret", 1)
  socket.refuse(socket.take("send-message")[0], "03", "Forbidden: secret")
  await assert.rejects(sending, (error) => {
    assert.ok(error instanceof WsmbError && error instanceof Error)
    assert.deepEqual([error.name, error.code, error.message], ["WsmbError", "03", "Forbidden: secret"])
    return true
  })
})

test("an error without a confirm is that of the oldest command without an answer", async () => {
  const { client, socket } = connected()
  const [good, bad, behind] = ["é", "\ud800", "x"].map((text) => client.send("sms", text))
  const [one, , three] = socket.take("send-message")
  socket.confirm(one, STORED)
  const data = [{ time_stamp: "" }]
  socket.say({ command: "error", response_code: "02", response_text: "Malformed: not JSON", data })
  socket.confirm(three, STORED)
  await assert.rejects(bad, { code: "02" })
  await Promise.all([good, behind])
})

test("an error that nobody can have caused is nobody's", async () => {
  const { client, socket } = connected()
  const sending = client.send("sms", 1)
  const [command] = socket.take("send-message")
  const data = [{ time_stamp: "", channel: "sms" }]
  socket.say({ command: "error", response_code: "06", response_text: "", data })
  socket.say({ command: "error", response_code: "03", response_text: "", data })
  socket.confirm(command, STORED)
  assert.equal((await sending).stored, 1)
})

test("of what was out when the broker found a message too big, the largest is rejected", async () => {
  const world = connected()
  const sendings = ["a", "é".repeat(60), "x".repeat(100)].map((text) => world.client.send("sms", text))
  world.socket.drop(1009)
  await assert.rejects(sendings[1], { code: "04" })
  assert.deepEqual(items((await world.reconnect()).take("send-message")), ["a", "x".repeat(100)])
})

test("the time to live goes on while there is no connection", async () => {
  const world = setUp()
  const sendings = [10, 30].map((ttl) => world.client.send("otp", ttl, { ttl }))
  world.client.send("otp", "for ever")
  world.socket.drop()
  await world.clock.pass(5)
  world.socket.open()
  assert.deepEqual(world.socket.take("send-message").map(({ ttl }) => ttl), [5, 25, undefined])
  await world.clock.pass(10)
  world.socket.drop()
  const [expired, next] = [assert.rejects(sendings[0], { code: "expired" }), await world.reconnect()]
  await expired
  const again = next.take("send-message")
  assert.deepEqual(items(again), [30, "for ever"])
  assert.ok(again[0].ttl <= 15 && again[0].ttl > 13)
})

test("a ttl of 0 goes out as it is", async () => {
  const { client, socket } = connected()
  client.send("otp", 1, { ttl: 0 })
  assert.equal(socket.take("send-message")[0].ttl, 0)
})

test("a ttl that is none, and what JSON cannot say, reject", async () => {
  const { client, socket } = connected()
  for (const ttl of [-1, Number.NaN, Infinity, "60"]) {
    await assert.rejects(client.send("otp", 1, { ttl }), TypeError)
  }
  await assert.rejects(client.send("otp", 1n), TypeError)
  assert.deepEqual(socket.sent, [])
})

test("what is abandoned is not sent any more, or not again", async () => {
  const world = setUp()
  const [early, late] = [new AbortController(), new AbortController()]
  const sendings = [early, late].map(({ signal }, n) => world.client.send("sms", n, { signal }))
  world.client.send("sms", 2)
  early.abort(new Error("no longer"))
  await assert.rejects(sendings[0], /no longer/)
  world.socket.open()
  assert.deepEqual(items(world.socket.take("send-message")), [1, 2])
  late.abort()
  await assert.rejects(sendings[1], { name: "AbortError" })
  world.socket.drop()
  assert.deepEqual(items((await world.reconnect()).take("send-message")), [2])
  await assert.rejects(world.client.send("sms", 3, { signal: AbortSignal.abort() }), { name: "AbortError" })
})

test("what is abandoned after the broker could not take it is not sent again", async () => {
  const { client, clock, socket } = connected()
  const [early, late] = [new AbortController(), new AbortController()]
  const sendings = [early, late].map(({ signal }, n) => client.send("sms", n, { signal }))
  const [one, two] = socket.take("send-message")
  socket.refuse(one, "06")
  for (const controller of [early, late]) controller.abort()
  await Promise.allSettled(sendings)
  socket.refuse(two, "06")
  await clock.pass(5)
  assert.deepEqual(socket.sent, [])
  await client.close()
})

test("a signal that lives for long does not gather listeners", async () => {
  const { client, socket } = connected()
  const { signal } = new AbortController()
  let listeners = 0
  const { addEventListener, removeEventListener } = signal
  signal.addEventListener = (...how) => ((listeners += 1), addEventListener.apply(signal, how))
  signal.removeEventListener = (...how) => ((listeners -= 1), removeEventListener.apply(signal, how))
  const sendings = [client.send("sms", 1, { signal }), client.send("sms", 2, { signal })]
  const [one, two] = socket.take("send-message")
  socket.confirm(one, STORED)
  socket.refuse(two, "03")
  await Promise.allSettled(sendings)
  assert.equal(listeners, 0)
})
