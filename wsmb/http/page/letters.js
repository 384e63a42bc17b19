// Dead letters. They are received as any client would, so nobody else gets them while they are looked at;
// those that nothing is done with come back after ack_timeout, or when they are put back.

import { ask, channelPath, send, sure } from "./ask.js";

const MOST = 50;
const form = document.getElementById("letters-form");
const list = document.getElementById("letters-list");
const back = document.getElementById("letters-back");
const said = document.getElementById("letters-said");
const names = document.getElementById("letters-names");
const held = new Map();

const acknowledge = (answer) => ask("/acks", { method: "POST", body: JSON.stringify(answer) });

function forget(id) {
  held.get(id)?.remove();
  held.delete(id);
  back.hidden = !held.size;
}

async function carryOut(button, action) {
  button.disabled = true;
  try {
    said.textContent = await action();
  } catch (problem) {
    said.textContent = problem.message;
  }
  button.disabled = false;
}

async function drop(id, text) {
  if (!(await sure("Drop this letter for good?"))) return "";
  await acknowledge({ ack: [id] });
  forget(id);
  return text;
}

// First sent, then acknowledged: if anything fails in between it is sent twice, and never lost.
async function replay(id, letter) {
  const sent = await send(letter.channel, JSON.stringify([letter.item]), `letter:${id}`);
  if (!sent.receivers && !sent.stored && !sent.duplicate) {
    return `Nobody receives on ${letter.channel}, and it keeps nothing: the letter stays.`;
  }
  await acknowledge({ ack: [id] });
  forget(id);
  return `Sent to ${letter.channel}.`;
}

function show({ id, data }) {
  const [letter] = data;
  const isLetter = data.length === 1 && typeof letter?.channel === "string" && "item" in letter;
  const line = document.createElement("li");
  const about = document.createElement("p");
  const item = document.createElement("pre");
  about.textContent = isLetter
    ? `${letter.time_stamp} · for ${letter.channel} · ${letter.reason} · tries: ${letter.deliveries} · last by ${letter.receiver}`
    : "This is no dead letter.";
  item.textContent = JSON.stringify(isLetter ? letter.item : data, null, 1);
  line.append(about, item);
  const actions = isLetter ? [["Replay", () => replay(id, letter)]] : [];
  actions.push(["Drop", () => drop(id, "Dropped.")]);
  for (const [text, action] of actions) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = text;
    button.addEventListener("click", () => carryOut(button, action));
    line.append(button, " ");
  }
  list.append(line);
  held.set(id, line);
}

async function putBack() {
  const ids = [...held.keys()];
  if (ids.length) await acknowledge({ reject: ids }).catch((problem) => problem.status === 404 || Promise.reject(problem));
  ids.forEach(forget);
  return "Put back.";
}

async function look(name) {
  await putBack();
  const { deliveries } = await ask(`${channelPath(name)}?max=${MOST}`, { timeout: 20_000 });
  deliveries.forEach(show);
  back.hidden = !held.size;
  if (!deliveries.length) return `Nothing waits on ${name}.`;
  return `Letters: ${deliveries.length}. Others do not get them until they are put back, or their ack_timeout is over.`;
}

function choose(name) {
  form.channel.value = name;
  form.requestSubmit();
}

// Which channels have dead letters, as far as their names say so.
export async function findLetters() {
  const { channels } = await ask("/admin/channels?find=dead.&max=20");
  const found = channels.filter(({ name, waiting_items: items }) => name.startsWith("dead.") && items);
  const text = found.map(({ name, waiting_items: items }) => `${name} (${items})`);
  if (names.dataset.text === text.join()) return;
  names.dataset.text = text.join();
  names.replaceChildren(...(found.length ? found.flatMap(({ name }, place) => [link(name, text[place]), " "]) : ["none"]));
}

function link(name, text) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = text;
  button.addEventListener("click", () => choose(name));
  return button;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  carryOut(form.querySelector("button"), () => look(form.channel.value));
});
back.addEventListener("click", () => carryOut(back, putBack));
