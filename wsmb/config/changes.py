"""What differs between the settings of a running broker and those that it is to have now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

from wsmb.config.values import printable
from wsmb.settings import ChannelSettings, KeepData, Settings

FIXED = ("listen", "http_listen", "database", "tls", "trusted_proxies", "proxy_protocol", "log_format")
"""The fields of Settings that stay as they are until a restart."""
_NOT_SETTINGS = ("default_channel", "channels", "warnings")
_TITLES = {
    "listen": "[server] listen",
    "http_listen": "[http] listen",
    "database": "[database]",
    "htpasswd_files": "[credential] htpasswd",
    "htpasswd_lines": "[credential] data",
    "access": "[access]",
    "limits": "[limits]",
    "tls": "[tls]",
    "trusted_proxies": "[proxy] trusted_proxies",
    "proxy_protocol": "[proxy] proxy_protocol",
    "webhooks": "[events] webhook or [events] webhook_secret",
    "log_format": "[log] format",
}

# Of what a channel has, too.
_SECTIONS = {
    "limit": "database",
    "max_waiting_items_per_channel": "limits",
    "max_waiting_bytes_per_channel": "limits",
    "no_receiver_seconds": "events",
    "waiting_items": "events",
    "receiver_events": "events",
}


@dataclass(frozen=True, slots=True)
class Changes:
    """What becomes of new settings. The texts name settings, and hold no value."""

    settings: Settings
    """What the broker is to run with from now on."""
    taken: tuple[str, ...]
    """What is different by that."""
    needs_restart: tuple[str, ...]
    """What would be different, too, if it were started now."""


def compare(running: Settings, wanted: Settings, *, has_database: bool) -> Changes:
    """All of `wanted` is taken but for FIXED.

    `has_database`: whether messages were to be kept when the broker started, so that it has opened the
    database of `running`; else it can keep none now, unless in memory, if that is what is wanted.
    """
    differing = [name for name in _fields(running, wanted) if name in FIXED]
    if not wanted.keeps_data and "database" in differing:
        differing.remove("database")  # it is not said which one it would be, and none is needed
    kept = {name: getattr(running, name) for name in (*FIXED, "listen_place", "http_place")}
    settings = replace(wanted, **kept)
    needs_restart = [_with_place(name, wanted) for name in differing]
    if "database" in differing and not has_database:
        settings = _keeping_nothing(settings)
        needs_restart.append("keep_data, which is false until then, since no database is open")
    return Changes(settings, tuple(differences(running, settings)), tuple(needs_restart))


def differences(old: Settings, new: Settings) -> Iterator[str]:
    """The settings that differ, such as `[server] ping_interval` or `[channel sms] keep_data`."""
    for name in _fields(old, new):
        yield _TITLES.get(name) or f"[server] {name.removesuffix('_s')}"
    for key in _keys(old.default_channel, new.default_channel):
        yield f"[{_SECTIONS.get(key, 'server')}] {key}"
    before, after = dict(old.channels), dict(new.channels)
    for channel in dict.fromkeys((*before, *after)):
        title = f"[channel {printable(channel)}]"
        if channel in before and channel in after:
            yield from (f"{title} {key}" for key in _keys(before[channel], after[channel]))
        else:
            yield title


def _fields(old: Settings, new: Settings) -> list[str]:
    """The fields of the server's own settings that differ."""
    compared = [field.name for field in fields(Settings) if field.compare and field.name not in _NOT_SETTINGS]
    return [name for name in compared if getattr(old, name) != getattr(new, name)]


def _keys(old: ChannelSettings, new: ChannelSettings) -> list[str]:
    names = [field.name for field in fields(ChannelSettings)]
    return [name.removesuffix("_s") for name in names if getattr(old, name) != getattr(new, name)]


def _with_place(name: str, wanted: Settings) -> str:
    place = {
        "listen": wanted.listen_place,
        "http_listen": wanted.http_place,
        "database": wanted.database.place,
    }.get(name)
    return f"{_TITLES[name]} ({place})" if place else _TITLES[name]


def _keeping_nothing(settings: Settings) -> Settings:
    def without(channel: ChannelSettings) -> ChannelSettings:
        return replace(channel, keep_data=KeepData.NEVER)

    return replace(
        settings,
        default_channel=without(settings.default_channel),
        channels=tuple((name, without(channel)) for name, channel in settings.channels),
    )
