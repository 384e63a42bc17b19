"""The measured figures as Markdown: medians, spread, ratios."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from benchmarks.cases import CASES, SIZES, UNITS, Measured

OURS = "wsmb"
RATIOS = {
    "many channels": (
        ("one receiver of 10,000 channels", "one receiver of 1 channel"),
        ("10,000 receivers of a channel each", "10,000 receivers of 1 channel, each message to one"),
    ),
    "a receiver that does not read": (
        ("another on the channel does not read", "alone"),
        ("another elsewhere does not read", "alone"),
    ),
    "items kept": (("pipelined", "one transaction each"),),
}
"""Of wsmb alone: (this, in relation to that)."""


def values(measured: Iterable[Measured], case: str, size: int, server: str, figure: str) -> list[float]:
    """One figure of each round in which it was measured."""
    return [
        one["figures"][figure]
        for one in measured
        if (one["case"], one["size"], one["server"]) == (case, size, server)
        and figure in one.get("figures", {})
    ]


def compared(measured: Sequence[Measured], servers: Sequence[str]) -> list[str]:
    """A row for each case, size and figure; a column for each server."""
    lines = ["| | " + " | ".join(("size", "figure", *servers)) + " |", "| --- " * (len(servers) + 3) + "|"]
    for case in CASES:
        for figure in case.figures:
            for size in SIZES:
                found = [values(measured, case.name, size, server, figure) for server in servers]
                if any(found):
                    cells = [case.name, f"{size:,}", UNITS[figure], *_cells(found)]
                    lines.append("| " + " | ".join(cells) + " |")
    return lines if len(lines) > 2 else []


def _cells(found: Sequence[list[float]]) -> list[str]:
    """The first is ours; the others say what ours is in relation to them."""
    ours, *others = found
    return [_cell(ours), *(_cell(other) + _times(ours, other) for other in others)]


def _cell(figures: Sequence[float]) -> str:
    if not figures:
        return ""
    if len(figures) == 1:
        return _short(figures[0])
    return f"{_short(median(figures))} ({_short(min(figures))} to {_short(max(figures))})"


def _short(figure: float) -> str:
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}"


def _times(ours: Sequence[float], theirs: Sequence[float]) -> str:
    return f" **{median(ours) / median(theirs):.2f}**" if ours and theirs else ""


def alone(measured: Sequence[Measured]) -> list[str]:
    """A row for each figure of wsmb alone, and the ratios that are wanted of them."""
    lines = ["| wsmb alone | | median (spread) |", "| --- | --- | --- |"]
    for case in dict.fromkeys(one["case"] for one in measured if one["size"] == 0):
        rounds = [one["figures"] for one in measured if one["case"] == case and "figures" in one]
        names = list(rounds[0]) if rounds else []
        lines += [f"| {case} | {name} | {_cell([each[name] for each in rounds])} |" for name in names]
        for this, that in RATIOS.get(case, ()):
            ratios = [each[this] / each[that] for each in rounds]
            lines.append(f"| {case} | **{this} / {that}** | **{_cell(ratios)}** |")
    return lines if len(lines) > 2 else []


def notes(measured: Sequence[Measured]) -> list[str]:
    """What must be known of single figures: losses, errors, the load generator at its limit."""
    lines = []
    for one in measured:
        where = f"{one['case']}, {one['size']:,} bytes, {one['server']}, round {one['round']}"
        figures = one.get("figures", {})
        if "error" in one:
            lines.append(f"- {where}: {one['error']}")
        if figures.get("lost") or figures.get("duplicated"):
            lines.append(f"- {where}: lost {figures['lost']:,.0f}, duplicated {figures['duplicated']:,.0f}")
        if figures.get("load_cpu", 0) > 0.9:
            lines.append(f"- {where}: the load generator was at the limit of its core")
    return lines
