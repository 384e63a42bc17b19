"""The tables beside the original's, in SQLite."""

from __future__ import annotations

import re

from tests.contracts.census_contract import CensusContract
from tests.contracts.side_tables_contract import SideTablesContract
from tests.test_store_sqlite import SqliteCase
from wsmb.store.sqlite import SqliteDialect


class SqliteSideTables(SqliteCase, SideTablesContract, CensusContract):
    # As schema file 0001 makes it, which was all there was at first.
    original_table = (
        "CREATE TABLE mq_data (data_id INTEGER PRIMARY KEY AUTOINCREMENT, channel varchar(100) DEFAULT NULL,"
        " data longtext, created datetime DEFAULT NULL)"
    )

    def make_dialect(self) -> SqliteDialect:
        return SqliteDialect(self.settings)

    def schema(self) -> dict[str, str]:
        rows = self.sql(
            "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'mq_data%'"
        )
        return {name: re.sub(r"\s+", " ", text) for name, text in rows}
