"""Stores: where items wait until somebody has received them."""

from __future__ import annotations

from functools import partial
from typing import Any

from wsmb.errors import SettingError
from wsmb.interfaces import MessageStore
from wsmb.settings import DatabaseSettings
from wsmb.store.dialects import Dialect
from wsmb.store.memory import MemoryStore
from wsmb.store.mysql import MysqlDialect
from wsmb.store.sql import SqlStore
from wsmb.store.sqlite import SqliteDialect

_DIALECTS: dict[str, type[SqliteDialect] | type[MysqlDialect]] = {
    "sqlite": SqliteDialect,
    "mysql": MysqlDialect,
}


def open_store(settings: DatabaseSettings, reactor: Any) -> MessageStore:
    """The store that `settings` name, its database open and its table there.

    Blocks for some seconds at most: to be called after the fork and before the reactor runs.
    Raises SettingError.
    """
    if settings.driver == "memory":
        return MemoryStore(partial(reactor.callLater, 0))
    if settings.driver not in _DIALECTS:
        message = f"[database] driver: {settings.driver!r} is not known; take memory, sqlite or mysql"
        raise SettingError(message)
    dialect: Dialect = _DIALECTS[settings.driver](settings)
    return SqlStore(dialect, reactor, dialect.open())
