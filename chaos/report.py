"""What is printed of the outcomes."""

from __future__ import annotations

from collections.abc import Sequence

from chaos.run import Outcome

_HEAD = (
    "scenario",
    "faults",
    "confirmed",
    "lost",
    "handed over",
    "twice",
    "of it wrongly",
    "out of order",
    "recovery s: median, max",
    "run s",
)
LEGEND = """\
faults        kills, cuts and the like
confirmed     items whose confirm came
lost          of them, never delivered
handed over   of them, never delivered: keep_data = true, and the broker was killed just after the hand-over
twice         further deliveries of items
of it wrongly not explained by a proof that a kill or a lost connection can have undone
out of order  first deliveries behind newer items of their sender and channel
recovery      from the restart of what was broken to the first confirm"""


def row(outcome: Outcome) -> tuple[str, ...]:
    """The figures, as in _HEAD."""
    verdict = outcome.verdict
    recovery = verdict.recovery
    return (
        outcome.scenario.name,
        str(outcome.faults.total()),
        f"{verdict.confirmed:,}",
        f"{verdict.lost:,}",
        f"{verdict.handed_over:,}",
        f"{verdict.doubled:,}",
        f"{verdict.doubled_wrongly:,}",
        f"{verdict.out_of_order:,}",
        f"{recovery[0]:.2f}, {recovery[1]:.2f}" if recovery else "-",
        f"{outcome.seconds:.0f}",
    )


def table(outcomes: Sequence[Outcome]) -> str:
    """All scenarios, one in each line."""
    rows = [_HEAD, *map(row, outcomes)]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(widths[0]) if not place else cell.rjust(widths[place])
            for place, cell in enumerate(one)
        )
        for one in rows
    )


def wrongs(outcome: Outcome) -> str:
    """What was wrong, with examples; empty if nothing was."""
    if outcome.is_good:
        return ""
    lines = [f"{outcome.scenario.name}: WRONG; its files are in {outcome.folder}"]
    lines += [f"  {example}" for example in outcome.verdict.examples]
    lines += [f"  {outcome.broken}"] if outcome.broken else []
    return "\n".join(lines)


def kinds(outcome: Outcome) -> str:
    """How often what was done."""
    return ", ".join(f"{what} {count}" for what, count in sorted(outcome.faults.items()))
