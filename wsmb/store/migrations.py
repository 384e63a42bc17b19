"""The numbered schema files, and what else is looked at when a store is opened."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from wsmb.errors import SettingError

LATEST = 2
"""The number of the last schema file of every dialect."""


def table_name(prefix: str) -> str:
    """The data table's name; SettingError for a prefix that cannot be part of one."""
    # 64 characters is MySQL's limit, `message_id` the longest ending.
    if not re.fullmatch(r"[A-Za-z0-9_$]{0,54}", prefix):
        message = f"[database] prefix: {prefix!r} is not made of letters, digits, _ and $; change it"
        raise SettingError(message)
    return f"{prefix}data"


def upgrade(cursor: Any, dialect: str, prefix: str, version: int) -> None:
    """Carry out the schema files above `version`, which each end with a note of their own number.

    `version` is 0 where there is no data table, 1 where there is nothing but that. The caller commits.
    SettingError if a later wsmb has been here.
    """
    if version > LATEST:
        message = (
            f"[database] prefix: the tables {prefix}* are of a later wsmb (schema {version}; this one knows"
            f" {LATEST}); install that one or choose another prefix"
        )
        raise SettingError(message)
    for number in range(version + 1, LATEST + 1):
        for statement in schema_statements(dialect, number, prefix):
            cursor.execute(statement)


def schema_statements(dialect: str, number: int, prefix: str) -> Iterable[str]:
    """The statements of one numbered schema file."""
    path = Path(__file__).parent / "schema" / dialect / f"{number:04}.sql"
    text = path.read_text(encoding="utf-8").replace("{prefix}", prefix)
    return [statement for statement in text.split(";\n") if statement.strip()]


def check_columns(table: str, found: Iterable[str]) -> None:
    """SettingError unless the columns of the original are among `found`."""
    missing = {"data_id", "channel", "data", "created"} - {name.lower() for name in found}
    if missing:
        message = (
            f"[database] prefix: the table {table} is there but has no column {', '.join(sorted(missing))};"
            " choose another prefix or add what is missing"
        )
        raise SettingError(message)
