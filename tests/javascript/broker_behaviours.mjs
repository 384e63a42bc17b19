/**
 * What holds with the real broker, in Node and in a browser alike. tests/integration/test_javascript.py has
 * the broker's settings and runs these, each with channels of its own.
 */

import { Client } from "../../clients/javascript/wsmb.js"

function equal(actual, expected) {
  const [one, other] = [actual, expected].map((value) => JSON.stringify(value))
  if (one !== other) throw new Error(`${one} is not ${other}`)
}

async function failed(promise, code) {
  const error = await promise.then(
    () => null,
    (problem) => problem,
  )
  equal([error?.name, error?.code], ["WsmbError", code])
}

async function take(deliveries) {
  const { value, done } = await deliveries.next()
  equal(done, false)
  return value
}

const BEHAVIOURS = {
  async "a receipt says what has become of it"({ client }) {
    const { receivers, stored, duplicate } = await client.send("receipts", [1, 2])
    equal([receivers, stored, duplicate], [0, 2, false])
    equal((await client.send("receipts", 3, { messageId: "three" })).duplicate, false)
    equal(await client.send("receipts", 3, { messageId: "three" }), {
      receivers: 0,
      stored: 0,
      duplicate: true,
      messageId: "three",
    })
  },

  async "what is sent is what is received"({ client, another }) {
    const items = ["é😀\u2028", { nested: [{ null: null }, 1.5, -0.1, true] }, "", 9007199254740991]
    const deliveries = another().receive("texts")
    await client.send("texts", items)
    const delivery = await take(deliveries)
    equal([delivery.channel, delivery.data, delivery.redelivered], ["texts", items, false])
    equal(await delivery.ack(), true)
    equal(await delivery.ack(), false)
  },

  async "what is rejected comes again, or goes to the dead letters"({ client, another }) {
    const receiver = another()
    const deliveries = receiver.receive("rejects")
    await client.send("rejects", { n: 1 })
    equal(await (await take(deliveries)).reject(), true)
    const again = await take(deliveries)
    equal([again.data, again.redelivered], [[{ n: 1 }], true])
    equal(await again.reject({ requeue: false }), true)
    const letter = await take(receiver.receive("dead.rejects"))
    equal([letter.data[0].item, letter.data[0].reason, letter.data[0].deliveries], [{ n: 1 }, "rejected", 2])
    await failed(letter.reject({ delay: -1 }), "02")
    await letter.ack()
  },

  async "not more than prefetch are open"({ client, another }) {
    const receiver = another()
    const deliveries = receiver.receive("prefetched", { prefetch: 1 })
    await receiver.ping()
    await Promise.all([client.send("prefetched", 1), client.send("prefetched", 2)])
    const first = await take(deliveries)
    let second = null
    const coming = take(deliveries).then((delivery) => (second = delivery))
    await receiver.ping()
    equal(second, null)
    await first.ack()
    equal((await coming).data, [2])
    await second.ack()
  },

  async "without acknowledgement a delivery is done with when it is here"({ client, another }) {
    const receiver = another()
    const deliveries = receiver.receive("relay.plain", { ack: false })
    await receiver.ping()
    const { receivers, stored } = await client.send("relay.plain", "x")
    equal([receivers, stored], [1, 0])
    const delivery = await take(deliveries)
    equal([delivery.data, await delivery.ack()], [["x"], true])
  },

  async "so many receivers get it"({ client, another }) {
    const receivers = [another(), another(), another()]
    for (const receiver of receivers) {
      receiver.receive("relay.many")
      await receiver.ping()
    }
    equal((await client.send("relay.many", 1, { numberOfReceiver: 2 })).receivers, 2)
    equal((await client.send("relay.many", 1)).receivers, 3)
  },

  async "what is too old is not delivered"({ client, another }) {
    await client.connect()
    await client.send("aged", "old", { ttl: 0 })
    await client.send("aged", "new", { ttl: 60 })
    const delivery = await take(another().receive("aged"))
    equal(delivery.data, ["new"])
    await delivery.ack()
  },

  async "who leaves gets no more, and gives back what nobody has taken"({ client, another }) {
    const leaver = another()
    const deliveries = leaver.receive("left")
    await leaver.ping()
    for (const n of [1, 2]) await client.send("left", n)
    await leaver.ping()
    for await (const delivery of deliveries) {
      equal([delivery.data, await delivery.ack()], [[1], true])
      break
    }
    equal((await client.send("left", 3)).stored, 1)
    const others = client.receive("left")
    for (const [item, redelivered] of [[2, true], [3, false]]) {
      const delivery = await take(others)
      equal([delivery.data, delivery.redelivered, await delivery.ack()], [[item], redelivered, true])
    }
  },

  async "what a client had when it was closed goes to another"({ client, another }) {
    const first = another()
    const deliveries = first.receive("closed")
    await client.send("closed", 1)
    const delivery = await take(deliveries)
    await first.close()
    equal(await delivery.ack(), false)
    const again = await take(client.receive("closed"))
    equal([again.data, again.redelivered, await again.ack()], [[1], true, true])
  },

  async "a refusal has the broker's code"({ client }) {
    await failed(client.send("secret", 1), "03")
    await failed(client.receive("secret").next(), "03")
    await failed(client.send("n".repeat(101), 1), "04")
    await failed(client.send("refused", 1, { messageId: "" }), "02")
    await failed(client.send("refused", "\ud800"), "02")
    await failed(client.send("refused", JSON.parse("[".repeat(3_000) + "]".repeat(3_000))), "02")
    equal(await client.ping(), true)
  },

  async "only what is too big is refused, and the rest is sent on a new connection"({ client }) {
    const sendings = ["x", "y".repeat(3_000_000), "z"].map((text) => client.send("big", text))
    await failed(sendings[1], "04")
    equal([(await sendings[0]).stored + (await sendings[2]).stored >= 1], [true])
    await client.ping()
  },

  async "a user and a password may have any characters"({ another }) {
    const client = another({ user: "zoë", password: "päss:wörd€" })
    await client.connect()
    equal(await client.ping(), true)
  },

  async "who is not let in is told so by the state, for as long as he tries"({ another }) {
    const changes = []
    const twice = new Promise((resolve) => {
      const onstate = (change) => changes.push(change) && change.attempts === 2 && resolve()
      another({ user: "nobody", onstate }).connect({ timeout: 60 }).catch(() => {})
    })
    await twice
    equal(changes.map(({ state }) => state), ["connecting", "waiting", "connecting", "waiting"])
    equal(typeof changes[1].reason, "string")
  },

  async "a program does not notice that the broker was killed"({ client, another, act }) {
    const deliveries = another().receive("killed", { prefetch: 5 })
    const sendings = Array.from({ length: 50 }, (_, n) => client.send("killed", n))
    const killing = act("kill")
    sendings.push(...Array.from({ length: 50 }, (_, n) => client.send("killed", 50 + n)))
    const seen = new Set()
    for await (const delivery of deliveries) {
      delivery.data.forEach((item) => seen.add(item))
      delivery.ack()
      if (seen.size === 100) break
    }
    equal((await Promise.all(sendings)).length, 100)
    await killing
  },
}

/** Which of them fail, and how. `act` asks the test for something; `options` are those of a client. */
export async function failures(url, options, act) {
  const found = {}
  for (const [name, behaviour] of Object.entries(BEHAVIOURS)) {
    const clients = []
    const another = (more) => {
      const client = new Client(url, { ...options, ...more })
      clients.push(client)
      return client
    }
    try {
      await behaviour({ client: another(), another, act })
    } catch (error) {
      found[name] = `${error} ${error.stack}`
    }
    await Promise.all(clients.map((client) => client.close({ timeout: 1 })))
  }
  return { tried: Object.keys(BEHAVIOURS).length, failed: found }
}
