"""Turns the text of one setting into its value."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar
from urllib.parse import urlsplit

from wsmb import addresses
from wsmb.settings import KeepData, LogFormat, ReceiverChoice, TlsUsers

T = TypeVar("T")
Warn = Callable[[str], None]
Parser = Callable[[str, Warn], T]
"""Takes the text and something to call with what is worth a warning. Raises BadValueError."""


class BadValueError(Exception):
    """What is wrong with a value, and the remedy. The text holds no secret."""


def shown(text: str) -> str:
    """`text` for an error: on one line, short, and without what may be the password of a URL."""
    hidden = re.sub(r"://.*|:.*@", ":...", text, flags=re.DOTALL)
    return repr(hidden if len(hidden) <= 200 else f"{hidden[:197]}...")


def shown_name(name: str) -> str:
    """The name of a setting for an error.

    Only if it is a name: in `password: hunter=2`, all up to the `=` is taken for one.
    """
    return name if re.fullmatch(r"[\w.>-]{1,60}", name) else "(no name)"


def printable(name: str) -> str:
    """A name from the outside, on one line and not too long."""
    short = name if len(name) <= 120 else f"{name[:117]}..."
    return short if short.isprintable() else ascii(short)


def nearest(name: str, known: Iterable[str]) -> str:
    """The one of `known` that was probably meant, or an empty string."""
    # Only who has mistyped something needs it in memory.
    from difflib import get_close_matches  # noqa: PLC0415

    by_lower = {other.lower(): other for other in known}
    matches = get_close_matches(name.lower()[:100], by_lower, n=1)
    return by_lower[matches[0]] if matches else ""


def _unfit(text: str, wanted: str) -> BadValueError:
    return BadValueError(f"{shown(text)} cannot be used; give {wanted}")


def plain(text: str, warn: Warn) -> str:
    """Any text."""
    return text


def channel_or_none(text: str, warn: Warn) -> str:
    """The name of a channel, or nothing."""
    if len(text) > 100:
        raise _unfit(text, "a name of at most 100 characters")
    return text


def whole(low: int, high: int) -> Parser[int]:
    """A whole number, both bounds included."""

    def parse(text: str, warn: Warn) -> int:
        if not re.fullmatch(r"[0-9]{1,18}", text) or not low <= int(text) <= high:
            raise _unfit(text, f"a whole number from {low} to {high}")
        return int(text)

    return parse


def disk_floor(text: str, warn: Warn) -> int | None:
    """Bytes, or `auto`, which is None."""
    if text.lower() == "auto":
        return None
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise _unfit(text, "a number of bytes, 0 for no floor, or auto")
    return int(text)


def seconds(low: int, *, or_zero: bool = False) -> Parser[float]:
    """A time in seconds, at most a day."""
    wanted = f"seconds from {low} to 86400" + (", or 0 for never" if or_zero else "")

    def parse(text: str, warn: Warn) -> float:
        value = float(text) if re.fullmatch(r"[0-9]{1,5}(\.[0-9]{1,6})?", text) else -1.0
        if not (low <= value <= 86_400 or (or_zero and value == 0)):
            raise _unfit(text, wanted)
        return value

    return parse


def milliseconds(text: str, warn: Warn) -> float:
    """A time in milliseconds, at most a day; returned in seconds."""
    return whole(0, 86_400_000)(text, warn) / 1000


def choice(values: Mapping[str, T]) -> Parser[T]:
    """One of some words, in any case."""
    words = [word for word in values if word]
    wanted = f"{', '.join(words[:-1])} or {words[-1]}"

    def parse(text: str, warn: Warn) -> T:
        if text.lower() not in values:
            raise _unfit(text, wanted)
        return values[text.lower()]

    return parse


_KEEP = {each.value: each for each in KeepData} | {"offline": KeepData.OFFLINE}
_PHP_YES_AND_NO = dict.fromkeys(("on", "yes", "1"), KeepData.OFFLINE) | dict.fromkeys(
    ("off", "no", "0", "none", "null", ""), KeepData.NEVER
)
receiver_choice = choice({each.value: each for each in ReceiverChoice})
tls_users = choice({each.value: each for each in TlsUsers})
yes_or_no = choice({"true": True, "false": False, "yes": True, "no": False, "on": True, "off": False})
log_format = choice({each.value: each for each in LogFormat})
source = choice({"file": "file", "config": "config"})
driver = choice(
    {
        **{"mysql": "mysql", "mariadb": "mysql", "pgsql": "pgsql", "postgresql": "pgsql"},
        **{"sqlite": "sqlite", "memory": "memory"},
    }
)


def keep_data(text: str, warn: Warn) -> KeepData:
    """`false`, `true` or `offline`, `always`, or PHP's spellings of yes and no."""
    php = _PHP_YES_AND_NO.get(text.lower())
    return choice(_KEEP)(text, warn) if php is None else php


def number_of_receiver(text: str, warn: Warn) -> int:
    """A whole number whose sign is ignored."""
    number = whole(0, 1_000_000_000)(text.removeprefix("-"), warn)
    if text.startswith("-"):
        warn(f"the sign is ignored, {number} is used; write 0 for every receiver")
    return number


def limit(text: str, warn: Warn) -> int:
    """A whole number of at least 1, for which 0 is taken."""
    number = whole(0, 1_000_000)(text, warn)
    if number == 0:
        warn("0 is taken as 1; write 1")
    return max(1, number)


def path(text: str, warn: Warn) -> str:
    """The path of a URL."""
    if not re.fullmatch(r"/[^?#\s]*", text):
        raise _unfit(text, "a path that begins with /, such as / or /broker")
    return text


def prefix(text: str, warn: Warn) -> str:
    """The beginning of a table's name; together with `data` it fits MySQL's 64 characters."""
    if not re.fullmatch(r"[A-Za-z0-9_$]{0,60}", text):
        raise _unfit(text, "at most 60 letters, digits, _ and $, such as mq_")
    return text


def endpoint(text: str, warn: Warn) -> str:
    """A Twisted server endpoint string; only its shape is looked at."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*:\S.*", text):
        raise _unfit(text, "an endpoint such as tcp:8888 or tcp:8888:interface=127.0.0.1")
    kind, *parts = text.split(":")
    if kind == "systemd" and not _OF_SYSTEMD.fullmatch(":".join(sorted(parts))):
        raise _unfit(text, "systemd:domain=INET:index=0 (or INET6, UNIX; name=NAME in place of index)")
    return text


def local_endpoint(text: str, warn: Warn) -> str:
    """The same, but tcp without an interface is for programs on this machine only."""
    kind = endpoint(text, warn).partition(":")[0]
    if kind not in _LOCAL or re.search(r"(?<!\\):interface=", text):
        return text
    return f"{text}:interface={_LOCAL[kind]}"


_OF_SYSTEMD = re.compile(r"domain=(INET|INET6|UNIX):(index=[0-9]{1,4}|name=[^:=\\]+)")
_LOCAL = {"tcp": "127.0.0.1", "tcp6": r"\:\:1"}


def network(text: str, warn: Warn) -> str:
    """Whose peers can be trusted: `unix`, an address or a network."""
    try:
        addresses.network(text)
    except ValueError:
        raise _unfit(text, "an address such as 192.0.2.1, a network such as 10.0.0.0/8, or unix") from None
    return text


def origin(text: str, warn: Warn) -> str:
    """The origin of a web page as browsers write it, or `null`."""
    if text != "null" and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/@?#\s]+", text.lower()):
        raise _unfit(text, "scheme://host or scheme://host:port, such as https://shop.example")
    return text.lower()


def webhook(text: str, warn: Warn) -> str:
    """A URL to which something is posted. What follows its scheme may be a secret and is never shown."""
    wanted = "https://host/path, without a user, a password and a fragment"
    if not re.fullmatch(r"https?://[!-~]+", text) or "#" in text:
        raise _unfit(text, wanted)
    try:
        parts = urlsplit(text)
        fits = bool(parts.hostname) and "@" not in parts.netloc and parts.port != 0
    except ValueError:  # a port that is no number, half an IPv6 address
        fits = False
    if not fits:
        raise _unfit(text, wanted)
    return text


def is_safe_from_listeners(url: str) -> bool:
    """Whether what is posted to `url` is encrypted, or stays on this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or parts.hostname in ("localhost", "127.0.0.1", "::1")


def webhook_secret(text: str, warn: Warn) -> bytes:
    """The key of signatures, as Standard Webhooks writes it."""
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except ValueError:  # no base64, no ASCII
        key = b""
    if not text.startswith("whsec_") or not 24 <= len(key) <= 64:
        raise BadValueError(
            "(not shown) cannot be used; give whsec_ and the base64 of 24 to 64 random bytes, such as "
            "echo whsec_$(openssl rand -base64 32)"
        )
    return key
