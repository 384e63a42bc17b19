"""The table of all settings. Reading, checking and documenting them go by it."""

from __future__ import annotations

from typing import Any

from wsmb.config import options_of_events, options_of_guard, options_of_http, options_of_traffic, values
from wsmb.config.database_url import database_url
from wsmb.config.option import Option

# A table: formatted, each of its rows would take ten lines.
# fmt: off
LISTEN = Option(
    "server", "listen", values.endpoint, "tcp:8888:interface=127.0.0.1", "WSMB_LISTEN",
    "Where to listen: Twisted server endpoints, in the environment with spaces between; replaces port",
    override="listen", repeated=True,
)
PORT = Option(
    "server", "port", values.whole(1, 65_535), None, "WSMB_PORT",
    "The TCP port to listen on at every IPv4 address; not used where listen is given",
)
PATH = Option(
    "server", "path", values.path, "/", "WSMB_PATH",
    "The only path of a URL that is served; / serves every path",
)
ALLOWED_ORIGINS = Option(
    "server", "allowed_origins", values.origin, None, "WSMB_ALLOWED_ORIGINS",
    "Web sites whose pages may connect, such as https://shop.example; none by default",
    repeated=True,
)
NUMBER_OF_RECEIVER = Option(
    "server", "number_of_receiver", values.number_of_receiver, "0", "WSMB_NUMBER_OF_RECEIVER",
    "How many receivers get a frame that does not say so itself; 0 is every receiver",
    in_channel=True,
)
RECEIVER_CHOICE = Option(
    "server", "receiver_choice", values.receiver_choice, "round-robin", "WSMB_RECEIVER_CHOICE",
    "Which receivers, if there are more: round-robin, or oldest (always those connected longest)",
    in_channel=True,
)
KEEP_DATA = Option(
    "server", "keep_data", values.keep_data, "false", "WSMB_KEEP_DATA",
    "What is kept: false (nothing), true or offline (what finds no receiver), always (everything until it is "
    "delivered); true by default if a database URL is given",
    override="keep_data", in_channel=True, empty_counts=True,
)
DELAY_SEND = Option(
    "server", "delay_send", values.milliseconds, "0", "WSMB_DELAY_SEND",
    "Milliseconds between two frames of waiting items",
    in_channel=True,
)
ACK_TIMEOUT = Option(
    "server", "ack_timeout", values.seconds(1), "60", "WSMB_ACK_TIMEOUT",
    "Seconds that a receiver that acknowledges has for each frame before another one gets it",
    in_channel=True,
)
MAX_DELIVERIES = Option(
    "server", "max_deliveries", values.whole(0, 1_000_000), "20", "WSMB_MAX_DELIVERIES",
    "Tries with receivers that acknowledge before an item goes to the dead letters; 0 is no limit",
    in_channel=True,
)
DEAD_LETTER_CHANNEL = Option(
    "server", "dead_letter_channel", values.channel_or_none, "", "WSMB_DEAD_LETTER_CHANNEL",
    "The channel of the dead letters; empty is dead. and the channel's own name",
    in_channel=True, empty_counts=True,
)
EXPIRE_AFTER = Option(
    "server", "expire_after", values.seconds(0, or_zero=True), "0", "WSMB_EXPIRE_AFTER",
    "Seconds after which an item is not delivered any more; 0 is never",
    in_channel=True,
)
EXPIRE_FIELD = Option(
    "server", "expire_field", values.plain, "", "WSMB_EXPIRE_FIELD",
    "The field of an item that holds the Unix time from which on it is not delivered, such as expiration",
    in_channel=True, empty_counts=True,
)
MAX_OUTSTANDING_FRAMES = Option(
    "server", "max_outstanding_frames", values.whole(1, 1_000_000), "1000", "WSMB_MAX_OUTSTANDING_FRAMES",
    "How many frames of channels that keep messages a receiver may have without having proved them",
)
MAX_BUFFER_BYTES = Option(
    "server", "max_buffer_bytes", values.whole(1_048_576, 1 << 34), "16777216", "WSMB_MAX_BUFFER_BYTES",
    "Memory for what was taken but is neither delivered nor stored; then senders are slowed, then refused",
)
DRAIN_SECONDS = Option(
    "server", "drain_seconds", values.seconds(0, or_zero=True), "2", "WSMB_DRAIN_SECONDS",
    "Seconds over which the connections are ended when the broker stops",
)
MAX_FRAME_BYTES = Option(
    "server", "max_frame_bytes", values.whole(1024, 1 << 30), "1048576", "WSMB_MAX_FRAME_BYTES",
    "The largest frame that is taken",
)
MAX_OUTSTANDING_BYTES = Option(
    "server", "max_outstanding_bytes", values.whole(1024, 1 << 34), "16777216", "WSMB_MAX_OUTSTANDING_BYTES",
    "How much may wait for one receiver that does not read before its connection is ended",
)
PING_INTERVAL = Option(
    "server", "ping_interval", values.seconds(1, or_zero=True), "30", "WSMB_PING_INTERVAL",
    "Seconds of silence after which a connection is pinged; 0 is never",
)
PING_TIMEOUT = Option(
    "server", "ping_timeout", values.seconds(3), "60", "WSMB_PING_TIMEOUT",
    "Seconds without a sign of life after a ping before the connection is ended",
)
HANDSHAKE_TIMEOUT = Option(
    "server", "handshake_timeout", values.seconds(3), "10", "WSMB_HANDSHAKE_TIMEOUT",
    "Seconds that a client has to open its WebSocket",
)
DATABASE_URL = Option(
    "database", "url", database_url, None, "WSMB_DATABASE",
    "memory:, sqlite:///path, mysql://user:password@host:port/name or pgsql://...; goes before driver, host "
    "and so on; "
    "sqlite:///wsmb.sqlite3 if messages are kept and no database is named",
    override="database",
)
DRIVER = Option(
    "database", "driver", values.driver, None, "WSMB_DATABASE_DRIVER",
    "mysql (which is MariaDB, too), pgsql (PostgreSQL), sqlite or memory",
)
HOST = Option(
    "database", "host", values.plain, "localhost", "WSMB_DATABASE_HOST",
    "mysql, pgsql: the host, or the path of the Unix socket, for pgsql that of its folder",
)
DATABASE_PORT = Option(
    "database", "port", values.whole(1, 65_535), None, "WSMB_DATABASE_PORT",
    "mysql, pgsql: the port; 3306 for mysql, 5432 for pgsql",
)
NAME = Option(
    "database", "name", values.plain, None, "WSMB_DATABASE_NAME",
    "mysql, pgsql: the database; sqlite: the path of the file",
)
PREFIX = Option(
    "database", "prefix", values.prefix, "mq_", "WSMB_DATABASE_PREFIX",
    "The table is called <prefix>data; empty if driver is given without prefix",
    empty_counts=True,
)
USERNAME = Option(
    "database", "username", values.plain, "", "WSMB_DATABASE_USERNAME",
    "mysql, pgsql: the user",
)
PASSWORD = Option(
    "database", "password", values.plain, "", "WSMB_DATABASE_PASSWORD",
    "mysql, pgsql: the password",
    empty_counts=True,
)
LIMIT = Option(
    "database", "limit", values.limit, "10", "WSMB_DATABASE_LIMIT",
    "How many waiting items go into one frame at most",
    in_channel=True,
)
HTPASSWD = Option(
    "credential", "htpasswd", values.plain, None, "WSMB_HTPASSWD",
    "The file with the users and their hashes, as wsmb passwd makes it",
    override="htpasswd",
)
SOURCE = Option(
    "credential", "source", values.source, "file", "",
    "What data is: file (names of files) or config (user:hash)",
)
DATA = Option(
    "credential", "data", values.plain, None, "",
    "Files with users, or user:hash, as source says",
    repeated=True,
)
ACCESS_FILE = Option(
    "access", "file", values.plain, None, "WSMB_ACCESS_FILE",
    "A file with an access list, whose lines stand in the place of this one; from the environment, of all",
    empty_counts=True,
)
GROUP = Option(
    "access", "group", values.plain, None, "",
    "NAME: USER, USER: a group, which the other lines call @NAME",
    repeated=True,
)
ALLOW = Option(
    "access", "allow", values.plain, None, "",
    "USER ACTION CHANNEL: whom to allow (name, @group, *) what (send, receive, *) where (*, {user})",
    repeated=True,
)
DENY = Option(
    "access", "deny", values.plain, None, "",
    "The same for what to deny; of all allow and deny lines, the first that fits decides",
    repeated=True,
)
RECEIVERS = Option(
    "access", "receivers", values.plain, None, "",
    "USER NUMBER: the largest number_of_receiver the user may ask for; 0 is any; the first that fits counts",
    repeated=True,
)
# fmt: on

OPTIONS: tuple[Option[Any], ...] = (
    *(LISTEN, PORT, PATH, ALLOWED_ORIGINS, NUMBER_OF_RECEIVER, RECEIVER_CHOICE, KEEP_DATA, DELAY_SEND),
    *(ACK_TIMEOUT, MAX_DELIVERIES, DEAD_LETTER_CHANNEL, EXPIRE_AFTER, EXPIRE_FIELD),
    *(MAX_FRAME_BYTES, MAX_OUTSTANDING_BYTES, MAX_OUTSTANDING_FRAMES, MAX_BUFFER_BYTES, DRAIN_SECONDS),
    *(PING_INTERVAL, PING_TIMEOUT, HANDSHAKE_TIMEOUT),
    *(DATABASE_URL, DRIVER, HOST, DATABASE_PORT, NAME, PREFIX, USERNAME, PASSWORD, LIMIT),
    *(HTPASSWD, SOURCE, DATA),
    *(ACCESS_FILE, GROUP, ALLOW, DENY, RECEIVERS),
    *options_of_http.ALL,
    *options_of_traffic.LIMITS,
    *options_of_guard.ALL,
    *options_of_events.ALL,
)
SECTIONS = tuple(dict.fromkeys(option.section for option in OPTIONS))


def keys_of(section: str) -> dict[str, Option[Any]]:
    """The settings of one section, by key."""
    return {option.key: option for option in OPTIONS if option.section == section}


CHANNEL_KEYS: dict[str, Option[Any]] = {option.key: option for option in OPTIONS if option.in_channel}
NOT_SETTINGS = frozenset({"WSMB_URL", "WSMB_USER", "WSMB_PASSWORD", "WSMB_CONFIG"})
"""Environment variables of the clients and of the command that starts the broker."""
