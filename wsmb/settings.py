"""What the broker runs with: frozen values, checked by wsmb.config before they come here."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from hashlib import blake2b

from wsmb.access import AccessRules

MAX_NAME_CHARS = 100
DEAD_LETTERS = "dead."
"""What the name of a channel of dead letters begins with, if it is not set otherwise."""


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
    ack_timeout_s: float = 60.0
    """Seconds that a receiver has to acknowledge a frame."""
    max_deliveries: int = 20
    """Tries with receivers that acknowledge before an item goes to the dead letters; 0 is no limit."""
    dead_letter_channel: str = ""
    """Where these go; empty is `dead.` and the channel's own name."""
    expire_after_s: float = 0.0
    """Seconds after which an item is not delivered any more; 0 is never."""
    expire_field: str = ""
    """The field of an item that holds the Unix time from which on it is not to be delivered."""
    text_receivers: int = 0
    """How many receivers get what is sent with the channel in the URL: all, if its section says nothing."""
    max_waiting_items_per_channel: int = 1_000_000
    """Items that may wait in the store before what is sent is refused; 0 is no limit."""
    max_waiting_bytes_per_channel: int = 1_073_741_824
    """The same, of all of them together, as they stand there."""
    no_receiver_seconds: float = 0.0
    """Seconds that something can wait without a receiver before an event tells of it; 0 is never."""
    waiting_items: int = 0
    """Items that can wait before an event tells of it; 0 is any number."""
    receiver_events: bool = False
    """Whether events tell of receivers that come and go."""
    is_dead_letters: bool = False
    """Whether dead letters go here: each in a frame of its own, and not to other dead letters in turn."""

    def expires_at(self, ttl_s: float | None, now_s: float) -> float | None:
        """The Unix time until which what is sent at `now_s` is of use; None is for ever."""
        if self.expire_after_s and (ttl_s is None or self.expire_after_s < ttl_s):
            ttl_s = self.expire_after_s
        return None if ttl_s is None else now_s + ttl_s


class TlsCheck(Enum):
    """What TLS to a database has to come to, by PostgreSQL's names."""

    NAME = "verify-full"
    """The server's certificate is signed by who may, and names its host."""
    AUTHORITY = "verify-ca"
    NOTHING = "require"
    """It is encrypted; with whom is not looked at."""
    PREFERRED = "prefer"
    DISABLED = "disable"


@dataclass(frozen=True, slots=True)
class DatabaseTls:
    """TLS to a database over TCP."""

    check: TlsCheck = TlsCheck.NAME
    ca_file: str = ""
    """An absolute path; empty is the system's authorities."""


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """Where waiting items are kept."""

    driver: str = "memory"
    """`memory`, `sqlite`, `mysql` (which is MariaDB as well) or `pgsql`."""
    path: str = ""
    """sqlite: the absolute path of the file."""
    host: str = ""
    """mysql, pgsql: a host name or address; if it starts with `/`, a Unix socket, for pgsql its folder."""
    port: int = 3306
    name: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    prefix: str = "mq_"
    """The table is called `<prefix>data`."""
    tls: DatabaseTls | None = None
    """None: as the driver does by itself, which is to encrypt if the server does, and to check nothing."""
    place: str = field(default="", compare=False)
    """Where it was set, for errors: `--database`, `wsmb.ini line 12`."""

    def __str__(self) -> str:
        """Which database it is, for the log: without the password."""
        if self.driver in ("memory", "sqlite"):
            return f"{self.driver}:{self.path}"
        server = f"{self.driver}://{self.username}@{self.host}:{self.port}"
        return f"{server}/{self.name}, table {self.prefix}data"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of what there may be. Numbers of IPv6 addresses are those of a /64."""

    max_connections: int = 10_000
    max_connections_per_address: int = 5_000
    max_connections_per_user: int = 5_000
    max_handshakes: int = 2_000
    """TCP connections whose request is being read."""
    max_handshakes_per_address: int = 1_000
    max_failures: int = 5
    """Wrong passwords of one user from one address within a minute, before it has to wait."""
    max_failures_per_address: int = 20
    """The same, of all users."""
    max_failures_per_user: int = 100
    """Wrong passwords of one user from all addresses, before each address has no more than one try."""
    max_header_bytes: int = 8_192
    """Of a request, with its first line."""
    max_fragments: int = 1_024
    """Of one message."""
    max_message_seconds: int = 60
    """That one message may take from its first byte to its last, while it is read."""
    max_items_per_frame: int = 10_000
    max_json_depth: int = 100
    """Of nested arrays and objects in a frame."""
    max_malformed: int = 100
    """Frames of a connection within a minute that are no commands (code 02), before it is ended."""
    max_control_frames_per_second: int = 20
    """Pings, pongs that nobody asked for and small fragments of one connection; then reading pauses."""
    max_frames_per_second: int = 0
    """Messages of all connections of a user; then reading pauses. 0 is no limit."""
    max_bytes_per_second: int = 0
    """The same, in bytes."""
    max_channels_per_connection: int = 1_000
    """That it receives on."""
    max_channels: int = 50_000
    """That anybody receives on."""
    max_waiting_items: int = 10_000_000
    """Items that may wait on all channels together before what is sent is refused; 0 is no limit."""
    max_waiting_bytes: int = 10_737_418_240
    """The same, of all of them together."""
    min_free_disk_bytes: int | None = None
    """Room on an SQLite file's disk below which what is sent is not kept; None is 256 MiB, or a twentieth
    of a disk where that is less."""


class TlsUsers(Enum):
    """How users of `ssl:` endpoints say who they are."""

    PASSWORD = "password"  # noqa: S105  # a word of the settings
    CERTIFICATE = "certificate"
    BOTH = "both"
    """Who has no certificate gives a password."""


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """For all `ssl:` endpoints."""

    users: TlsUsers = TlsUsers.PASSWORD
    client_ca: str = ""
    """The absolute path of the file with the certificates of who may sign those of users."""


class LogFormat(Enum):
    """How lines of the log are written."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Where events are posted. Both may be known to nobody else."""

    urls: tuple[str, ...] = field(default=(), repr=False)
    key: bytes = field(default=b"", repr=False)
    """What they are signed with."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one broker."""

    listen: tuple[str, ...]
    """Twisted server endpoint strings."""
    listen_place: str = field(default="", kw_only=True, compare=False)
    """Where they were set, for errors."""
    http_listen: tuple[str, ...] = ()
    """Where to serve HTTP: endpoint strings; none is nowhere."""
    http_place: str = field(default="", kw_only=True, compare=False)
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
    max_outstanding_frames: int = 1_000
    """Frames of channels that keep messages which one receiver may have without having proved them."""
    max_buffer_bytes: int = 16_777_216
    """Memory for what has been taken but not been delivered or committed yet, of all senders."""
    drain_seconds: float = 2.0
    """Seconds over which the connections are ended when the broker stops."""
    ping_interval_s: float = 30.0
    """Seconds of silence after which the broker pings a connection; 0 is never."""
    ping_timeout_s: float = 60.0
    """Seconds without a sign of life after such a ping before the connection is ended."""
    handshake_timeout_s: float = 10.0
    access: AccessRules | None = None
    """Who may send and receive where; None is everyone everywhere, as with the original."""
    limits: Limits = Limits()
    tls: TlsSettings = TlsSettings()
    trusted_proxies: tuple[str, ...] = ()
    """Networks, and `unix`: whose word about where a client comes from is taken."""
    proxy_protocol: bool = False
    """Whether these begin each connection with a PROXY header."""
    webhooks: WebhookSettings = WebhookSettings()
    log_format: LogFormat = LogFormat.TEXT
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

        An exact name goes before every pattern, a longer pattern before a shorter one. Where dead
        letters go, they are kept, unless a section says otherwise.
        """
        found = self._of_section(name)
        source = self._source_of_dead_letters(name)
        if source is None:
            return found or self.default_channel
        keep_data = found.keep_data if found else source.keep_data
        return replace(
            found or self.default_channel,
            keep_data=keep_data,
            limit=1,
            max_deliveries=0,
            is_dead_letters=True,
        )

    def _of_section(self, name: str) -> ChannelSettings | None:
        best = None
        best_length = -1
        for pattern, settings in self.channels:
            if pattern == name:
                return settings
            if pattern.endswith("*") and name.startswith(pattern[:-1]) and len(pattern) > best_length:
                best, best_length = settings, len(pattern)
        return best

    def _source_of_dead_letters(self, name: str) -> ChannelSettings | None:
        """The settings of a channel whose dead letters go to `name`; None if `name` is no such channel."""
        for settings in (self.default_channel, *(settings for _, settings in self.channels)):
            if settings.dead_letter_channel == name:
                return settings
        if name.startswith(DEAD_LETTERS):
            source = name[len(DEAD_LETTERS) :]
            return self._of_section(source) or self.default_channel
        return None


def dead_letters_of(channel: str) -> str:
    """Where the dead letters of `channel` go if that is not set; a name has at most 100 characters."""
    name = DEAD_LETTERS + channel
    if len(name) <= MAX_NAME_CHARS:
        return name
    digest = blake2b(channel.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    return f"{name[: MAX_NAME_CHARS - len(digest) - 1]}~{digest}"
