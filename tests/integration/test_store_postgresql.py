"""The PostgreSQL store on tables of every kind: its own, and somebody else's."""

from __future__ import annotations

from twisted.internet import reactor

from tests.contracts.store_contract import StoreContract
from tests.integration.postgresql_case import PostgresqlCase
from wsmb.interfaces import MessageStore
from wsmb.store import open_store


class PostgresqlStoreContract(StoreContract, PostgresqlCase):
    def setUp(self) -> None:
        PostgresqlCase.setUp(self)
        StoreContract.setUp(self)

    def open_store(self) -> MessageStore:
        return open_store(self.settings, reactor)


class CaseInsensitiveContract(PostgresqlStoreContract):
    """The same on a table whose collation takes `Alice` and `ÁLICE` for one name."""

    def open_store(self) -> MessageStore:
        self.sql("CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false)")
        self.make_table(channel="varchar(100) COLLATE loose")
        self.sql("CREATE INDEX ON mq_data (channel, data_id)")
        return super().open_store()
