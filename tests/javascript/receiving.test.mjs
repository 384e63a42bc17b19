/** What comes, and what is said of it. */

import assert from "node:assert/strict"
import { test } from "node:test"

import { connected, setUp, turn } from "./fakes.mjs"

const DONE = { value: undefined, done: true }

/** A client that receives on "sms", and whose `receive-message` has been answered. */
function receiving(options) {
  const world = connected()
  const deliveries = world.client.receive("sms", options)
  const [command] = world.socket.take("receive-message")
  world.socket.confirm(command)
  return { ...world, deliveries, command }
}

/** What `next` gives, of which there must be one. */
async function take(deliveries) {
  const { value, done } = await deliveries.next()
  assert.equal(done, false)
  return value
}

test("it asks for acknowledgements unless told otherwise", () => {
  const { confirm, ...fields } = receiving().command
  assert.deepEqual(fields, { command: "receive-message", channel: "sms", ack: true })
  assert.equal(receiving({ prefetch: 3 }).command.prefetch, 3)
  const plain = receiving({ ack: false, prefetch: 3 }).command
  assert.deepEqual([plain.ack, plain.prefetch], [undefined, undefined])
})

test("a delivery has its items, and its acknowledgement counts when the broker says so", async () => {
  const { deliveries, socket } = receiving()
  socket.deliver("sms", [{ n: 1 }, 2], { delivery: 17 })
  const delivery = await take(deliveries)
  assert.deepEqual([delivery.channel, delivery.data, delivery.redelivered], ["sms", [{ n: 1 }, 2], false])
  const acked = delivery.ack()
  const [command] = socket.take("ack-message")
  assert.equal(command.delivery, 17)
  socket.confirm(command)
  assert.equal(await acked, true)
})

test("data that is no array is one item, and a channel is a name", async () => {
  const { client, socket } = connected()
  const deliveries = client.receive(5)
  socket.take("receive-message")
  socket.deliver(5, "x", { delivery: 1, redelivered: true })
  const delivery = await take(deliveries)
  assert.deepEqual([delivery.channel, delivery.data, delivery.redelivered], ["5", ["x"], true])
})

test("a rejection says whether and when to try again", async () => {
  const { deliveries, socket } = receiving()
  socket.deliver("sms", [1], { delivery: 1 })
  const delivery = await take(deliveries)
  for (const [options, requeue, delay] of [
    [undefined, true, 0],
    [{ requeue: false }, false, 0],
    [{ delay: 5 }, true, 5],
  ]) {
    delivery.reject(options)
    const [command] = socket.take("reject-message")
    assert.deepEqual([command.delivery, command.requeue, command.delay], [1, requeue, delay])
  }
})

test("an acknowledgement that comes too late does not count", async () => {
  const { deliveries, socket } = receiving()
  for (const code of ["07", "06"]) {
    socket.deliver("sms", [1], { delivery: 1 })
    const acked = (await take(deliveries)).ack()
    socket.refuse(socket.take("ack-message")[0], code)
    assert.equal(await acked, false)
  }
})

test("a rejection that the broker cannot understand is an error", async () => {
  const { deliveries, socket } = receiving()
  socket.deliver("sms", [1], { delivery: 1 })
  const rejected = (await take(deliveries)).reject({ delay: -1 })
  socket.refuse(socket.take("reject-message")[0], "02")
  await assert.rejects(rejected, { code: "02" })
})

test("an acknowledgement does not count once the connection is lost, before or after it was sent", async () => {
  const world = receiving()
  world.socket.deliver("sms", [1], { delivery: 1 })
  world.socket.deliver("sms", [2], { delivery: 2 })
  const [one, two] = [await take(world.deliveries), await take(world.deliveries)]
  const acked = one.ack()
  world.socket.drop()
  assert.equal(await acked, false)
  const next = await world.reconnect()
  next.take("receive-message")
  assert.equal(await two.ack(), false)
  assert.equal(await two.reject(), false)
  assert.deepEqual(next.sent, [])
})

test("on a new connection it asks again, and what nobody has taken is left to the broker", async () => {
  const world = receiving({ prefetch: 9 })
  world.socket.deliver("sms", ["old"], { delivery: 1 })
  world.socket.drop()
  const next = await world.reconnect()
  assert.equal(next.take("receive-message")[0].prefetch, 9)
  next.deliver("sms", ["new"], { delivery: 1, redelivered: true })
  assert.deepEqual((await take(world.deliveries)).data, ["new"])
})

test("what came without acknowledgement stays over a new connection, as nobody else has it", async () => {
  const world = receiving({ ack: false })
  world.socket.deliver("sms", ["old"])
  world.socket.drop()
  await world.reconnect()
  const delivery = await take(world.deliveries)
  assert.deepEqual(delivery.data, ["old"])
  assert.equal(await delivery.ack(), true)
  await assert.rejects(delivery.reject(), TypeError)
})

test("where nothing is acknowledged, the fields of a sender are not taken for the broker's", async () => {
  const { deliveries, socket } = receiving({ ack: false })
  socket.deliver("sms", [1], { delivery: 3, redelivered: true })
  const delivery = await take(deliveries)
  assert.equal(delivery.redelivered, false)
  await delivery.ack()
  assert.deepEqual(socket.sent, [])
})

test("to break leaves the channel and gives back what nobody has taken", async () => {
  const { deliveries, socket, client } = receiving()
  for (const delivery of [1, 2, 3]) socket.deliver("sms", [delivery], { delivery })
  for await (const { data } of deliveries) {
    assert.deepEqual(data, [1])
    break
  }
  const [leave, ...rejects] = socket.sent.splice(0)
  assert.deepEqual([leave.command, leave.channel], ["leave-channel", "sms"])
  assert.deepEqual(rejects.map(({ command, delivery, requeue }) => [command, delivery, requeue]), [
    ["reject-message", 2, true],
    ["reject-message", 3, true],
  ])
  socket.deliver("sms", [4], { delivery: 4 })
  assert.equal(socket.take("reject-message")[0].delivery, 4)
  socket.confirm(leave)
  await turn()
  socket.deliver("sms", [5], { delivery: 5 })
  assert.deepEqual(socket.sent, [])
  assert.deepEqual(await deliveries.next(), DONE)
  client.receive("sms")
  assert.equal(socket.take("receive-message").length, 1)
})

test("return() ends who waits, also without a connection", async () => {
  const world = setUp()
  const deliveries = world.client.receive("sms")
  const waiting = deliveries.next()
  await deliveries.return()
  assert.deepEqual(await waiting, DONE)
  world.socket.open()
  assert.deepEqual(world.socket.sent, [])
})

test("a channel can be asked for again before the broker has said that we left", async () => {
  const { deliveries, socket, client } = receiving()
  await deliveries.return()
  const again = client.receive("sms")
  const [leave] = socket.sent
  socket.deliver("sms", [1], { delivery: 1 })
  socket.confirm(leave)
  await turn()
  socket.deliver("sms", [2], { delivery: 2 })
  assert.deepEqual((await take(again)).data, [1])
  assert.deepEqual((await take(again)).data, [2])
})

test("one channel is received once at a time", () => {
  const { client } = receiving()
  assert.throws(() => client.receive("sms"), /already receives on sms/)
})

test("several may wait, and each gets one", async () => {
  const { deliveries, socket } = receiving()
  const waiting = [deliveries.next(), deliveries.next()]
  for (const delivery of [1, 2]) socket.deliver("sms", [delivery], { delivery })
  const got = await Promise.all(waiting)
  assert.deepEqual(got.map(({ value }) => value.data), [[1], [2]])
})

test("a refusal ends it with the broker's code", async () => {
  const { client, socket } = connected()
  const deliveries = client.receive("secret")
  const waiting = deliveries.next()
  socket.refuse(socket.take("receive-message")[0], "03", "Forbidden")
  await assert.rejects(waiting, { code: "03" })
  const again = client.receive("secret")
  socket.refuse(socket.take("receive-message")[0], "03", "Forbidden")
  await turn()
  await assert.rejects(again.next(), { code: "03" })
})

test("the access list can end it later, and what has come is still there", async () => {
  const { deliveries, socket } = receiving()
  socket.deliver("sms", [1], { delivery: 1 })
  const data = [{ time_stamp: "", channel: "sms" }]
  socket.say({ command: "error", response_code: "03", response_text: "Forbidden: sms", data })
  assert.deepEqual((await take(deliveries)).data, [1])
  await assert.rejects(deliveries.next(), { code: "03" })
})

test("an error of another kind does not end it", async () => {
  const { client, deliveries, socket } = receiving()
  client.send("sms", "\ud800").catch(() => {})
  const data = [{ time_stamp: "", channel: "sms" }]
  socket.say({ command: "error", response_code: "02", response_text: "Malformed", data })
  socket.deliver("sms", [1], { delivery: 1 })
  assert.deepEqual((await take(deliveries)).data, [1])
})

test("what was refused for good is not asked for on the next connection", async () => {
  const world = connected()
  const failing = world.client.receive("secret").next()
  world.socket.refuse(world.socket.take("receive-message")[0], "03")
  await assert.rejects(failing, { code: "03" })
  world.socket.drop()
  assert.deepEqual((await world.reconnect()).sent, [])
})

test("who has left is not told that he may no longer receive", async () => {
  const { deliveries, socket } = receiving()
  await deliveries.return()
  const data = [{ time_stamp: "", channel: "sms" }]
  socket.say({ command: "error", response_code: "03", response_text: "Forbidden: sms", data })
  assert.deepEqual(await deliveries.next(), DONE)
})

test("it asks again after a while if the broker cannot take it now", async () => {
  const { client, clock, socket } = connected()
  const deliveries = client.receive("sms")
  socket.refuse(socket.take("receive-message")[0], "06")
  await clock.pass(0.09)
  assert.deepEqual(socket.sent, [])
  await clock.pass(0.2)
  assert.equal(socket.take("receive-message").length, 1)
  socket.deliver("sms", [1], { delivery: 1 })
  assert.deepEqual((await take(deliveries)).data, [1])
})

test("it asks the present connection, not the one before", async () => {
  const world = connected()
  const deliveries = world.client.receive("sms")
  for (let count = 0; count < 4; count += 1) {
    world.socket.refuse(world.socket.take("receive-message")[0], "06")
    await turn()
    if (count < 3) await world.clock.pass(10)
  }
  world.socket.drop()
  await world.clock.pass(0.2) // the next attempt; to ask again would have taken 0.8 s or more
  const next = world.socket
  next.open()
  next.confirm(next.take("receive-message")[0])
  await world.clock.pass(5)
  next.deliver("sms", [1], { delivery: 1 })
  const delivery = await take(deliveries)
  delivery.ack()
  assert.equal(next.take("ack-message").length, 1)
})

test("who leaves before the broker has answered does not ask again", async () => {
  const { client, clock, socket } = connected()
  const deliveries = client.receive("sms")
  const [command] = socket.take("receive-message")
  await deliveries.return()
  socket.refuse(command, "06")
  socket.confirm(socket.take("leave-channel")[0])
  await clock.pass(20)
  assert.deepEqual(socket.sent, [])
})

test("who has left does not ask again", async () => {
  const { client, clock, socket } = connected()
  const deliveries = client.receive("sms")
  socket.refuse(socket.take("receive-message")[0], "06")
  await turn()
  await deliveries.return()
  socket.confirm(socket.take("leave-channel")[0])
  await clock.pass(20)
  assert.deepEqual(socket.sent, [])
})
