"""The settings that keep out who is not to come in, and who is one too many."""

from __future__ import annotations

from typing import Any

from wsmb.config import values
from wsmb.config.option import Option

_MOST = 10_000_000

# fmt: off
MAX_CONNECTIONS = Option(
    "limits", "max_connections", values.whole(1, _MOST), "10000", "WSMB_MAX_CONNECTIONS",
    "How many clients can be connected at a time",
)
MAX_CONNECTIONS_PER_ADDRESS = Option(
    "limits", "max_connections_per_address", values.whole(1, _MOST), "5000",
    "WSMB_MAX_CONNECTIONS_PER_ADDRESS",
    "How many of them from one address (IPv6: from one /64)",
)
MAX_CONNECTIONS_PER_USER = Option(
    "limits", "max_connections_per_user", values.whole(1, _MOST), "5000", "WSMB_MAX_CONNECTIONS_PER_USER",
    "How many of them as one user",
)
MAX_HANDSHAKES = Option(
    "limits", "max_handshakes", values.whole(1, _MOST), "2000", "WSMB_MAX_HANDSHAKES",
    "How many connections there can be besides, whose request is being read",
)
MAX_HANDSHAKES_PER_ADDRESS = Option(
    "limits", "max_handshakes_per_address", values.whole(1, _MOST), "1000", "WSMB_MAX_HANDSHAKES_PER_ADDRESS",
    "How many of these from one address",
)
MAX_FAILURES = Option(
    "limits", "max_failures", values.whole(1, 1_000_000), "5", "WSMB_MAX_FAILURES",
    "Wrong passwords of one user from one address in a minute; then it has to wait before each further one",
)
MAX_FAILURES_PER_ADDRESS = Option(
    "limits", "max_failures_per_address", values.whole(1, 1_000_000), "20", "WSMB_MAX_FAILURES_PER_ADDRESS",
    "The same, for one address as any user",
)
MAX_FAILURES_PER_USER = Option(
    "limits", "max_failures_per_user", values.whole(1, 1_000_000), "100", "WSMB_MAX_FAILURES_PER_USER",
    "Wrong passwords of one user from all addresses in a minute; then each address has one try, not several",
)
TRUSTED_PROXIES = Option(
    "proxy", "trusted_proxies", values.network, None, "WSMB_TRUSTED_PROXIES",
    "Addresses or networks of proxies, or unix for Unix sockets, whose X-Forwarded-For is believed",
    repeated=True,
)
PROXY_PROTOCOL = Option(
    "proxy", "proxy_protocol", values.yes_or_no, "false", "WSMB_PROXY_PROTOCOL",
    "Whether trusted proxies begin each connection with a PROXY header (version 1 or 2)",
)
TLS_USERS = Option(
    "tls", "tls_users", values.tls_users, "password", "WSMB_TLS_USERS",
    "How users of ssl: endpoints say who they are: password, certificate, or both (one of the two)",
)
TLS_CLIENT_CA = Option(
    "tls", "tls_client_ca", values.plain, None, "WSMB_TLS_CLIENT_CA",
    "The file with the certificates of who signs those of users",
)
# fmt: on

LIMITS = (
    *(MAX_CONNECTIONS, MAX_CONNECTIONS_PER_ADDRESS, MAX_CONNECTIONS_PER_USER),
    *(MAX_HANDSHAKES, MAX_HANDSHAKES_PER_ADDRESS),
    *(MAX_FAILURES, MAX_FAILURES_PER_ADDRESS, MAX_FAILURES_PER_USER),
)
"""Their keys are the names of the fields of Limits."""
ALL: tuple[Option[Any], ...] = (*LIMITS, TRUSTED_PROXIES, PROXY_PROTOCOL, TLS_USERS, TLS_CLIENT_CA)
