"""The settings of the HTTP side."""

from __future__ import annotations

from wsmb.config import values
from wsmb.config.option import Option

# fmt: off
HTTP_LISTEN = Option(
    "http", "listen", values.local_endpoint, None, "WSMB_HTTP_LISTEN",
    "Where to serve HTTP: Twisted server endpoints; tcp: without interface= is for this machine only",
    repeated=True,
)
# fmt: on
ALL = (HTTP_LISTEN,)
