"""Addresses of clients: which are trusted proxies, and who stands behind one."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

UNIX = "unix"
"""Takes the place of an address where the peer is a program on this machine, behind a Unix socket."""
_IPV6_SITE_BITS = 64


def normal(text: str) -> str | None:
    """The usual spelling of an IP address; None if it is none. `::ffff:192.0.2.1` is the IPv4 address.

    Without the zone of IPv6 (`%eth0`): it may be any text, and means something on one machine only.
    """
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(address)


def peer_address(transport: Any) -> str:
    """Where the other end of a connection (an ITransport) is: an IP address or UNIX."""
    return normal(getattr(transport.getPeer(), "host", "")) or UNIX


def site(address: str) -> str:
    """Whom an address is counted for: an IPv6 one for its /64, since each client has as many as it likes."""
    if ":" not in address:
        return address
    return str(IPv6Network((address, _IPV6_SITE_BITS), strict=False))


def network(text: str) -> IPv4Network | IPv6Network | str:
    """A network, a single address, or UNIX. Raises ValueError."""
    return UNIX if text == UNIX else ip_network(text)


class Networks:
    """Some networks, and perhaps Unix sockets."""

    def __init__(self, texts: Iterable[str]) -> None:
        """`texts` are such as `network` takes. Raises ValueError."""
        self._networks = [network(text) for text in texts]

    def __contains__(self, address: str) -> bool:
        if not self._networks or address == UNIX:
            return UNIX in self._networks
        found = ip_address(address)
        return any(found in one for one in self._networks if not isinstance(one, str))


def behind(peer: str, forwarded: str, trusted: Networks) -> str:
    """Who speaks through `peer`, by what `X-Forwarded-For` says (all of them, joined by commas).

    Each proxy adds to the right whom it was spoken to by, so from the right on, the first who is not
    trusted is the client. What stands to the left of it is the client's own word.
    """
    address = peer
    for text in reversed(forwarded.split(",") if forwarded else []):
        if address not in trusted:
            break
        found = normal(_without_port(text.strip(" \t")))
        if found is None:
            break
        address = found
    return address


def _without_port(text: str) -> str:
    """`192.0.2.1:4711` and `[2001:db8::1]:4711` are what some proxies write."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text
