"""Where a broker is and as whom to go there: URLs, user names and passwords. No I/O.

No text of an error holds a URL: there may be a password in it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

DEFAULT_URL = "ws://127.0.0.1:8888/"
_OPTIONS = ("--user", "--password-file FILE")
_ARGUMENTS = ("user=", "password=")
_DEFAULT_PORTS = {"ws": 80, "wss": 443}
_CHANNEL_KEYS = ("topic", "channel")
"""In a query: the broker then takes all frames for messages and answers nothing. See wsmb.topic_query."""


class TargetError(Exception):
    """No target in what was given. The text is one line: what is wrong and what to do about it."""


@dataclass(frozen=True, slots=True)
class Target:
    """A broker's address, and the credentials for it."""

    is_secure: bool
    host: str
    port: int
    resource: str
    user: str
    password: str = field(repr=False)

    @property
    def url_host(self) -> str:
        """The host as it stands in a URL and in the Host header."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def url(self) -> str:
        """The address without credentials, for messages."""
        return f"{'wss' if self.is_secure else 'ws'}://{self.url_host}:{self.port}{self.resource}"

    @property
    def authorization(self) -> str:
        """The value of the Authorization header; empty for a user who shows a certificate instead."""
        if not self.user:
            return ""
        credentials = f"{self.user}:{self.password}".encode("utf-8", "surrogateescape")
        return f"Basic {b64encode(credentials).decode()}"


def find_target(
    environ: Mapping[str, str], url: str | None = None, user: str | None = None, password: str | None = None
) -> Target:
    """The target that the arguments and the environment give. Raises TargetError.

    Arguments go before the URL's own credentials, these before WSMB_USER and WSMB_PASSWORD, and these
    before the names of the original (MQ_…). `url` may hold no password: whoever lists the processes
    would see it.
    """
    return _with_credentials(_address(environ, url), environ, user, password, _OPTIONS)


def library_target(
    environ: Mapping[str, str],
    url: str | None,
    user: str | None,
    password: str | None,
    *,
    has_certificate: bool = False,
) -> Target:
    """As `find_target`, for programs: nobody sees their arguments, so that `url` may hold a password.

    Who may have a certificate need have neither user nor password.
    """
    address = _address(environ, None) if url is None else _parse(url, "the URL")
    if has_certificate and not (user or address.user or environ.get("WSMB_USER")):
        return address
    return _with_credentials(address, environ, user, password, _ARGUMENTS)


def default_channel(environ: Mapping[str, str]) -> str | None:
    """The channel that the original's variables name. (The original writes CANNEL.)"""
    return environ.get("MQ_CHANNEL_NAME") or environ.get("MQ_CANNEL_NAME") or None


def _with_credentials(
    address: Target,
    environ: Mapping[str, str],
    user: str | None,
    password: str | None,
    ways: tuple[str, str],
) -> Target:
    user = user or address.user or environ.get("WSMB_USER") or environ.get("MQ_CLIENT_USERNAME")
    password = (
        password
        or (address.password if user == address.user else "")
        or environ.get("WSMB_PASSWORD")
        or environ.get("MQ_CLIENT_PASSWORD")
    )
    if not user or not password:
        raise TargetError(_missing(user, password, ways))
    if ":" in user:
        raise TargetError("a user name has no colon")
    return Target(address.is_secure, address.host, address.port, address.resource, user, password)


def _address(environ: Mapping[str, str], url: str | None) -> Target:
    if url is not None:
        address = _parse(url, "--url")
        if address.password:
            raise TargetError("--url may hold no password: set WSMB_PASSWORD or give --password-file")
        return address
    if environ.get("WSMB_URL"):
        return _parse(environ["WSMB_URL"], "WSMB_URL")
    host, port = environ.get("MQ_SERVER_HOST"), environ.get("MQ_SERVER_PORT")
    if host or port:
        host = host or "127.0.0.1"
        host = f"[{host}]" if ":" in host else host
        return _parse(f"ws://{host}:{port or 8888}/", "MQ_SERVER_HOST with MQ_SERVER_PORT")
    return _parse(DEFAULT_URL, "the default URL")


def _parse(url: str, name: str) -> Target:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise TargetError(
            f"{name} has no valid host and port (special characters in a password are written as %XX)"
        ) from None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise TargetError(f"{name} does not look like {DEFAULT_URL} or wss://host:port/path")
    resource = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if port == 0 or parts.fragment or not _is_plain(resource) or not _is_plain(parts.hostname):
        raise TargetError(f"{name} has a port 0, a fragment (#) or characters to be written as %XX")
    for key in (pair.partition("=")[0] for pair in parts.query.split("&")):
        if key in _CHANNEL_KEYS:
            raise TargetError(
                f"{name} has {key}= in it: leave that out, the channel is named apart from the URL"
            )
    return Target(
        parts.scheme == "wss",
        parts.hostname,
        _DEFAULT_PORTS[parts.scheme] if port is None else port,
        resource,
        unquote(parts.username or ""),
        unquote(parts.password or ""),
    )


def _is_plain(text: str) -> bool:
    return all("!" <= character <= "~" for character in text)


def _missing(user: str | None, password: str | None, ways: tuple[str, str]) -> str:
    remedies = []
    if not user:
        remedies.append(f"no user name: set WSMB_USER or give {ways[0]}")
    if not password:
        remedies.append(f"no password: set WSMB_PASSWORD or give {ways[1]}")
    return "; ".join(remedies)
