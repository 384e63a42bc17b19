"""The tables beside the original's, in MariaDB."""

from __future__ import annotations

from tests.contracts.census_contract import CensusContract
from tests.contracts.side_tables_contract import SideTablesContract
from tests.integration.mariadb_case import ORIGINAL_TABLE, MariaDBCase
from wsmb.store.mysql import MysqlDialect


class MariaDBSideTables(MariaDBCase, SideTablesContract, CensusContract):
    original_table = ORIGINAL_TABLE.format(charset="latin1")

    def make_dialect(self) -> MysqlDialect:
        return MysqlDialect(self.settings)

    def schema(self) -> dict[str, str]:
        names = [name for (name,) in self.sql("SHOW TABLES") if name != "mq_data"]
        return {name: self.sql(f"SHOW CREATE TABLE {name}")[0][1] for name in names}
