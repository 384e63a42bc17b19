/** What the type declarations allow and forbid. Only compiled. */

import { Client, WsmbError } from "../../clients/javascript/wsmb.js"
import type { Deliveries, Delivery, Receipt, StateChange } from "../../clients/javascript/wsmb.js"

interface Sms {
  receiver: string
  message: string
}

export async function uses(signal: AbortSignal): Promise<void> {
  const client = new Client("wss://broker.example/", { user: "qa", password: "x", WebSocket, maxPending: 10 })
  new Client("wss://broker.example/")
  client.onstate = (change: StateChange) => {
    if (change.state === "waiting") console.log(change.reason.length, change.delay + change.attempts)
    // @ts-expect-error  only who waits has a reason
    else console.log(change.reason)
  }
  await client.connect({ timeout: 5 })
  const receipt: Receipt = await client.send("sms", [1], { ttl: 1, messageId: "a", numberOfReceiver: 1, signal })
  console.log(receipt.receivers + receipt.stored, receipt.duplicate ? receipt.messageId : "")
  await client.send(5, { any: "thing" })
  await client.ready
  const deliveries: Deliveries<Sms> = client.receive<Sms>("sms", { ack: true, prefetch: 10 })
  for await (const delivery of deliveries) {
    const texts: string[] = delivery.data.map(({ message }) => message)
    console.log(texts, delivery.channel.length, delivery.redelivered)
    const counts: boolean = (await delivery.ack()) || (await delivery.reject({ requeue: false, delay: 1 }))
    if (counts) break
  }
  await deliveries.return()
  const unknown: Delivery = (await client.receive("x").next()).value
  // @ts-expect-error  nobody has said what it is
  unknown.data[0].message
  const isWell: boolean = await client.ping()
  const state: "new" | "connecting" | "open" | "waiting" | "closed" = client.state
  console.log(isWell, state)
  await client.close({ timeout: 1 })
  try {
    // @ts-expect-error  a name that is none
    await client.send("sms", 1, { timeToLive: 1 })
  } catch (error) {
    if (error instanceof WsmbError) console.log(error.code === "03", error.message)
  }
  // @ts-expect-error  it is for reading only
  client.state = "open"
}
