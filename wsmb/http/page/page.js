// The page: asks once a second for what it shows, as long as somebody looks at it.

import { age, ask, bytes, count, duration, send, sure } from "./ask.js";
import { Chart, mean } from "./charts.js";
import { findLetters } from "./letters.js";
import { Table } from "./tables.js";

const INTERVAL = 1000;
const SHARE = 2; // of the time that an answer takes: a broker that is slow to tell is asked less often
const LETTERS_EVERY = 5;
const number = "number";

const state = document.getElementById("state");
const figures = document.getElementById("figures");
const throughput = new Chart("throughput", ["received", "sent"]);
const latency = new Chart("latency", ["reactor", "database"]);
let before = null;
let round = 0;

function say(text, isBad = false) {
  // A screen reader is told of what changes, so not of every second.
  if (state.textContent !== text) state.textContent = text;
  state.classList.toggle("bad", isBad);
}

function endButton(row) {
  const button = document.createElement("button");
  button.className = "danger";
  button.textContent = "End";
  button.ariaLabel = `End the connection of ${row.user} from ${row.peer}`;
  button.addEventListener("click", async () => {
    if (!(await sure(`End the connection of ${row.user} from ${row.peer}?`))) return;
    button.disabled = true;
    await ask(`/admin/connections/${row.id}/end`, { method: "POST" }).catch((problem) => say(problem.message, true));
  });
  return button;
}

const channels = new Table({
  section: "channels",
  path: "/admin/channels",
  list: "channels",
  key: "name",
  what: "Channels",
  orders: ["waiting", "age", "rate", "senders", "receivers", "name"],
  columns: [
    { title: "Channel", className: "name", order: "name", ascends: true, cell: (row) => row.name },
    { title: "Senders", className: number, order: "senders", cell: (row) => count(row.senders) },
    { title: "Receivers", className: number, order: "receivers", cell: (row) => count(row.receivers) },
    { title: "Frames/s", className: number, order: "rate", cell: (row) => count(row.frames_per_s, "…") },
    { title: "Waiting", className: number, order: "waiting", cell: (row) => count(row.waiting_items) },
    { title: "Oldest", className: number, order: "age", cell: (row) => age(row.oldest_s) },
    { title: "Size", className: `${number} wide`, cell: (row) => bytes(row.waiting_bytes) },
  ],
});

const connections = new Table({
  section: "connections",
  path: "/admin/connections",
  list: "connections",
  key: "id",
  what: "Connections",
  orders: ["newest", "oldest", "outstanding", "user"],
  columns: [
    { title: "User", className: "name", order: "user", ascends: true, cell: (row) => row.user },
    { title: "From", className: "name", cell: (row) => row.peer.replace(/^tcp[46]?:/, "") },
    { title: "For", className: number, cell: (row) => duration(row.age_s) },
    { title: "In", className: `${number} wide`, cell: (row) => count(row.frames_received) },
    { title: "Out", className: `${number} wide`, cell: (row) => count(row.frames_sent) },
    { title: "Outstanding", className: number, order: "outstanding", cell: (row) => count(row.outstanding) },
    { title: "Queued", className: `${number} wide`, cell: (row) => bytes(row.queued_bytes) },
    { title: "End", className: "", button: endButton },
  ],
});

function show(now) {
  const shown = {
    Connections: count(now.connections),
    Channels: count(now.channels),
    Waiting: count(now.waiting_items),
    Outstanding: count(now.outstanding),
    Redelivered: count(now.redelivered),
    Dead: count(now.dead),
    Expired: count(now.expired),
    "In memory": bytes(now.buffer_bytes),
  };
  Object.entries(shown).forEach(([name, text], place) => {
    const tile = figures.children[place] ?? figures.appendChild(document.createElement("div"));
    if (!tile.children.length) {
      tile.append(document.createElement("dt"), document.createElement("dd"));
      tile.children[0].textContent = name;
    }
    if (tile.children[1].textContent !== text) tile.children[1].textContent = text;
  });
  document.getElementById("version").textContent = now.version;
}

function chart(now) {
  const seconds = before ? now.time_s - before.time_s : 0;
  if (seconds > 0 && now.connections_opened >= before.connections_opened) {
    const perSecond = (name) => Math.max(now[name] - before[name], 0) / seconds;
    const [received, sent] = [perSecond("frames_received"), perSecond("frames_sent")];
    throughput.add([received, sent], `${count(received)} received, ${count(sent)} sent`);
    const lag = mean(before.reactor_lag, now.reactor_lag);
    const store = mean(before.transactions, now.transactions);
    const ms = (value) => (value === null ? "none" : `${value.toFixed(1)} ms`);
    latency.add([lag, store], `timers late by ${ms(lag)}; transactions ${ms(store)}`);
  }
  before = now;
}

async function update() {
  const began = performance.now();
  let took = 0;
  try {
    const [now] = await Promise.all([ask("/admin/overview"), channels.update(), connections.update()]);
    took = performance.now() - began;
    show(now);
    chart(now);
    if (round++ % LETTERS_EVERY === 0) await findLetters();
    say(`Live, as ${now.user}`);
  } catch (problem) {
    say(problem.status ? `The broker refuses: ${problem.message}` : "The broker does not answer", true);
    // To go on would count as guessing.
    if (problem.status === 401 || problem.status === 403) return;
  }
  document.body.dataset.rounds = round;
  setTimeout(next, Math.max(INTERVAL - (performance.now() - began), took * SHARE));
}

function next() {
  if (document.hidden) document.addEventListener("visibilitychange", next, { once: true });
  else update();
}

document.getElementById("send-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { channel, item } = event.target;
  const said = document.getElementById("send-said");
  try {
    JSON.parse(item.value);
  } catch {
    said.textContent = "The item is not JSON.";
    return;
  }
  try {
    const sent = await send(channel.value, item.value);
    said.textContent = `Sent: to ${sent.receivers} receivers, ${sent.stored} stored.`;
  } catch (problem) {
    said.textContent = problem.message;
  }
});

update();
