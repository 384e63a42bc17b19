// A list that the broker sorts and cuts into pages. Rows stay what they are while they are shown, so that
// neither a finger nor a screen reader loses its place when the figures change.

import { ask } from "./ask.js";

const ROWS = 25;

function make(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

export class Table {
  // `columns`: title, className, and cell(row) or button(row), which gives a button. `order`: what the list can
  // be sorted by, if it is by this column; `ascends`, if then the least comes first.
  constructor({ section, path, list, key, what, orders, columns }) {
    Object.assign(this, { path, list, key, columns, start: 0, total: 0 });
    this.shown = new Map();
    this.find = make("input", { type: "search", maxLength: 100, autocomplete: "off" });
    this.sort = make("select", {}, ...orders.map((each) => make("option", { value: each, textContent: each })));
    this.back = make("button", { type: "button", textContent: "Back" });
    this.more = make("button", { type: "button", textContent: "More" });
    this.where = make("span");
    this.body = make("tbody");
    this.heads = columns.map((column) => this.head(column));
    const table = make("table", {}, make("thead", {}, make("tr", {}, ...this.heads)), this.body);
    const scroll = make("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: what }, table);
    const controls = [make("label", {}, "Find", this.find), make("label", {}, "Sort by", this.sort)];
    const bar = make("div", { className: "bar" }, ...controls, this.back, this.more, this.where);
    document.getElementById(section).append(bar, scroll);
    this.find.addEventListener("input", () => this.go(0));
    this.sort.addEventListener("change", () => this.order(this.sort.value));
    this.back.addEventListener("click", () => this.go(this.start - ROWS));
    this.more.addEventListener("click", () => this.go(this.start + ROWS));
    this.mark();
  }

  head({ title, className = "", order }) {
    if (!order) return make("th", { scope: "col", className, textContent: title });
    const button = make("button", { type: "button", textContent: title, title: `Sort by ${order}` });
    button.addEventListener("click", () => this.order(order));
    return make("th", { scope: "col", className }, button);
  }

  order(order) {
    this.sort.value = order;
    this.mark();
    return this.go(0);
  }

  // Screen readers say it, and the style shows an arrow.
  mark() {
    this.columns.forEach(({ order, ascends }, place) => {
      if (order === this.sort.value) this.heads[place].ariaSort = ascends ? "ascending" : "descending";
      else this.heads[place].removeAttribute("aria-sort");
    });
  }

  go(start) {
    this.start = Math.max(start, 0);
    return this.update();
  }

  async update() {
    const asked = new URLSearchParams({ sort: this.sort.value, start: this.start, max: ROWS });
    if (this.find.value) asked.set("find", this.find.value);
    this.asked = asked;
    const answer = await ask(`${this.path}?${asked}`);
    if (this.asked !== asked) return; // another one is on its way
    this.total = answer.total;
    if (this.start >= this.total && this.start) await this.go(Math.floor((this.total - 1) / ROWS) * ROWS);
    else this.show(answer);
  }

  show(answer) {
    const rows = answer[this.list];
    const shown = new Map();
    rows.forEach((row, place) => {
      const name = row[this.key];
      const one = this.shown.get(name) ?? this.make(row);
      this.columns.forEach(({ cell }, column) => {
        const text = cell?.(row);
        if (cell && one.cells[column].textContent !== text) one.cells[column].textContent = text;
      });
      shown.set(name, one);
      if (this.body.children[place] !== one.line) this.body.insertBefore(one.line, this.body.children[place] ?? null);
    });
    while (this.body.children.length > rows.length) this.body.lastChild.remove();
    this.shown = shown;
    this.back.disabled = !this.start;
    this.more.disabled = this.start + rows.length >= this.total;
    this.where.textContent = rows.length ? `${this.start + 1}–${this.start + rows.length} of ${this.total}` : "none";
  }

  make(row) {
    const cells = this.columns.map(({ className = "", button }) => {
      const made = make("td", { className });
      if (button) made.append(button(row));
      return made;
    });
    return { line: make("tr", {}, ...cells), cells };
  }
}
