"""Stores: where items wait until somebody has received them."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Any

from wsmb.errors import SettingError
from wsmb.interfaces import MessageStore
from wsmb.settings import DatabaseSettings
from wsmb.store.dialects import Dialect
from wsmb.store.memory import MemoryStore
from wsmb.store.sql import SqlStore

# By name: who uses SQLite need not have PyMySQL in memory.
_DIALECTS = {
    "sqlite": ("wsmb.store.sqlite", "SqliteDialect"),
    "mysql": ("wsmb.store.mysql", "MysqlDialect"),
    "pgsql": ("wsmb.store.postgresql", "PostgresqlDialect"),
}
_EXTRAS = {"pgsql": "postgresql"}


def open_store(settings: DatabaseSettings, reactor: Any) -> MessageStore:
    """The store that `settings` name, its database open and its table there.

    Blocks for some seconds at most: to be called after the fork and before the reactor runs.
    Raises SettingError.
    """
    if settings.driver == "memory":
        return MemoryStore(partial(reactor.callLater, 0), reactor.seconds)
    if settings.driver not in _DIALECTS:
        message = f"[database] driver: {settings.driver!r} is not known; take memory, sqlite, mysql or pgsql"
        raise SettingError(message)
    dialect = dialect_of(settings)
    return SqlStore(dialect, reactor, dialect.open())


def dialect_of(settings: DatabaseSettings) -> Dialect:
    """The dialect of the database that `settings` name, not opened yet. Raises SettingError."""
    module, name = _DIALECTS[settings.driver]
    try:
        dialect: Dialect = getattr(import_module(module), name)(settings)
    except ImportError as error:
        reason = str(error).partition("\n")[0]
        extra = _EXTRAS.get(settings.driver)
        remedy = f"pip install 'wsmb[{extra}]'" if extra else "install wsmb again"
        message = f"[database] driver: {settings.driver} needs what is not installed ({reason}); {remedy}"
        raise SettingError(message) from None
    return dialect
