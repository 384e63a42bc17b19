"""The settings that say how much may come from those who are in."""

from __future__ import annotations

from wsmb.config import values
from wsmb.config.option import Option

_MOST = 10_000_000

# fmt: off
MAX_HEADER_BYTES = Option(
    "limits", "max_header_bytes", values.whole(1024, 65_536), "8192", "WSMB_MAX_HEADER_BYTES",
    "The longest head of a request, which is all up to its empty line",
)
MAX_FRAGMENTS = Option(
    "limits", "max_fragments", values.whole(1, _MOST), "1024", "WSMB_MAX_FRAGMENTS",
    "How many fragments one message can have; with one more the connection is closed (1009)",
)
MAX_MESSAGE_SECONDS = Option(
    "limits", "max_message_seconds", values.whole(3, 86_400), "60", "WSMB_MAX_MESSAGE_SECONDS",
    "How long one message can take from its first byte to its last; then the connection is closed (1008)",
)
MAX_ITEMS_PER_FRAME = Option(
    "limits", "max_items_per_frame", values.whole(1, _MOST), "10000", "WSMB_MAX_ITEMS_PER_FRAME",
    "How many items one frame can have; with more it is refused (04)",
)
MAX_JSON_DEPTH = Option(
    "limits", "max_json_depth", values.whole(2, 100), "100", "WSMB_MAX_JSON_DEPTH",
    "How deep arrays and objects can be nested, the command itself being one; what is deeper is refused (02)",
)
MAX_MALFORMED = Option(
    "limits", "max_malformed", values.whole(0, _MOST), "100", "WSMB_MAX_MALFORMED",
    "Malformed commands (02) of a connection within a minute; with one more it is closed (1008)",
)
MAX_CONTROL_FRAMES_PER_SECOND = Option(
    "limits", "max_control_frames_per_second", values.whole(1, _MOST), "20",
    "WSMB_MAX_CONTROL_FRAMES_PER_SECOND",
    "Pings, pongs without a ping and fragments below 512 bytes of a connection; it is read no faster",
)
MAX_FRAMES_PER_SECOND = Option(
    "limits", "max_frames_per_second", values.whole(0, _MOST), "0", "WSMB_MAX_FRAMES_PER_SECOND",
    "Frames of all connections of a user together, acknowledgements among them; they are read no faster; "
    "0 is no limit",
)
MAX_BYTES_PER_SECOND = Option(
    "limits", "max_bytes_per_second", values.whole(0, 1 << 40), "0", "WSMB_MAX_BYTES_PER_SECOND",
    "Bytes of all connections of a user together; they are read no faster; 0 is no limit",
)
MAX_CHANNELS_PER_CONNECTION = Option(
    "limits", "max_channels_per_connection", values.whole(1, _MOST), "1000",
    "WSMB_MAX_CHANNELS_PER_CONNECTION",
    "How many channels one connection can receive on; one more is refused (05)",
)
MAX_CHANNELS = Option(
    "limits", "max_channels", values.whole(1, _MOST), "50000", "WSMB_MAX_CHANNELS",
    "How many channels all connections together can receive on; one more is refused (05)",
)
# fmt: on

LIMITS = (
    *(MAX_HEADER_BYTES, MAX_FRAGMENTS, MAX_MESSAGE_SECONDS, MAX_ITEMS_PER_FRAME, MAX_JSON_DEPTH),
    *(MAX_MALFORMED, MAX_CONTROL_FRAMES_PER_SECOND, MAX_FRAMES_PER_SECOND, MAX_BYTES_PER_SECOND),
    *(MAX_CHANNELS_PER_CONNECTION, MAX_CHANNELS),
)
"""Their keys are the names of the fields of Limits."""
