"""Clients of a broker: `Client` on asyncio, `BlockingClient` for scripts, `TwistedClient` as a service.

The core (`exchange`, `outgoing`, `incoming`) is pure; there is one thin file for each kind of I/O. What
is named here is imported when it is first used, so that who does not use Twisted need not have it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsmb.client.aio import Client as Client
    from wsmb.client.blocking import BlockingClient as BlockingClient
    from wsmb.client.blocking import BlockingDelivery as BlockingDelivery
    from wsmb.client.errors import AdmissionError as AdmissionError
    from wsmb.client.errors import ClientError as ClientError
    from wsmb.client.errors import ClosedError as ClosedError
    from wsmb.client.errors import ExpiredError as ExpiredError
    from wsmb.client.errors import Late as Late
    from wsmb.client.errors import RefusedError as RefusedError
    from wsmb.client.errors import UnconfirmedError as UnconfirmedError
    from wsmb.client.errors import UnreachableError as UnreachableError
    from wsmb.client.inbox import Delivery as Delivery
    from wsmb.client.sends import Receipt as Receipt
    from wsmb.client.service import TwistedClient as TwistedClient
    from wsmb.client.service import TwistedDelivery as TwistedDelivery
    from wsmb.client.target import TargetError as TargetError

_HOMES = {
    "aio": ("Client",),
    "blocking": ("BlockingClient", "BlockingDelivery"),
    "errors": (
        "AdmissionError",
        "ClientError",
        "ClosedError",
        "ExpiredError",
        "Late",
        "RefusedError",
        "UnconfirmedError",
        "UnreachableError",
    ),
    "inbox": ("Delivery",),
    "sends": ("Receipt",),
    "service": ("TwistedClient", "TwistedDelivery"),
    "target": ("TargetError",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME)  # noqa: PLE0605


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
