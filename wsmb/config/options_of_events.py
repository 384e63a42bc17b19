"""The settings of what the broker tells of itself: events, webhooks, the log."""

from __future__ import annotations

from typing import Any

from wsmb.config import values
from wsmb.config.option import Option

_MOST_WAITING = 10**15

# fmt: off
NO_RECEIVER_SECONDS = Option(
    "events", "no_receiver_seconds", values.seconds(1, or_zero=True), "0", "WSMB_NO_RECEIVER_SECONDS",
    "Seconds that something waits on a channel without a receiver before an event tells of it; 0 is never",
    in_channel=True,
)
WAITING_ITEMS = Option(
    "events", "waiting_items", values.whole(0, _MOST_WAITING), "0", "WSMB_WAITING_ITEMS",
    "How many items can wait on a channel before an event tells of it; 0 is any number",
    in_channel=True,
)
RECEIVER_EVENTS = Option(
    "events", "receiver_events", values.yes_or_no, "false", "WSMB_RECEIVER_EVENTS",
    "Whether events tell of receivers that come and go",
    in_channel=True,
)
WEBHOOK = Option(
    "events", "webhook", values.webhook, None, "WSMB_WEBHOOK",
    "A URL to which events are posted, https:// or http://",
    repeated=True,
)
WEBHOOK_SECRET = Option(
    "events", "webhook_secret", values.webhook_secret, None, "WSMB_WEBHOOK_SECRET",
    "What these are signed with: whsec_ and 24 to 64 bytes in base64",
)
LOG_FORMAT = Option(
    "log", "format", values.log_format, "text", "WSMB_LOG_FORMAT",
    "How lines of the log are written: text, or json (one object a line)",
)
# fmt: on

OF_CHANNELS: tuple[Option[Any], ...] = (NO_RECEIVER_SECONDS, WAITING_ITEMS, RECEIVER_EVENTS)
"""Their keys are the names of fields of ChannelSettings."""
ALL: tuple[Option[Any], ...] = (*OF_CHANNELS, WEBHOOK, WEBHOOK_SECRET, LOG_FORMAT)
