"""Makes Settings of what was set, and checks what needs a look at the disk or at two settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from wsmb.access import AccessRules
from wsmb.config import options, options_of_events, options_of_guard, options_of_http, options_of_traffic
from wsmb.config.access import choose_access
from wsmb.config.database import choose_database
from wsmb.config.given import Folders, Found, Gathered, Given, Rank, gather
from wsmb.config.ini import Ini, read_ini
from wsmb.config.option import Option
from wsmb.config.values import is_safe_from_listeners, printable, shown
from wsmb.errors import SettingError
from wsmb.regular_file import read_regular
from wsmb.settings import ChannelSettings, KeepData, Limits, Settings, TlsSettings, TlsUsers, WebhookSettings
from wsmb.stamps import Stamp, stamp

_MAKE_ONE = "make one with `wsmb passwd FILE USER`"
_LIMITS = (*options_of_guard.LIMITS, *options_of_traffic.LIMITS)
_NAME_ONE = "name it with --htpasswd FILE or [credential] htpasswd = FILE"


def load_settings(
    *,
    config_file: str | None,
    overrides: Mapping[str, object],
    environ: Mapping[str, str],
    cwd: str,
    stamps: dict[str, Stamp] | None = None,
) -> Settings:
    """All settings: command line over environment over file over default. Raises SettingError.

    `overrides` are the command line's: `listen` (a list), `htpasswd`, `database`, `keep_data`. None
    and [] are as if absent, other names are passed over. `cwd` is absolute; relative paths are
    relative to it, but those in the file to the file's folder. No error or warning holds a password.
    `stamps` gets those of all files that were looked at, from before, also where this raises.
    """
    folders, ini, file_name = _file(config_file, cwd, {} if stamps is None else stamps)
    gathered = gather(ini, file_name, environ, overrides)
    _look_at_url(gathered)
    access = choose_access(gathered, ini, file_name, folders)
    settings = replace(_settings(gathered, folders, file_name), access=access)
    if settings.keeps_data:
        return replace(settings, database=choose_database(gathered.server, folders))
    return settings


def load_access(*, config_file: str | None, environ: Mapping[str, str], cwd: str) -> AccessRules | None:
    """The access list alone, if there is one; no other file needs to be there. Raises SettingError."""
    folders, ini, file_name = _file(config_file, cwd, {})
    return choose_access(gather(ini, file_name, environ, {}), ini, file_name, folders)


def _file(config_file: str | None, cwd: str, stamps: dict[str, Stamp]) -> tuple[Folders, Ini, str]:
    """The configuration file's folder, its content, and its name for errors."""
    if config_file is None:
        return Folders(cwd, cwd, stamps), Ini(), ""
    path = os.path.join(cwd, config_file)
    stamps[path] = stamp(path)
    return Folders(os.path.dirname(path), cwd, stamps), _read_file(path, config_file), printable(config_file)


def _read_file(path: str, config_file: str) -> Ini:
    name = printable(config_file)
    try:
        return read_ini(read_regular(path), name)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no name of a file"
        remedy = "name a file that is there and may be read"
        raise SettingError(f"--config {name}: cannot be read ({reason}); {remedy}") from None


def _look_at_url(gathered: Gathered) -> None:
    """Who names a database by its URL wants messages kept."""
    url = gathered.server.one(options.DATABASE_URL)
    if url is None:
        return
    if gathered.server.one(options.KEEP_DATA) is None:
        gathered.server.put(options.KEEP_DATA, [Given(KeepData.OFFLINE, Rank.FILE, url.place)])
    if url.rank is Rank.COMMAND_LINE and url.value.password:
        gathered.warnings.append(
            f"{options.DATABASE_URL.title} ({url.place}): lists of processes show its password; "
            f"leave it out and set {options.PASSWORD.environment}"
        )


def _settings(gathered: Gathered, folders: Folders, file_name: str) -> Settings:
    """All but the database."""
    server = gathered.server
    files, lines = _users(server, folders, file_name)
    return Settings(
        listen=_listen(server),
        listen_place=_listen_place(server),
        http_listen=tuple(given.value for given in server.all(options_of_http.HTTP_LISTEN)),
        http_place=", ".join(given.place for given in server.all(options_of_http.HTTP_LISTEN)),
        path=server.value(options.PATH),
        htpasswd_files=files,
        htpasswd_lines=lines,
        default_channel=_channel(server),
        channels=tuple((name, _section(found)) for name, found in gathered.channels.items()),
        allowed_origins=tuple(given.value for given in server.all(options.ALLOWED_ORIGINS)),
        max_frame_bytes=server.value(options.MAX_FRAME_BYTES),
        max_outstanding_bytes=_max_outstanding_bytes(server),
        max_outstanding_frames=server.value(options.MAX_OUTSTANDING_FRAMES),
        max_buffer_bytes=server.value(options.MAX_BUFFER_BYTES),
        drain_seconds=server.value(options.DRAIN_SECONDS),
        ping_interval_s=server.value(options.PING_INTERVAL),
        ping_timeout_s=server.value(options.PING_TIMEOUT),
        handshake_timeout_s=server.value(options.HANDSHAKE_TIMEOUT),
        limits=Limits(**{option.key: server.value(option) for option in _LIMITS}),
        tls=_tls(server, folders),
        proxy_protocol=server.value(options_of_guard.PROXY_PROTOCOL),
        trusted_proxies=tuple(given.value for given in server.all(options_of_guard.TRUSTED_PROXIES)),
        webhooks=_webhooks(gathered),
        log_format=server.value(options_of_events.LOG_FORMAT),
        warnings=tuple(gathered.warnings),
    )


def _channel(found: Found) -> ChannelSettings:
    return ChannelSettings(
        number_of_receiver=found.value(options.NUMBER_OF_RECEIVER),
        receiver_choice=found.value(options.RECEIVER_CHOICE),
        keep_data=found.value(options.KEEP_DATA),
        limit=found.value(options.LIMIT),
        delay_send_s=found.value(options.DELAY_SEND),
        ack_timeout_s=found.value(options.ACK_TIMEOUT),
        max_deliveries=found.value(options.MAX_DELIVERIES),
        dead_letter_channel=found.value(options.DEAD_LETTER_CHANNEL),
        expire_after_s=found.value(options.EXPIRE_AFTER),
        expire_field=found.value(options.EXPIRE_FIELD),
        max_waiting_items_per_channel=found.value(options_of_guard.MAX_WAITING_ITEMS_PER_CHANNEL),
        max_waiting_bytes_per_channel=found.value(options_of_guard.MAX_WAITING_BYTES_PER_CHANNEL),
        **{option.key: found.value(option) for option in options_of_events.OF_CHANNELS},
    )


def _section(found: Found) -> ChannelSettings:
    """Of one channel. What the server's setting says of receivers is not meant for channels in the URL."""
    own = found.one(options.NUMBER_OF_RECEIVER)
    return _channel(found) if own is None else replace(_channel(found), text_receivers=own.value)


def _listen(found: Found) -> tuple[str, ...]:
    listen = found.all(options.LISTEN)
    port = found.one(options.PORT)
    if port and not (listen and listen[0].rank >= port.rank):
        return (f"tcp:{port.value}",)
    return tuple(given.value for given in listen) or (found.value(options.LISTEN),)


def _listen_place(found: Found) -> str:
    given: list[Given[Any]] = [*found.all(options.LISTEN), *found.all(options.PORT)]
    return max(given, key=lambda one: one.rank).place if given else "default"


def _tls(found: Found, folders: Folders) -> TlsSettings:
    users, given = found.value(options_of_guard.TLS_USERS), found.one(options_of_guard.TLS_CLIENT_CA)
    if users is TlsUsers.PASSWORD:
        return TlsSettings()
    if given is None:
        said = found.one(options_of_guard.TLS_USERS)
        raise SettingError(
            f"{options_of_guard.TLS_USERS.title} ({said.place if said else ''}): whose certificates? "
            "give tls_client_ca = FILE"
        )
    return TlsSettings(users, folders.absolute(given.value, given.rank))


def _webhooks(gathered: Gathered) -> WebhookSettings:
    given = gathered.server.all(options_of_events.WEBHOOK)
    if not given:
        return WebhookSettings()
    secret = gathered.server.one(options_of_events.WEBHOOK_SECRET)
    if secret is None:
        raise SettingError(
            f"{options_of_events.WEBHOOK.title} ({given[0].place}): nothing to sign with; "
            f"give webhook_secret, or {options_of_events.WEBHOOK_SECRET.environment} in the environment"
        )
    for each in given:
        if not is_safe_from_listeners(each.value):
            gathered.warnings.append(
                f"{options_of_events.WEBHOOK.title} ({each.place}): goes over the network in clear text; "
                "give https://"
            )
    return WebhookSettings(tuple(each.value for each in given), secret.value)


def _max_outstanding_bytes(found: Found) -> int:
    option = options.MAX_OUTSTANDING_BYTES
    size, frame_size = found.value(option), found.value(options.MAX_FRAME_BYTES)
    if size < frame_size:
        given = found.one(option) or found.one(options.MAX_FRAME_BYTES)
        place = given.place if given else ""
        raise SettingError(
            f"{option.title} ({place}): {size} is less than max_frame_bytes; give at least {frame_size}"
        )
    return size


def _users(found: Found, folders: Folders, file_name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Files and lines; a file from outside of the configuration file replaces all that stands in it."""
    named, data = found.all(options.HTPASSWD), found.all(options.DATA)
    if named and named[0].rank is not Rank.FILE:
        data = ()
    is_config = found.value(options.SOURCE) == "config"
    files = [_user_file(options.HTPASSWD, given, folders) for given in named]
    files += [_user_file(options.DATA, given, folders) for given in data if not is_config]
    lines = [_user_line(given) for given in data if is_config]
    if not files and not lines:
        where = file_name or "no configuration file"
        raise SettingError(
            f"{options.HTPASSWD.title} ({where}): no file with users is named; {_MAKE_ONE}, then {_NAME_ONE}"
        )
    return tuple(files), tuple(lines)


def _user_file(option: Option[str], given: Given[str], folders: Folders) -> str:
    path = folders.to_be_read(given.value, given.rank)
    title = f"{option.title} ({given.place})"
    if ":" in given.value and ("$" in given.value or "{" in given.value):
        raise SettingError(f"{title}: holds a user and a hash, not a file; set source = config")
    if not os.path.exists(path):
        raise SettingError(f"{title}: {shown(path)} does not exist; {_MAKE_ONE}, then {_NAME_ONE}")
    if not os.path.isfile(path):
        raise SettingError(f"{title}: {shown(path)} is not a file; {_NAME_ONE}")
    try:
        open(path, "rb").close()
    except OSError as error:
        reason = f"cannot be read ({error.strerror}); change its owner or mode"
        raise SettingError(f"{title}: {shown(path)} {reason}") from None
    return path


def _user_line(given: Given[str]) -> str:
    user, colon, hashed = given.value.partition(":")
    if not (user and colon and hashed):
        raise SettingError(
            f"{options.DATA.title} ({given.place}): is not user:hash; set source = file, or make it so"
        )
    return given.value
