/** What programs of these tests need in Node. */

import { createRequire } from "node:module"

/** Built in, or the package `ws`, which the test has put on NODE_PATH. */
export const WebSocket = globalThis.WebSocket ?? createRequire(import.meta.url)("ws")

/** What the test has told this program. */
export const told = JSON.parse(process.argv[2] ?? "{}")

/** Ask the test for something; resolved when that is done. */
export async function act(name) {
  const answer = await fetch(`${told.site}/do/${name}`, { method: "POST" })
  if (!answer.ok) throw new Error(`${name}: ${answer.status}`)
}

/** Tell the test what has come out. */
export async function report(result) {
  await fetch(`${told.site}/report`, { method: "POST", body: JSON.stringify(result) })
}
