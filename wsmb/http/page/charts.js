// Two charts of the last two minutes, by uPlot.
/* global uPlot */

const SPAN = 120;

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export class Chart {
  constructor(id, names) {
    this.place = document.getElementById(id);
    this.said = document.getElementById(`${id}-said`);
    this.names = names;
    this.data = [[], ...names.map(() => [])];
    this.draw();
    new ResizeObserver(() => this.plot.setSize(this.size())).observe(this.place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  size() {
    return { width: Math.max(this.place.clientWidth, 200), height: 160 };
  }

  draw() {
    this.plot?.destroy();
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 } };
    const strokes = [colour("--first"), colour("--second")];
    this.plot = new uPlot(
      {
        ...this.size(),
        legend: { live: false },
        cursor: { show: false },
        scales: { y: { range: (_, low, high) => [0, Math.max(high, 1) * 1.1] } },
        axes: [
          { ...axis, space: 90, size: 32, values: (_, times) => times.map((time) => new Date(time * 1000).toLocaleTimeString()) },
          { ...axis, size: 60 },
        ],
        series: [
          {},
          ...this.names.map((label, place) => ({
            label,
            stroke: strokes[place],
            width: 2,
            dash: place ? [6, 3] : undefined, // not by colour alone
            points: { show: false },
          })),
        ],
      },
      this.data,
      this.place,
    );
  }

  add(values, text) {
    const time = Date.now() / 1000; // the broker's clock is good for differences only
    this.data[0].push(time);
    values.forEach((value, place) => this.data[place + 1].push(value));
    while (this.data[0][0] < time - SPAN) this.data.forEach((column) => column.shift());
    this.plot.setData(this.data);
    this.said.textContent = text;
  }
}

// The mean of what a histogram has counted between two answers, in milliseconds.
export function mean(before, now) {
  const total = (histogram) => histogram.counts.reduce((sum, each) => sum + each, 0);
  const many = total(now) - total(before);
  return many > 0 ? ((now.sum_s - before.sum_s) / many) * 1000 : null;
}
