"""Writes docs/settings.md from the tables of settings in wsmb.config: `make docs-settings`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wsmb.config.option import Option
from wsmb.config.options import SECTIONS, keys_of

PAGE = Path(__file__).resolve().parents[1] / "docs" / "settings.md"
_HEAD = """# Settings

Every setting, by the section of the configuration file in which it stands. `make docs-settings` writes this
page from the tables that the broker itself reads its settings by. [wsmb.ini.example](../wsmb.ini.example) is
a file to begin with.

The command line goes before the environment, the environment before the file. A key with `[]` may be given
several times; an environment variable holds several values with spaces between. Where there is no default,
the text says what holds. [operations.md](operations.md#changing-settings) says which count without a restart.

Settings that say "channel, too" can stand in a section `[channel NAME]` as well, for that channel alone, or
with a `*` at the end of the name for all whose names begin so.
"""


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _default(option: Option[Any]) -> str:
    if option.default is None:
        return ""
    return _code(option.default) or "empty"


def _row(option: Option[Any]) -> str:
    also = [
        *([_code("--" + option.override.replace("_", "-"))] if option.override else []),
        *([_code(option.environment)] if option.environment else []),
        *(["channel, too"] if option.in_channel else []),
    ]
    cells = (_code(option.key + "[]" * option.repeated), _default(option), ", ".join(also), option.help)
    return "| " + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells) + " |"


def page() -> str:
    """The whole page, in Markdown."""
    parts = [_HEAD]
    for section in SECTIONS:
        rows = "\n".join(_row(option) for option in keys_of(section).values())
        parts.append(f"## [{section}]\n\n| key | default | also | |\n| --- | --- | --- | --- |\n{rows}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
