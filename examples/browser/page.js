/** A page that sends and receives. It keeps the password nowhere but in the client. */

import { Client } from "../../clients/javascript/wsmb.js"

const $ = (id) => document.getElementById(id)
let client = null
let deliveries = null

const STATES = {
  connecting: () => "Connecting …",
  open: () => "Connected.",
  closed: () => "Not connected.",
  waiting: ({ reason, delay, attempts }) => {
    // A browser does not say why the broker has not let us in.
    const hint = attempts > 1 ? " Is the broker there? The password right? This site in its allowed_origins?" : ""
    return `${reason}; next attempt in ${delay.toFixed(1)} s.${hint}`
  },
}

function show(change) {
  $("state").dataset.state = change.state
  $("state").textContent = STATES[change.state](change)
}

function enable() {
  const isOn = client !== null
  $("connect").disabled = isOn
  $("disconnect").disabled = !isOn
  $("sender").querySelector("button").disabled = !isOn
  $("receive").disabled = !isOn || deliveries !== null
  $("leave").disabled = deliveries === null
}

function onSubmit(form, act) {
  $(form).addEventListener("submit", (event) => {
    event.preventDefault()
    act()
  })
}

onSubmit("login", async () => {
  try {
    const mine = new Client($("url").value, { user: $("user").value, password: $("password").value })
    mine.onstate = (change) => (client ?? mine) === mine && show(change) // not if it is an earlier one
    client = mine
    enable()
    await mine.connect()
  } catch (problem) {
    if (problem.code === "closed") return // before it was open; the state says so
    client = null
    enable()
    $("state").textContent = problem.message // no address, or one that this page may not use
  }
})

$("disconnect").addEventListener("click", async () => {
  const leaving = client
  client = null
  enable()
  await leaving.close()
})

onSubmit("sender", async () => {
  const [channel, text] = [$("to").value, $("item").value]
  $("receipt").textContent = `${text}: on its way …`
  try {
    // An array would be several items.
    const { receivers, stored } = await client.send(channel, [itemOf(text)])
    const become = stored > 0 ? "kept by the broker" : `sent to ${receivers} receiver${receivers === 1 ? "" : "s"}`
    $("receipt").textContent = `${text}: ${become}.`
  } catch (problem) {
    $("receipt").textContent = `${text}: ${problem.message}`
  }
})

function itemOf(text) {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

onSubmit("receiver", async () => {
  $("problem").textContent = ""
  try {
    deliveries = client.receive($("from").value, { prefetch: 20 })
    enable()
    for await (const delivery of deliveries) list(delivery)
  } catch (problem) {
    $("problem").textContent = problem.message
  }
  deliveries = null
  enable()
})

$("leave").addEventListener("click", () => deliveries.return())

function list(delivery) {
  const entry = $("delivery").content.cloneNode(true).firstElementChild
  const [code, output] = [entry.querySelector("code"), entry.querySelector("output")]
  code.textContent = delivery.data.map((item) => JSON.stringify(item)).join("\n")
  if (delivery.redelivered) output.textContent = "tried before"
  const answered = async (answering, text) => {
    output.focus() // or it would be lost with the button
    entry.querySelector(".row").remove()
    output.textContent = (await answering) ? text : "too late: it comes again"
  }
  entry.querySelector(".ack").addEventListener("click", () => answered(delivery.ack(), "done"))
  entry.querySelector(".reject").addEventListener("click", () => answered(delivery.reject({ delay: 5 }), "comes again"))
  $("deliveries").prepend(entry)
}
