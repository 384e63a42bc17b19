"""What was measured: percentiles, rounds, their medians; as a table and for machines. No I/O."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from wsmb import __version__
from wsmb.bench.load import Load

PERCENTILES = (50.0, 90.0, 99.0, 99.9)
AT_LIMIT = 0.9
AT_LIMIT_LINE = "the load generator was at the limit of its core: the broker may be faster"


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest of the `ordered` values that `percent` of them do not exceed (nearest rank)."""
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


@dataclass(frozen=True, slots=True)
class Round:
    """One round, as it was counted.

    Deliveries are counted, not identified: one that is lost and one that came twice to the same
    receiver cancel out.
    """

    messages: int
    deliveries: int
    lost: int
    duplicated: int
    elapsed_s: float
    cpu_s: float
    """What the load generator itself has used."""
    latencies_s: Sequence[float]

    def figures(self) -> dict[str, float]:
        """The figures by their names. Latencies are in microseconds; they are missing if none was timed."""
        ordered = sorted(self.latencies_s)
        figures = {
            "messages": self.messages,
            "deliveries": self.deliveries,
            "lost": self.lost,
            "duplicated": self.duplicated,
            "elapsed_s": self.elapsed_s,
            "messages_per_s": self.messages / self.elapsed_s,
            "deliveries_per_s": self.deliveries / self.elapsed_s,
            "load_cpu": self.cpu_s / self.elapsed_s,
            "timed": len(ordered),
        }
        if ordered:
            figures |= {f"p{percent:g}_us": 1e6 * percentile(ordered, percent) for percent in PERCENTILES}
            figures["max_us"] = 1e6 * ordered[-1]
        return {name: round(figure, 6) for name, figure in figures.items()}


def summary(load: Load, rounds: Sequence[Round]) -> dict[str, Any]:
    """All of it for machines: the load, each round, the medians. Lost and duplicated are sums."""
    figures = [one.figures() for one in rounds]
    names = [name for name in figures[0] if all(name in one for one in figures)]
    medians = {name: median(one[name] for one in figures) for name in names}
    for name in ("lost", "duplicated"):
        medians[name] = sum(one[name] for one in figures)
    return {
        "wsmb": __version__,
        "load": asdict(load),
        "rounds": figures,
        "result": medians,
        "load_generator_at_limit": medians["load_cpu"] > AT_LIMIT,
    }


def table(found: dict[str, Any]) -> str:
    """The result for people."""
    result, rounds = found["result"], len(found["rounds"])
    rows = [
        ("messages sent", f"{result['messages_per_s']:,.0f}", "a second"),
        (
            "confirmed" if found["load"]["confirm"] else "deliveries",
            f"{result['deliveries_per_s']:,.0f}",
            "a second",
        ),
        *_latency_rows(result),
        ("lost", f"{result['lost']:,.0f}", ""),
        ("duplicated", f"{result['duplicated']:,.0f}", ""),
    ]
    width = max(len(value) for _, value, _ in rows)
    lines = [f"{name:15} {value:>{width}} {unit}".rstrip() for name, value, unit in rows]
    lines.append(_small_print(result, rounds, "confirms" if found["load"]["confirm"] else "deliveries"))
    if found["load_generator_at_limit"]:
        lines.append(AT_LIMIT_LINE)
    return "\n".join(lines)


def _latency_rows(result: dict[str, float]) -> list[tuple[str, str, str]]:
    names = [*(f"p{percent:g}" for percent in PERCENTILES), "max"]
    return [
        (f"latency {name}", f"{result[f'{name}_us']:,.0f}", "µs") for name in names if f"{name}_us" in result
    ]


def _small_print(result: dict[str, float], rounds: int, timed: str) -> str:
    of = f"median of {rounds} rounds, each " if rounds > 1 else ""
    return (
        f"{of}{result['messages']:,.0f} messages in {result['elapsed_s']:.2f} s;"
        f" {result['timed']:,.0f} {timed} were timed;"
        f" the load generator used {result['load_cpu']:.0%} of its core"
    )
