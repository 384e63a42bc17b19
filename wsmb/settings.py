"""What the broker runs with: frozen values, checked by wsmb.config before they come here."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class KeepData(Enum):
    """When the items of a channel go to the store (docs/protocol.md, "Keeping messages")."""

    NEVER = "false"
    OFFLINE = "true"
    ALWAYS = "always"


class ReceiverChoice(Enum):
    """Which receivers get a frame when there are more than its limit."""

    ROUND_ROBIN = "round-robin"
    OLDEST = "oldest"


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """The settings of one channel."""

    number_of_receiver: int = 0
    """How many receivers get a frame that does not say so itself; 0 is every receiver."""
    receiver_choice: ReceiverChoice = ReceiverChoice.ROUND_ROBIN
    keep_data: KeepData = KeepData.NEVER
    limit: int = 10
    """Most items in one frame of waiting items, at least 1."""
    delay_send_s: float = 0.0
    """Seconds between two frames of waiting items."""


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """Where waiting items are kept."""

    driver: str = "memory"
    """`memory`, `sqlite` or `mysql` (which is MariaDB as well)."""
    path: str = ""
    """sqlite: the absolute path of the file."""
    host: str = ""
    """mysql: a host name or address; if it starts with `/`, the path of a Unix socket."""
    port: int = 3306
    name: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    prefix: str = "mq_"
    """The table is called `<prefix>data`."""
    place: str = field(default="", compare=False)
    """Where it was set, for errors: `--database`, `wsmb.ini line 12`."""

    def __str__(self) -> str:
        """Which database it is, for the log: without the password."""
        if self.driver == "mysql":
            return f"mysql://{self.username}@{self.host}:{self.port}/{self.name}, table {self.prefix}data"
        return f"{self.driver}:{self.path}"


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one broker."""

    listen: tuple[str, ...]
    """Twisted server endpoint strings."""
    listen_place: str = field(default="", kw_only=True, compare=False)
    """Where they were set, for errors."""
    path: str = "/"
    """The only path that is served; `/` serves every path."""
    htpasswd_files: tuple[str, ...] = ()
    """Absolute paths."""
    htpasswd_lines: tuple[str, ...] = field(default=(), repr=False)
    """`user:hash` lines that stand in the configuration itself."""
    database: DatabaseSettings = DatabaseSettings()
    default_channel: ChannelSettings = ChannelSettings()
    channels: tuple[tuple[str, ChannelSettings], ...] = ()
    """(name or pattern with a trailing `*`, settings), in the order of the file."""
    allowed_origins: tuple[str, ...] = ()
    """Browsers on pages of these origins may come in, `https://shop.example`; no others."""
    max_frame_bytes: int = 1_048_576
    max_outstanding_bytes: int = 16_777_216
    """Bytes that may wait for one receiver that does not read before it is ended."""
    ping_interval_s: float = 30.0
    """Seconds of silence after which the broker pings a connection; 0 is never."""
    ping_timeout_s: float = 60.0
    """Seconds without a sign of life after such a ping before the connection is ended."""
    handshake_timeout_s: float = 10.0
    warnings: tuple[str, ...] = ()
    """What is worth a line in the log at the start."""

    @property
    def keeps_data(self) -> bool:
        """Whether any channel keeps messages."""
        return any(
            settings.keep_data is not KeepData.NEVER
            for settings in (self.default_channel, *(settings for _, settings in self.channels))
        )

    def channel(self, name: str) -> ChannelSettings:
        """The settings for the channel `name`: its own, else the first pattern's, else the server's.

        An exact name goes before every pattern, a longer pattern before a shorter one.
        """
        best = self.default_channel
        best_length = -1
        for pattern, settings in self.channels:
            if pattern == name:
                return settings
            if pattern.endswith("*") and name.startswith(pattern[:-1]) and len(pattern) > best_length:
                best, best_length = settings, len(pattern)
        return best
