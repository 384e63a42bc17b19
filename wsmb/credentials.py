"""Where a request has its user and password."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence

from wsmb.htpasswd import MAX_PASSWORD_BYTES, is_user_name

SUBPROTOCOL = "wsmb"

_FROM_URL_SAFE = str.maketrans("-_", "+/")
_BASIC = re.compile(r"basic +([A-Za-z0-9+/]+={0,2}) *", re.IGNORECASE | re.ASCII)


def offered(protocols: Sequence[str], authorization: str) -> tuple[str | None, tuple[str, bytes] | None]:
    """The subprotocol to select and the (user, password) of a request: its subprotocols and `Authorization`.

    A browser cannot send `Authorization`; it offers the subprotocol `basic.<base64url>` as well.
    """
    if SUBPROTOCOL not in protocols:
        return None, parse_basic(authorization)
    offered = next((name for name in protocols if name.startswith("basic.")), None)
    if offered is None:
        return SUBPROTOCOL, parse_basic(authorization)
    return SUBPROTOCOL, parse_basic("Basic " + offered[len("basic.") :].translate(_FROM_URL_SAFE))


def parse_basic(header: str) -> tuple[str, bytes] | None:
    """User and password of an `Authorization: Basic …` header's value; None if it is not a proper one.

    The user is taken as UTF-8 or, where it is none, as Latin-1: RFC 7617 leaves it open. The password
    is what stood after the first colon.
    """
    match = _BASIC.fullmatch(header)
    decoded = _base64_decoded(match[1]) if match else None
    if decoded is None:
        return None
    name, colon, password = decoded.partition(b":")
    if not colon or len(password) > MAX_PASSWORD_BYTES:
        return None
    try:
        user = name.decode()
    except UnicodeDecodeError:
        user = name.decode("latin-1")
    return (user, password) if is_user_name(user) else None


def _base64_decoded(text: str) -> bytes | None:
    if text.endswith("=") and len(text) % 4:
        return None
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return None
