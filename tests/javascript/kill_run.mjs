/**
 * Items sent with confirms and received with acknowledgements, while the test kills the broker so many
 * times. There is no error handling here: none is needed.
 */

import { Client } from "../../clients/javascript/wsmb.js"
import { act, report, told, WebSocket } from "./node_tools.mjs"

const { url, senderUrl = url, user, password, items, kills } = told
const sender = new Client(senderUrl, { user, password, WebSocket })
const receiver = new Client(url, { user, password, WebSocket })

const seen = new Map()
async function receive() {
  for await (const delivery of receiver.receive("kills", { prefetch: 100 })) {
    for (const item of delivery.data) seen.set(item, (seen.get(item) ?? 0) + 1)
    const acked = delivery.ack()
    if (delivery.data.includes("end") && (await acked)) break
  }
}

const receiving = receive()
const killing = []
const sendings = []
let confirmed = 0
const pendingAtKills = []
for (let item = 0; item < items; item += 1) {
  await sender.ready
  sendings.push(sender.send("kills", item).then(() => (confirmed += 1)))
  if (item > ((killing.length + 1) * items) / (kills + 1)) {
    pendingAtKills.push(sendings.length - confirmed)
    killing.push(act("kill"))
  }
}
await Promise.all(sendings)
await Promise.all(killing)
await sender.send("kills", "end") // behind all that the kills have brought back
await receiving
seen.delete("end")
await Promise.all([sender.close(), receiver.close()])
const twice = [...seen.values()].filter((count) => count > 1).length
await report({ failed: {}, confirmed, received: seen.size, twice, pendingAtKills })
