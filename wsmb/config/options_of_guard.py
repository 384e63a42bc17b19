"""The settings that keep out who is not to come in, and who is one too many."""

from __future__ import annotations

from typing import Any

from wsmb.config import values
from wsmb.config.option import Option

_MOST = 10_000_000
_MOST_WAITING = 10**15

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
MAX_WAITING_ITEMS_PER_CHANNEL = Option(
    "limits", "max_waiting_items_per_channel", values.whole(0, _MOST_WAITING), "1000000",
    "WSMB_MAX_WAITING_ITEMS_PER_CHANNEL",
    "How many items can wait on a channel before what is sent there is refused; 0 is no limit",
    in_channel=True,
)
MAX_WAITING_BYTES_PER_CHANNEL = Option(
    "limits", "max_waiting_bytes_per_channel", values.whole(0, _MOST_WAITING), "1073741824",
    "WSMB_MAX_WAITING_BYTES_PER_CHANNEL",
    "The same, in bytes",
    in_channel=True,
)
MAX_WAITING_ITEMS = Option(
    "limits", "max_waiting_items", values.whole(0, _MOST_WAITING), "10000000", "WSMB_MAX_WAITING_ITEMS",
    "How many items can wait on all channels together; 0 is no limit",
)
MAX_WAITING_BYTES = Option(
    "limits", "max_waiting_bytes", values.whole(0, _MOST_WAITING), "10737418240", "WSMB_MAX_WAITING_BYTES",
    "The same, in bytes",
)
MIN_FREE_DISK_BYTES = Option(
    "limits", "min_free_disk_bytes", values.disk_floor, "auto", "WSMB_MIN_FREE_DISK_BYTES",
    "sqlite: room on the disk below which what is sent is not kept; auto: 256 MiB, at most a twentieth of it",
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

LIMITS: tuple[Option[Any], ...] = (
    *(MAX_CONNECTIONS, MAX_CONNECTIONS_PER_ADDRESS, MAX_CONNECTIONS_PER_USER),
    *(MAX_HANDSHAKES, MAX_HANDSHAKES_PER_ADDRESS),
    *(MAX_FAILURES, MAX_FAILURES_PER_ADDRESS, MAX_FAILURES_PER_USER),
    *(MAX_WAITING_ITEMS, MAX_WAITING_BYTES, MIN_FREE_DISK_BYTES),
)
"""Their keys are the names of the fields of Limits."""
ALL: tuple[Option[Any], ...] = (
    *(*LIMITS, MAX_WAITING_ITEMS_PER_CHANNEL, MAX_WAITING_BYTES_PER_CHANNEL),
    *(TRUSTED_PROXIES, PROXY_PROTOCOL, TLS_USERS, TLS_CLIENT_CA),
)
