"""The plot of what `benchmarks.compare` has measured: `python -m benchmarks.plot RESULTS.json PLOT.svg`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

from benchmarks.cases import CASES, SIZES
from benchmarks.tables import values

COLOURS = ("#1b6ca8", "#b0b7bf", "#8fbf8f", "#e0a458")
LATENCIES = (
    ("one to one, one at a time", "p50_us"),
    ("one to one, one at a time", "p99_us"),
    ("one to one, 500 a second", "p99_us"),
)
# The same results give the same file.
mpl.rcParams.update({"svg.hashsalt": "wsmb", "font.size": 9})


def plot(found: dict[str, Any], file: Path) -> None:
    """Deliveries a second for each size, and latencies; medians, on logarithmic scales."""
    figure, axes = plt.subplots(2, 2, figsize=(11, 7.5), layout="constrained")
    throughput = [(case.name, "deliveries_per_s") for case in CASES if "deliveries_per_s" in case.figures]
    for axis, size in zip(axes.flat, SIZES, strict=False):
        _bars(axis, found, throughput, size)
        axis.set_xticks(range(len(throughput)), [_short(case) for case, _ in throughput])
        axis.set_title(f"{size:,} bytes: deliveries a second (more is better)")
    last = axes.flat[-1]
    _bars(last, found, LATENCIES, SIZES[0])
    labels = [f"{_short(case)}\n{name.removesuffix('_us')}" for case, name in LATENCIES]
    last.set_xticks(range(len(LATENCIES)), labels)
    last.set_title(f"{SIZES[0]} bytes, one to one: latency in µs (less is better)")
    axes.flat[0].legend(frameon=False)
    metadata = {"Date": None} if file.suffix == ".svg" else None
    figure.savefig(file, metadata=metadata, dpi=110)


def _bars(axis: Any, found: dict[str, Any], rows: Sequence[tuple[str, str]], size: int) -> None:
    servers = found["servers"]
    width = 0.8 / len(servers)
    for number, (server, colour) in enumerate(zip(servers, COLOURS, strict=False)):
        heights = [
            median(values(found["measured"], case, size, server, name) or [0.0]) for case, name in rows
        ]
        places = [place - 0.4 + width * (number + 0.5) for place in range(len(rows))]
        axis.bar(places, heights, width, color=colour, label=server)
        if any(heights):
            axis.set_yscale("log")
    axis.spines[["top", "right"]].set_visible(False)


def _short(case: str) -> str:
    return case.removeprefix("one to one, ").replace("pipelined", "1 to 1")


if __name__ == "__main__":
    plot(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
