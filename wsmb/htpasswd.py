"""Users and password hashes in the format of Apache's htpasswd.

passlib's own `HtpasswdFile` is not used: it takes an unknown hash for plain text, so that the hash
itself logs in, accepts `!`, `*` and empty passwords, and fails on the whole file for one bad line.
"""

from __future__ import annotations

import codecs
import re
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

import bcrypt

MAX_USER_BYTES = 256
MAX_PASSWORD_BYTES = 1024
MAX_BCRYPT_PASSWORD_BYTES = 72
"""bcrypt looks no further; its Python package raises on more since version 5."""
BCRYPT_COSTS = range(4, 16)
"""Cost 15 is two seconds of one core; more would let a few wrong passwords stop everybody's log-in."""
SHA_CRYPT_ROUNDS = range(1_000, 1_000_001)
"""As with bcrypt; below 1,000 the specification does not allow."""
SHA_CRYPT_DEFAULT_ROUNDS = 5_000

_NOT_IN_USER_NAMES = re.compile("[:\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_NOT_FIRST_IN_USER_NAMES = ("#", " ", "\ufeff")
_H64 = "[./0-9A-Za-z]"


class BadLine(NamedTuple):
    """A line that was passed over. Neither field holds anything of its content."""

    number: int
    """Counted from 1."""
    reason: str


@dataclass(frozen=True, slots=True)
class Entries:
    """What one htpasswd text says."""

    hashes: Mapping[str, str | None] = field(repr=False)
    """The first hash of each user; None if that line's hash is not acceptable: the user cannot log in."""
    bad_lines: tuple[BadLine, ...]

    @property
    def has_users(self) -> bool:
        """Whether anyone can log in."""
        return any(self.hashes.values())


@dataclass(frozen=True, slots=True)
class Users:
    """Who may log in."""

    hashes: Mapping[str, str] = field(repr=False)
    dummy_hash: str = field(repr=False)
    """Of the most common kind and cost in `hashes`: what to verify for a user that is not there."""


class _Cost(NamedTuple):
    scheme: str
    rounds: int | None


class _Kind(NamedTuple):
    scheme: str
    pattern: re.Pattern[str]
    rounds: range
    default_rounds: int | None


def _kind(scheme: str, pattern: str, rounds: range = range(0), default_rounds: int | None = None) -> _Kind:
    return _Kind(scheme, re.compile(pattern, re.ASCII), rounds, default_rounds)


# The last characters of bcrypt's salt and digest carry unused bits: no crypt() writes them other than zero.
_BCRYPT = rf"\$2[aby]\$(?P<rounds>\d\d)\${_H64}{{21}}[.Oeu]{_H64}{{30}}[.CGKOSWaeimquy26]"
_SHA_CRYPT = rf"(?:rounds=(?P<rounds>[1-9]\d{{0,8}})\$)?{_H64}{{0,16}}\$"
_KINDS = (
    _kind("bcrypt", _BCRYPT, BCRYPT_COSTS),
    _kind("sha512_crypt", rf"\$6\${_SHA_CRYPT}{_H64}{{86}}", SHA_CRYPT_ROUNDS, SHA_CRYPT_DEFAULT_ROUNDS),
    _kind("sha256_crypt", rf"\$5\${_SHA_CRYPT}{_H64}{{43}}", SHA_CRYPT_ROUNDS, SHA_CRYPT_DEFAULT_ROUNDS),
    _kind("apr_md5_crypt", rf"\$apr1\${_H64}{{0,8}}\${_H64}{{22}}"),
    _kind("ldap_sha1", r"\{SHA\}[A-Za-z0-9+/]{27}="),
)


@cache
def _context() -> Any:
    # 1.5 MB that a broker whose users all have bcrypt need not spend.
    from passlib.context import CryptContext  # noqa: PLC0415

    return CryptContext([kind.scheme for kind in _KINDS if kind.scheme != "bcrypt"])


def parse(text: bytes) -> Entries:
    """Read `user:hash` lines. Never raises: what cannot be read is among the bad lines."""
    hashes: dict[str, str | None] = {}
    bad_lines = []
    for number, line in enumerate(text.removeprefix(codecs.BOM_UTF8).split(b"\n"), start=1):
        reason = _take(line.strip(b" \t\r"), hashes)
        if reason:
            bad_lines.append(BadLine(number, reason))
    return Entries(hashes, tuple(bad_lines))


def _take(line: bytes, hashes: dict[str, str | None]) -> str | None:
    """Add the entry of `line` to `hashes`; if that cannot be, say why."""
    if not line or line.startswith(b"#"):
        return None
    user = user_of(line)
    if user is None:
        return "no valid user name before a colon"
    if user in hashes:
        return "a further line of the same user, of which the first counts"
    # Apache, too, takes what stands after a second colon for a comment.
    password_hash = line.split(b":")[1].decode("ascii", "replace")
    reason = _refusal(password_hash)
    hashes[user] = None if reason else password_hash
    return reason


def user_of(line: bytes) -> str | None:
    """The user whose line this is, whatever its hash; None for comments and lines without a user."""
    name, colon, _ = line.strip(b" \t\r\n").partition(b":")
    try:
        user = name.decode()
    except UnicodeDecodeError:
        return None
    return user if colon and is_user_name(user) else None


def is_user_name(user: str) -> bool:
    """Whether an htpasswd line can name this user: no colon, no control characters, 1 to 256 bytes."""
    return (
        bool(user)
        and not user.startswith(_NOT_FIRST_IN_USER_NAMES)
        and _NOT_IN_USER_NAMES.search(user) is None
        and len(user.encode()) <= MAX_USER_BYTES
    )


def _match(password_hash: str) -> tuple[_Kind, _Cost] | None:
    for kind in _KINDS:
        match = kind.pattern.fullmatch(password_hash)
        if match:
            rounds = match.groupdict().get("rounds")
            return kind, _Cost(kind.scheme, int(rounds) if rounds else kind.default_rounds)
    return None


def _refusal(password_hash: str) -> str | None:
    """Why this hash is not accepted, without anything of it."""
    matched = _match(password_hash)
    if matched is None:
        return "not a bcrypt, SHA-512, SHA-256, APR1 or {SHA} hash"
    kind, cost = matched
    if cost.rounds is not None and cost.rounds not in kind.rounds:
        return f"its cost is not between {kind.rounds[0]:,} and {kind.rounds[-1]:,}"
    return None


def merge(texts: Iterable[Entries]) -> Users:
    """The users of all texts, of which one at least has users, as if they were one text."""
    merged: dict[str, str | None] = {}
    for entries in texts:
        merged = {**entries.hashes, **merged}
    hashes = {user: password_hash for user, password_hash in merged.items() if password_hash}
    return Users(hashes, _dummy_hash(hashes.values()))


def _dummy_hash(hashes: Iterable[str]) -> str:
    costs = Counter(matched[1] for matched in map(_match, hashes) if matched)
    (scheme, rounds), _ = costs.most_common(1)[0]
    if scheme == "bcrypt" and rounds is not None:
        return bcrypt_hash(secrets.token_hex().encode(), rounds)
    hasher = _context().handler(scheme)
    if rounds is not None:
        hasher = hasher.using(rounds=rounds)
    return str(hasher.hash(secrets.token_hex()))


def bcrypt_hash(password: bytes, cost: int) -> str:
    """A new hash of `password`, which has 1 to 72 bytes and no NUL."""
    # 2y is the one mark that PHP, Apache and everything else understand.
    return bcrypt.hashpw(password, bcrypt.gensalt(cost)).decode().replace("$2b$", "$2y$", 1)


def verify(password: bytes, password_hash: str) -> bool:
    """Whether `password` is the one behind `password_hash`, which comes from `parse`. Takes its time."""
    is_bcrypt = password_hash.startswith("$2")
    longest = MAX_BCRYPT_PASSWORD_BYTES if is_bcrypt else MAX_PASSWORD_BYTES
    if not 0 < len(password) <= longest or b"\0" in password:
        return False
    if is_bcrypt:
        return bcrypt.checkpw(password, password_hash.encode())
    return bool(_context().verify(password, password_hash))
