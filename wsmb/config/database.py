"""Which database it is, of all that was set."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TypeVar

from wsmb.config import options
from wsmb.config.database_url import DEFAULT_PORTS, DatabaseUrl
from wsmb.config.given import Folders, Found, Given, Rank
from wsmb.config.option import Option
from wsmb.config.values import shown
from wsmb.errors import SettingError
from wsmb.settings import DatabaseSettings, DatabaseTls

T = TypeVar("T")
_DEFAULT_FILE = "wsmb.sqlite3"


def choose_database(found: Found, folders: Folders) -> DatabaseSettings:
    """The database for a broker that keeps messages. Raises SettingError.

    A URL goes before what was set apart from it in the same or a lower place, but for what it
    leaves out: user, password and prefix.
    """
    url = found.one(options.DATABASE_URL)
    driver = found.one(options.DRIVER)
    if url and driver and driver.rank > url.rank and driver.value != url.value.driver:
        url = None
    if url is None and driver is None:
        return _default_database(found, folders)
    place = url.place if url else driver.place if driver else ""
    chosen = url.value.driver if url else driver.value if driver else ""
    if chosen in DEFAULT_PORTS:
        settings = _on_server(found, url, chosen)
        return replace(settings, tls=_tls(url, folders), place=place)
    return replace(_sqlite(found, url, folders) if chosen == "sqlite" else DatabaseSettings(), place=place)


def _default_database(found: Found, folders: Folders) -> DatabaseSettings:
    for option in (options.HOST, options.NAME):
        if given := found.one(option):
            raise SettingError(
                f"{options.DRIVER.title} is missing, though {option.key} is set ({given.place}): "
                "add driver = mysql (or pgsql) under [database], or WSMB_DATABASE_DRIVER=mysql"
            )
    path = folders.absolute(_DEFAULT_FILE, Rank.FILE)
    return DatabaseSettings("sqlite", path=path, prefix=found.value(options.PREFIX))


def _on_server(found: Found, url: Given[DatabaseUrl] | None, driver: str) -> DatabaseSettings:
    said = url.value if url else DatabaseUrl(driver, port=0)
    name = _part(found, options.NAME, url, said.name)
    if not name:
        raise _no_name(found, "the name of the database, such as name = message_broker")
    return DatabaseSettings(
        driver,
        host=_part(found, options.HOST, url, said.host) or found.value(options.HOST),
        port=_part(found, options.DATABASE_PORT, url, said.port) or DEFAULT_PORTS[driver],
        name=name,
        username=_part(found, options.USERNAME, url, said.username) or "",
        password=_part(found, options.PASSWORD, url, said.password) or "",
        prefix=_prefix(found, url),
    )


def _tls(url: Given[DatabaseUrl] | None, folders: Folders) -> DatabaseTls | None:
    tls = url.value.tls if url else None
    if url is None or tls is None or not tls.ca_file:
        return tls
    path = folders.absolute(tls.ca_file, url.rank)
    if not os.path.isfile(path):
        raise SettingError(
            f"{options.DATABASE_URL.title} ({url.place}): the file of authorities {shown(path)} is not there;"
            " name one that is, or leave it out for the system's"
        )
    return replace(tls, ca_file=path)


def _part(found: Found, option: Option[T], url: Given[DatabaseUrl] | None, in_url: T | None) -> T | None:
    """What was set above the URL, else what the URL says, else what was set below it."""
    given = found.one(option)
    above_url = given is not None and (url is None or given.rank > url.rank)
    return given.value if given is not None and (above_url or in_url is None) else in_url


def _prefix(found: Found, url: Given[DatabaseUrl] | None) -> str:
    """The original's table has no prefix where its `config.ini` says none."""
    prefix = _part(found, options.PREFIX, url, url.value.prefix if url else None)
    if prefix is not None:
        return prefix
    return options.PREFIX.default_value() if url else ""


def _no_name(found: Found, wanted: str) -> SettingError:
    driver = found.one(options.DRIVER)
    place = driver.place if driver else ""
    return SettingError(f"{options.NAME.title} is missing, though driver is set ({place}): give {wanted}")


def _sqlite(found: Found, url: Given[DatabaseUrl] | None, folders: Folders) -> DatabaseSettings:
    given = found.one(options.NAME)
    if url and (given is None or given.rank <= url.rank):
        path = _url_path(url, folders)
        title = f"{options.DATABASE_URL.title} ({url.place})"
    elif given:
        path = folders.absolute(given.value, given.rank)
        title = f"{options.NAME.title} ({given.place})"
    else:
        raise _no_name(found, "the path of its file, such as name = wsmb.sqlite3")
    _check_file(path, title)
    return DatabaseSettings("sqlite", path=path, prefix=_prefix(found, url))


def _url_path(url: Given[DatabaseUrl], folders: Folders) -> str:
    """People write `sqlite:///tmp/x.db` and mean /tmp/x.db."""
    path = folders.absolute(url.value.name, url.rank)
    from_root = os.path.normpath(os.path.join("/", url.value.name))
    relative_is_there = os.path.isdir(os.path.dirname(path))
    return from_root if not relative_is_there and os.path.isdir(os.path.dirname(from_root)) else path


def _check_file(path: str, title: str) -> None:
    if os.path.basename(path) == ":memory:":
        raise SettingError(f"{title}: :memory: is not a file here; give the URL memory: or driver = memory")
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        raise SettingError(
            f"{title}: the folder {shown(folder)} does not exist; make it, or name another file"
        )
    if os.path.isdir(path):
        raise SettingError(f"{title}: {shown(path)} is a folder; name a file in it")
