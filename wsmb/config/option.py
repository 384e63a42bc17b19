"""What a setting is; the tables of all settings are in options and options_of_*."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from wsmb.config.values import Parser

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Option(Generic[T]):
    """One setting."""

    section: str
    key: str
    parse: Parser[T]
    default: str | None
    """As it would stand in the file; None where it depends on other settings (`help` says how)."""
    environment: str
    """The variable's name; empty where there is none."""
    help: str
    override: str = ""
    """Its name among the command line's, if it is there."""
    repeated: bool = False
    """May be given several times: `key[] = value`."""
    in_channel: bool = False
    """May stand in a `[channel NAME]` section, too."""
    empty_counts: bool = False
    """Whether `key =` is a value; else it is as if it were not there."""

    @property
    def title(self) -> str:
        """How errors and documents call it."""
        return f"[{self.section}] {self.key}"

    def default_value(self) -> T:
        """The value of `default`, which must not be None."""
        if self.default is None:
            raise LookupError(f"{self.title} has no default of its own")
        return self.parse(self.default, lambda _: None)
