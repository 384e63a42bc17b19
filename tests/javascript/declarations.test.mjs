/** The declarations name what there is, and no more. */

import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { test } from "node:test"

import * as module from "../../clients/javascript/wsmb.js"
import { connected } from "./fakes.mjs"

const TEXT = readFileSync(new URL("../../clients/javascript/wsmb.d.ts", import.meta.url), "utf8")

/** The members of a class or an interface that is declared. */
function declared(name) {
  const [, body] = new RegExp(`^export (?:class|interface) ${name}\\b.*?{\n(.*?)^}`, "ms").exec(TEXT)
  return [...body.matchAll(/^ {2}(?:readonly )?(\w+)\??[(<:]/gm)].map(([, member]) => member).sort()
}

function members(thing) {
  return [...Object.keys(thing), ...Object.getOwnPropertyNames(Object.getPrototypeOf(thing))].sort()
}

test("each class has the members that are declared", async () => {
  const { client, socket } = connected()
  assert.deepEqual(members(client), declared("Client"))
  const deliveries = client.receive("sms")
  socket.deliver("sms", [1], { delivery: 1 })
  const { value } = await deliveries.next()
  assert.deepEqual(
    members(value).filter((name) => name !== "constructor"),
    declared("Delivery"),
  )
})

test("each class that is exported is declared", () => {
  const classes = [...TEXT.matchAll(/^export class (\w+)/gm)].map(([, name]) => name)
  assert.deepEqual(classes.sort(), Object.keys(module).sort())
})
