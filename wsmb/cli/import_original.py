"""`wsmb import CONFIG`: look at a configuration and a database of the original, and take them over."""

from __future__ import annotations

import os
import shlex
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from wsmb.cli import arguments as common
from wsmb.cli.arguments import DONE, FAILED
from wsmb.cli.original import configuration, explain, unknown_to_the_original, weak_users
from wsmb.cli.waiting_rows import RefusedError, Rows, copy, opened
from wsmb.config import Loaded, SettingsSource
from wsmb.config.ini import read_ini
from wsmb.errors import SettingError
from wsmb.settings import DatabaseSettings

DESCRIPTION = """\
Read CONFIG, the config.ini of the original broker, with the users and the database that it names, and say
what wsmb makes of them: `ok:`, `note:` and `wrong:` lines on standard output. wsmb can use all of it as it
is; nothing of it is ever changed. --write makes a configuration in wsmb's own words, --to copies the waiting
items into another database, in one transaction and under their old numbers, and reads them again: killed at
any moment it can be repeated. Stop the original before that."""

EXAMPLE = """\
  wsmb import config.ini
  wsmb import config.ini --to sqlite:///wsmb.sqlite3 --write wsmb.ini"""

EXIT_CODES = "exit codes: 0 nothing is wrong, 1 something is (it is said what), 2 wrong usage"
MOST_SHOWN = 10


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Carry out `wsmb import` with the arguments after that word. Raises UsageError."""
    arguments = parser().read(argv)
    if arguments.write is not None and os.path.lexists(arguments.write):
        raise common.UsageError(f"--write {arguments.write}: is there already; nothing is overwritten")
    try:
        _look_at_all(arguments.config, arguments.to, arguments.write, environ)
    except (SettingError, RefusedError) as error:
        print(f"wrong: {error}")
        return FAILED
    except OSError as error:
        print(f"wsmb import: {error.filename}: {error.strerror}", file=sys.stderr)
        return FAILED
    return DONE


def parser() -> common.Parser:
    """Its arguments."""
    parser = common.Parser(
        "wsmb import", "CONFIG ", DESCRIPTION, EXAMPLE, environment="", exit_codes=EXIT_CODES
    )
    parser.add_argument("config", metavar="FILE", help="the original's config.ini")
    parser.add_argument(
        "--to", metavar="URL", help="copy what waits into this database, which has to be empty"
    )
    parser.add_argument("--write", metavar="FILE", help="a new configuration; only its owner can read it")
    return parser


def _look_at_all(config: str, to: str | None, write: str | None, environ: Mapping[str, str]) -> None:
    loaded = _load(config, environ, {})
    settings = loaded.settings
    ini = read_ini(Path(config).read_bytes(), config)
    if write is not None and (others := unknown_to_the_original(ini)):
        raise RefusedError(f"--write: {config} is wsmb's own already, with {', '.join(others)}")
    for line in (*settings.warnings, *explain(ini, settings)):
        print(f"note: {line}")
    _look_at_users(loaded)
    database = settings.database if settings.keeps_data else None
    if database is None:
        if to is not None:
            raise RefusedError("--to: keep_data says no, so that wsmb does not look into the database")
        print("note: messages are not kept, so that no database is used")
    target = database
    if to is not None:
        target = _load(config, environ, {"database": to, "keep_data": "true"}).settings.database
    if database is not None:
        _look_at_database(database, None if to is None else target)
    if write is not None:
        _write(write, configuration(settings, target, os.path.abspath(config)))
    if to is not None and write is None:
        print(f"note: {config} still names the old database; --write makes a configuration with the new one")
    else:
        print(f"ok: to use it: twistd -n wsmb --config {shlex.quote(write or config)}")


def _load(config: str, environ: Mapping[str, str], overrides: Mapping[str, object]) -> Loaded:
    source = SettingsSource(config_file=config, overrides=overrides, environ=environ, cwd=os.getcwd())
    return source.load_all()


def _look_at_users(loaded: Loaded) -> None:
    hashes = dict(loaded.users.users.hashes)
    print(f"ok: {len(hashes)} users can log in")
    for one in loaded.users.passed_over:
        print(f"note: users, lines passed over in {one}")
    if weak := weak_users(loaded.settings, hashes):
        print(f"note: {weak}")


def _look_at_database(database: DatabaseSettings, target: DatabaseSettings | None) -> None:
    if database.driver == "sqlite" and not os.path.exists(database.path):
        print(f"note: {database.path} is not there yet: nothing waits")
        return
    with opened(database) as rows:
        _count(rows, str(database))
        if target is not None:
            _copy(rows, database, target)


def _count(rows: Rows, where: str) -> None:
    waiting: Counter[str] = Counter()
    bad: dict[str, list[int]] = {}
    for row in rows():
        if row.problem:
            bad.setdefault(row.problem, []).append(row.item_id)
        else:
            waiting[row.channel] += 1
    print(f"ok: {waiting.total()} items wait on {len(waiting)} channels in {where}")
    for channel, count in waiting.most_common(MOST_SHOWN):
        print(f"ok:   {count} on {channel}")
    if len(waiting) > MOST_SHOWN:
        print(f"ok:   and others on {len(waiting) - MOST_SHOWN} further channels")
    for problem, ids in bad.items():
        shown = ", ".join(map(str, ids[:MOST_SHOWN])) + (", ..." if len(ids) > MOST_SHOWN else "")
        print(f"note: {len(ids)} rows are passed over, and stay where they are: {problem} (data_id {shown})")
    for names in _alike(waiting):
        print(
            f"note: {', '.join(names)}: may have been one channel for the database, and are several for wsmb"
        )


def _alike(channels: Mapping[str, int]) -> list[list[str]]:
    """Channels that differ in case or trailing spaces only."""
    groups: dict[str, list[str]] = {}
    for channel in sorted(channels):
        groups.setdefault(channel.rstrip(" ").casefold(), []).append(channel)
    return [names for names in groups.values() if len(names) > 1]


def _copy(rows: Rows, database: DatabaseSettings, target: DatabaseSettings) -> None:
    if target.driver == "memory":
        raise RefusedError("--to: what is copied into memory is gone when this command ends")
    if target == database:
        raise RefusedError("--to: that is the database where they are")
    count = copy(rows, target)
    where = f"in {target}"
    print(
        f"ok: all of them were {where} already"
        if count is None
        else f"ok: {count} items copied, and are {where}"
    )


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    print(f"ok: {path} has been written")
