"""The header by which a proxy says who speaks through it (the PROXY protocol of HAProxy, versions 1 and 2).

https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import NamedTuple

from wsmb.addresses import normal

MAX_BYTES_1 = 107
MAX_BYTES_2 = 2_048
"""The specification allows 65,551, which nobody needs."""
_SIGNATURE_1 = b"PROXY "
_SIGNATURE_2 = b"\r\n\r\n\x00\r\nQUIT\n"
_LINE = re.compile(rb"PROXY TCP[46] (\S+) (\S+) \d{1,5} \d{1,5}\r\n")
_LENGTHS = {0x11: 4, 0x21: 16}
"""Of the source address, by family and transport: TCP over IPv4 and IPv6."""


class ProxyHeader(NamedTuple):
    """A whole header."""

    size: int
    address: str | None
    """The client's IP address; None if it does not say: the proxy speaks for itself."""


def read_proxy_header(data: bytes) -> ProxyHeader | None:
    """The header that `data` begins with; None if it is not complete. Raises ValueError if there is none."""
    if data.startswith(_SIGNATURE_1):
        return _version_1(data)
    if data.startswith(_SIGNATURE_2):
        return _version_2(data)
    if _SIGNATURE_1.startswith(data) or _SIGNATURE_2.startswith(data):
        return None
    raise ValueError("no header of a proxy")


def _version_1(data: bytes) -> ProxyHeader | None:
    size = data.find(b"\r\n", 0, MAX_BYTES_1) + 2
    if size < 2:
        if len(data) >= MAX_BYTES_1:
            raise ValueError("no end")
        return None
    line = data[:size]
    if line.startswith(b"PROXY UNKNOWN") and line[13:14] in b" \r":
        return ProxyHeader(size, None)
    match = _LINE.fullmatch(line)
    address = normal(match[1].decode("latin-1")) if match else None
    if address is None:
        raise ValueError("no address")
    return ProxyHeader(size, address)


def _version_2(data: bytes) -> ProxyHeader | None:
    if len(data) < 16:
        return None
    version_and_command, kind = data[12], data[13]
    size = 16 + int.from_bytes(data[14:16], "big")
    if version_and_command not in (0x20, 0x21) or size > MAX_BYTES_2:
        raise ValueError("unknown version or command, or too long")
    if len(data) < size:
        return None
    length = _LENGTHS.get(kind)
    if version_and_command == 0x20 or length is None:
        return ProxyHeader(size, None)
    if size < 16 + 2 * length + 4:
        raise ValueError("too short for its addresses")
    return ProxyHeader(size, normal(str(ip_address(data[16 : 16 + length]))))
