// What the page asks of the broker, and how it says numbers.

export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

// The origin: a relative address would take along a password that stands in the page's, which fetch refuses.
export async function ask(path, { method = "GET", body, key, timeout = 10_000 } = {}) {
  const answer = await fetch(location.origin + path, {
    method,
    body,
    headers: key ? { "Idempotency-Key": key } : {},
    signal: AbortSignal.timeout(timeout),
  });
  let said = {};
  try {
    said = await answer.json();
  } catch {
    // Something between here and the broker has answered.
  }
  if (!answer.ok) throw new Refused(answer.status, said.error ?? `HTTP ${answer.status}`);
  return said;
}

export const channelPath = (name) => `/channels/${encodeURIComponent(name)}`;

export const send = (channel, json, key) => ask(channelPath(channel), { method: "POST", body: json, key });

export function count(value, unknown = "–") {
  if (value === null || value === undefined) return unknown;
  if (value >= 1e9) return `${(value / 1e9).toFixed(1)} G`;
  if (value >= 1e6) return `${(value / 1e6).toFixed(1)} M`;
  return value >= 1e4 ? `${(value / 1e3).toFixed(1)} k` : String(Math.round(value * 10) / 10);
}

export const bytes = (value) => `${count(value)}B`.replace(/(\d)B/, "$1 B");

// In a narrow column.
export function age(seconds) {
  if (seconds === null) return "–";
  const [unit, size] = [["d", 86400], ["h", 3600], ["min", 60]].find(([, size]) => seconds >= size) ?? ["s", 1];
  return `${Math.floor(seconds / size)} ${unit}`;
}

export function duration(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

let answered = null;

function closed() {
  const dialog = document.getElementById("sure");
  // The event of the question before may come when the next one is open.
  if (dialog.open || !answered) return;
  const answer = answered;
  answered = null;
  answer(dialog.returnValue === "yes");
}

export function sure(text) {
  const dialog = document.getElementById("sure");
  closed();
  document.getElementById("sure-text").textContent = text;
  dialog.returnValue = "no";
  dialog.onclose = closed;
  dialog.showModal();
  return new Promise((resolve) => {
    answered = resolve;
  });
}
