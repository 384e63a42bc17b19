"""The URL that says where waiting items are kept."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote

from wsmb.config import values
from wsmb.config.values import BadValueError, Warn
from wsmb.settings import DatabaseTls, TlsCheck


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """A database's URL in its parts; None is what it does not say."""

    driver: str
    name: str = ""
    """sqlite: the path, which may be relative."""
    host: str = ""
    """A name, an address, or the path of a Unix socket (pgsql: of its folder)."""
    port: int = 3306
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    prefix: str | None = None
    tls: DatabaseTls | None = None
    """Its file may be relative."""


_TLS_KEYS = {"mysql": ("ssl_verify", "ssl_ca"), "pgsql": ("sslmode", "sslrootcert")}
_TLS_MODES = {
    "ssl_verify": {"full": TlsCheck.NAME, "ca": TlsCheck.AUTHORITY, "no": TlsCheck.NOTHING},
    "sslmode": {
        **{"verify-full": TlsCheck.NAME, "verify-ca": TlsCheck.AUTHORITY, "require": TlsCheck.NOTHING},
        **{"prefer": TlsCheck.PREFERRED, "disable": TlsCheck.DISABLED},
    },
}
_SQLITE_FORM = "sqlite:///path or sqlite:////absolute/path"
_SERVER_FORM = "user:password@host:port/name"
_MYSQL_FORM, _PGSQL_FORM = f"mysql://{_SERVER_FORM}", f"pgsql://{_SERVER_FORM}"
DEFAULT_PORTS = {"mysql": 3306, "pgsql": 5432}
# The last @ ends the password, so that one with an unescaped /, ?, # or @ comes through.
_SERVER = re.compile(
    r"//(?:(?P<user>[^:]*?)(?::(?P<password>.*))?@)?"
    r"(?P<host>\[[^\[\]]+\]|[^:/?@\[\]]*)(?::(?P<port>[^/?@]*))?"
    r"(?:/(?P<name>[^/?@]*))?(?:\?(?P<query>[^@]*))?",
    re.DOTALL,
)


def database_url(text: str, warn: Warn) -> DatabaseUrl:
    """`memory:`, `sqlite:///path`, `mysql://user:password@host:port/name` or `pgsql://...`.

    Also `mariadb://` and `postgresql://`. No error shows a part of the URL, but for a wrong prefix: where
    something is left out, any other part can be the password.
    """
    scheme, _, rest = text.partition(":")
    read = {
        **{"memory": _memory_url, "sqlite": _sqlite_url, "mysql": _mysql_url, "mariadb": _mysql_url},
        **{"pgsql": _pgsql_url, "postgresql": _pgsql_url},
    }
    if scheme.lower() not in read:
        raise BadValueError(
            f"the URL is of no known kind; give memory:, {_SQLITE_FORM}, {_MYSQL_FORM} or {_PGSQL_FORM}"
        )
    try:
        return read[scheme.lower()](rest, warn)
    except UnicodeDecodeError:
        raise BadValueError("the URL's %XX are not UTF-8; write each byte of the UTF-8 as %XX") from None


def _memory_url(rest: str, warn: Warn) -> DatabaseUrl:
    if rest not in ("", "//"):
        raise BadValueError("something follows memory: in the URL; give memory: alone")
    return DatabaseUrl("memory")


def _sqlite_url(rest: str, warn: Warn) -> DatabaseUrl:
    location, _, query = rest.partition("?")
    if not location.startswith("///") or location.endswith("/"):
        raise BadValueError(f"the URL names no file; give {_SQLITE_FORM}")
    options = _query(query, ("prefix",), warn)
    return DatabaseUrl("sqlite", name=_decoded(location[3:]), prefix=options.get("prefix"))


def _mysql_url(rest: str, warn: Warn) -> DatabaseUrl:
    return _server_url("mysql", rest, warn)


def _pgsql_url(rest: str, warn: Warn) -> DatabaseUrl:
    return _server_url("pgsql", rest, warn)


def _server_url(driver: str, rest: str, warn: Warn) -> DatabaseUrl:
    form = f"{driver}://{_SERVER_FORM}"
    match = _SERVER.fullmatch(rest)
    if match is None or not match["name"]:
        raise BadValueError(f"the URL names no database; give {form}")
    port = match["port"] or str(DEFAULT_PORTS[driver])
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= 65_535:
        raise BadValueError(f"the URL's port is no number from 1 to 65535; give {form}")
    options = _query(match["query"] or "", ("unix_socket", "prefix", *_TLS_KEYS[driver]), warn)
    host = _decoded(match["host"].strip("[]")) or "localhost"
    return DatabaseUrl(
        driver,
        name=_decoded(match["name"]),
        host=options.get("unix_socket", host),
        port=int(port),
        username=_decoded(match["user"] or "") or None,
        password=None if match["password"] is None else _decoded(match["password"]),
        prefix=options.get("prefix"),
        tls=_tls(options, *_TLS_KEYS[driver]),
    )


def _tls(options: dict[str, str], mode_key: str, file_key: str) -> DatabaseTls | None:
    """Who names a file wants the server checked, unless the mode says otherwise."""
    mode, file = options.get(mode_key), options.get(file_key, "")
    if mode is None and not file:
        return None
    modes = _TLS_MODES[mode_key]
    if mode is not None and mode not in modes:
        raise BadValueError(f"the URL's {mode_key} is none; give {', '.join(modes)}")
    return DatabaseTls(TlsCheck.NAME if mode is None else modes[mode], "" if file == "system" else file)


def _query(query: str, known: tuple[str, ...], warn: Warn) -> dict[str, str]:
    options = {}
    for part in filter(None, query.split("&")):
        key, _, value = part.partition("=")
        if key not in known:
            raise BadValueError(f"unknown name after the ? of the URL; it takes only {', '.join(known)}")
        options[key] = _decoded(value)
    values.prefix(options.get("prefix", ""), warn)
    if not options.get("unix_socket", "/").startswith("/"):
        raise BadValueError("the URL's unix_socket is not absolute; give a path that begins with /")
    return options


def _decoded(text: str) -> str:
    return unquote(text, errors="strict")
