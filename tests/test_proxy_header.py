"""Tests for wsmb.proxy_header."""

from __future__ import annotations

import socket

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from wsmb.proxy_header import MAX_BYTES_2, ProxyHeader, read_proxy_header

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
IPV4 = socket.inet_aton("203.0.113.5") + socket.inet_aton("10.0.0.1") + b"\x12\x67\x22\xb8"
IPV6 = socket.inet_pton(socket.AF_INET6, "2001:db8::9") * 2 + b"\x12\x67\x22\xb8"
REQUEST = b"GET / HTTP/1.1\r\n"


def version_2(rest: bytes, *, command: int = 0x21, kind: int = 0x11) -> bytes:
    return SIGNATURE + bytes((command, kind)) + len(rest).to_bytes(2, "big") + rest


GOOD = {
    b"PROXY TCP4 203.0.113.5 10.0.0.1 4711 8888\r\n": "203.0.113.5",
    b"PROXY TCP6 2001:DB8::9 2001:db8::1 4711 8888\r\n": "2001:db8::9",
    b"PROXY TCP6 ::ffff:203.0.113.5 ::1 4711 8888\r\n": "203.0.113.5",
    b"PROXY UNKNOWN\r\n": None,
    b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n": None,
    version_2(IPV4): "203.0.113.5",
    version_2(IPV4 + b"\x04\x00\x03abc"): "203.0.113.5",
    version_2(IPV6, kind=0x21): "2001:db8::9",
    version_2(b"", command=0x20, kind=0): None,
    version_2(IPV4, command=0x20): None,
    version_2(b"x" * 216, kind=0x31): None,
    version_2(IPV4, kind=0x12): None,
}
BAD = (
    REQUEST,
    b"PROXX TCP4 203.0.113.5 10.0.0.1 4711 8888\r\n",
    b"PROXY TCP4 203.0.113 10.0.0.1 4711 8888\r\n",
    b"PROXY TCP4 203.0.113.5\r\n",
    b"PROXY UNKNOWNX\r\n",
    b"PROXY TCP4 " + b"x" * 200,
    version_2(IPV4, command=0x22),
    version_2(IPV4, command=0x11),
    version_2(IPV4[:-1]),
    version_2(IPV4, kind=0x21),
    version_2(b"x" * MAX_BYTES_2),
)


class ProxyHeaderTests(SynchronousTestCase):
    def test_good_ones_with_a_request_behind(self) -> None:
        for header, address in GOOD.items():
            self.assertEqual(read_proxy_header(header + REQUEST), ProxyHeader(len(header), address), header)

    def test_while_they_are_not_complete(self) -> None:
        for header in GOOD:
            for size in range(len(header)):
                self.assertIsNone(read_proxy_header(header[:size]), header[:size])

    def test_bad_ones(self) -> None:
        for header in BAD:
            with self.assertRaises(ValueError, msg=header):
                read_proxy_header(header)

    @given(
        st.binary(max_size=60), st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", SIGNATURE, SIGNATURE + b"!"])
    )
    def test_whatever_comes(self, data: bytes, start: bytes) -> None:
        try:
            header = read_proxy_header(start + data)
        except ValueError:
            return
        if header is not None:
            self.assertLessEqual(header.size, len(start + data))
