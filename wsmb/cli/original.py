"""What a configuration of the original broker says, and what wsmb makes of it. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from wsmb.config.ini import Ini
from wsmb.settings import DatabaseSettings, Settings

WEAK = ("{SHA}", "$apr1$")


KEYS = {
    "server": {"port", "path", "number_of_receiver", "keep_data", "delay_send"},
    "database": {"driver", "host", "port", "name", "prefix", "username", "password", "limit"},
    "credential": {"source", "data"},
    "secret": None,
}
"""What the original knew; None: anything."""


def unknown_to_the_original(ini: Ini) -> list[str]:
    """Sections and settings that only wsmb knows."""
    found = []
    for section, values in ini.sections.items():
        known = KEYS.get(section, set())
        if section not in KEYS:
            found.append(f"[{section}]")
        elif known is not None:
            found += [f"[{section}] {key}" for key in values.values if key not in known]
    return found


def explain(ini: Ini, settings: Settings) -> Iterator[str]:
    """What wsmb reads otherwise than the original did, one line for each setting that is concerned."""
    for section, found in ini.sections.items():
        for key, values in found.values.items():
            told = _READINGS.get((section, key))
            text = told(values[-1].text, settings) if told else ""
            if text:
                yield f"[{section}] {key} (line {values[-1].line}): {text}"
    server = ini.sections.get("server")
    if server is None or "receiver_choice" not in server.values:
        yield (
            "[server] receiver_choice: of more receivers than number_of_receiver the next in turn are taken;"
            " the original took those that are connected longest (receiver_choice = oldest)"
        )


def _keep_data(text: str, settings: Settings) -> str:
    was_kept = text not in ("", "0")
    if was_kept and not settings.keeps_data:
        return "means no here; the original took it for yes, and kept messages: if you want that, write true"
    return "as with the original" if was_kept == settings.keeps_data else "means yes here; it was no"


def _path(text: str, settings: Settings) -> str:
    if settings.path == "/":
        return ""
    return f"clients that ask for another path than {settings.path} get 404; the original served every path"


def _host(text: str, settings: Settings) -> str:
    if text != "localhost" or settings.database.driver != "mysql":
        return ""
    return "is TCP here; PHP takes the server's Unix socket: if only that lets you in, write its path"


_READINGS: dict[tuple[str, str], Callable[[str, Settings], str]] = {
    ("server", "keep_data"): _keep_data,
    ("server", "path"): _path,
    ("database", "host"): _host,
    ("server", "port"): lambda text, _: "listens at every IPv4 address of this machine, as the original did",
}


def weak_users(settings: Settings, hashes: dict[str, str]) -> str:
    """Whose hashes are easy to guess from, if any."""
    weak = sorted(user for user, one in hashes.items() if one.startswith(WEAK))
    if not weak:
        return ""
    file = settings.htpasswd_files[0] if settings.htpasswd_files else "FILE"
    return (
        f"{len(weak)} users have hashes that are fast to try out ({', '.join(weak)}): they work, but"
        f" `wsmb passwd {file} USER` makes better ones"
    )


def configuration(settings: Settings, database: DatabaseSettings | None, source: str) -> str:
    """A configuration of wsmb that says the same. Raises ValueError for a value that no line can hold."""
    channel = settings.default_channel
    lines = [
        f"; Made by `wsmb import` of {source}. wsmb.ini.example in wsmb's source has all that can be set.",
        "[server]",
        *(f"listen[] = {_written(one)}" for one in settings.listen),
        f"path = {_written(settings.path)}",
        f"number_of_receiver = {channel.number_of_receiver}",
        "; The original's way: those that are connected longest.",
        f"{'' if channel.receiver_choice.value == 'oldest' else ';'}receiver_choice = oldest",
        f"keep_data = {channel.keep_data.value}",
        f"delay_send = {channel.delay_send_s * 1000:.0f}",
        "",
        "[database]",
        *_database(database),
        f"limit = {channel.limit}",
        "",
        "[credential]",
    ]
    if settings.htpasswd_lines:
        lines += ["source = config", *(f"data[] = {_written(line)}" for line in settings.htpasswd_lines)]
    lines += [f"htpasswd[] = {_written(file)}" for file in settings.htpasswd_files]
    return "\n".join(lines) + "\n"


def _database(database: DatabaseSettings | None) -> Iterator[str]:
    if database is None:
        return
    yield f"driver = {database.driver}"
    if database.driver == "sqlite":
        yield f"name = {_written(database.path)}"
    else:
        for key in ("host", "port", "name", "username", "password"):
            yield f"{key} = {_written(str(getattr(database, key)))}"
    if database.prefix:
        yield f"prefix = {database.prefix}"


def _written(value: str) -> str:
    """`value` as it stands behind an `=`."""
    if value and value.strip(" \t") == value and not set(value) & set(";\"'"):
        return value
    quote = next((one for one in "\"'" if one not in value), None)
    if quote is None:
        raise ValueError("a value with both kinds of quotes")
    return f"{quote}{value}{quote}"
