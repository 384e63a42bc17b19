"""Where a request has its user and password."""

from __future__ import annotations

from collections.abc import Sequence

from wsmb.auth import parse_basic

SUBPROTOCOL = "wsmb"

_FROM_URL_SAFE = str.maketrans("-_", "+/")


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
