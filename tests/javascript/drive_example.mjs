/** Uses examples/browser/ as a person does, and reports what it showed. */

import { Client } from "../../clients/javascript/wsmb.js"

const { url, user, password } = Object.fromEntries(new URLSearchParams(location.search))
const post = (path, body) => fetch(path, { method: "POST", body: JSON.stringify(body) })

const frame = document.querySelector("iframe")
const loaded = new Promise((resolve) => (frame.onload = resolve))
frame.src = "/examples/browser/"
await loaded
const page = frame.contentDocument
const $ = (selector) => page.querySelector(selector)
const problems = []
frame.contentWindow.onerror = (problem) => problems.push(String(problem))
page.addEventListener("securitypolicyviolation", ({ blockedURI }) => problems.push(`not allowed: ${blockedURI}`))

const saw = {}
const PATIENCE_S = 20
setTimeout(() => {
  const report = `${JSON.stringify(saw)}, ${problems}, and now: ${page.body.innerText}`
  post("/report", { failed: { "it did not go on": report } })
}, PATIENCE_S * 1000)

/** Resolved with what `found` finds, as soon as it is there. */
function shown(found) {
  return new Promise((resolve) => {
    const look = () => {
      const what = found()
      if (what) {
        observer.disconnect()
        resolve(what)
      }
    }
    const observer = new MutationObserver(look)
    observer.observe(page, { subtree: true, childList: true, characterData: true, attributes: true })
    look()
  })
}

const text = (selector, sought) => shown(() => $(selector).textContent.includes(sought) && $(selector).textContent)
const state = (sought) => shown(() => $("#state").dataset.state === sought && $("#state").textContent)

function fill(fields) {
  for (const [id, value] of Object.entries(fields)) $(`#${id}`).value = value
}

async function send(to, item) {
  fill({ to, item })
  $("#sender button").click()
  return text("#receipt", ".")
}

const entry = (sought) => shown(() => [...page.querySelectorAll("li")].find((li) => li.textContent.includes(sought)))
const answer = (li, sought) => shown(() => li.querySelector("output").textContent === sought && sought)

$("#url").type = "text" // as a browser that does not check it
fill({ url: "ws://nowhere:99999/", user, password: "wrong" })
$("#connect").click()
saw.address = await text("#state", "URL")
fill({ url })
$("#connect").click()
saw.refused = await text("#state", "allowed_origins")
$("#disconnect").click()
await state("closed")
fill({ password })
$("#connect").click()
saw.connected = await state("open")
saw.stored = await send("page", '{"n":1}')
fill({ from: "page" })
$("#receive").click()
const first = await entry('{"n":1}')
first.querySelector(".ack").click()
saw.done = await answer(first, "done")
await post("/do/kill")
await state("open")
const other = new Client(url, { user, password })
await other.send("page", "<b>later</b>")
await other.close()
const second = await entry("<b>later</b>")
saw.item = second.querySelector("code").textContent
second.querySelector(".reject").click()
saw.rejected = await answer(second, "comes again")
saw.forbidden = await (fill({ to: "secret", item: "x" }), $("#sender button").click(), text("#receipt", "Forbidden"))
$("#leave").click()
await shown(() => $("#leave").disabled)
fill({ from: "secret" })
$("#receive").click()
saw.problem = await text("#problem", "Forbidden")
$("#disconnect").click()
saw.left = await state("closed")
saw.foreign = performance
  .getEntriesByType("resource")
  .concat(frame.contentWindow.performance.getEntriesByType("resource"))
  .map(({ name }) => name)
  .filter((name) => !name.startsWith(location.origin))
await post("/report", { saw, problems, failed: {} })
