"""What a case has found: a table, and which claims hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Findings:
    """Rows under `columns`, and claims about them."""

    columns: Sequence[str]
    rows: list[Sequence[object]] = field(default_factory=list)
    claims: list[tuple[str, bool]] = field(default_factory=list)

    def row(self, *cells: object) -> None:
        """One more row; of a number as many digits are shown as say something."""
        self.rows.append(cells)

    def claim(self, text: str, holds: bool) -> None:
        """What must be so, and whether it is."""
        self.claims.append((text, holds))

    @property
    def broken(self) -> list[str]:
        """The claims that do not hold."""
        return [text for text, holds in self.claims if not holds]

    def text(self) -> str:
        """The table and the claims, in Markdown."""
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        table = ["| " + " | ".join(map(shown, line)) + " |" for line in lines]
        claims = [f"- {'holds' if holds else 'DOES NOT HOLD'}: {text}" for text, holds in self.claims]
        return "\n".join([*table, "", *claims, ""])


def shown(cell: object) -> str:
    """A cell's text."""
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.3g}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)
