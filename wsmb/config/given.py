"""What was set where: gathers the settings of the file, the environment and the command line."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Generic, NamedTuple, TypeVar

from wsmb.config.ini import Ini, IniSection
from wsmb.config.option import Option
from wsmb.config.options import CHANNEL_KEYS, NOT_SETTINGS, OPTIONS, SECTIONS, keys_of
from wsmb.config.values import BadValueError, nearest, printable, shown_name
from wsmb.errors import SettingError
from wsmb.stamps import Stamp, stamp

T = TypeVar("T")
_MAX_CHANNEL_LENGTH = 100
_SECRETS_GO = (
    "put secrets into the environment: WSMB_DATABASE_USERNAME, WSMB_DATABASE_PASSWORD, or WSMB_DATABASE"
)


class Rank(IntEnum):
    """Where a setting was given; the higher one counts."""

    FILE = 1
    ENVIRONMENT = 2
    COMMAND_LINE = 3


@dataclass(frozen=True, slots=True)
class Given(Generic[T]):
    """A value that somebody has set."""

    value: T = field(repr=False)
    rank: Rank
    place: str
    """For errors: `wsmb.ini line 12`, `environment WSMB_PORT`, `--listen`."""


class Folders(NamedTuple):
    """What relative paths are relative to, both absolute."""

    file: str
    """For those in the file: its folder; without a file as `cwd`."""
    cwd: str
    stamps: dict[str, Stamp]
    """The files that settings come from, as they were before they were looked at."""

    def absolute(self, path: str, rank: Rank) -> str:
        """`path` as it is meant where `rank` stands."""
        return os.path.normpath(os.path.join(self.file if rank is Rank.FILE else self.cwd, path))

    def to_be_read(self, path: str, rank: Rank) -> str:
        """The same, for a file whose content matters: its stamp is noted."""
        absolute = self.absolute(path, rank)
        self.stamps[absolute] = stamp(absolute)
        return absolute


class Found:
    """The settings that were given, each where its rank is highest."""

    def __init__(self, parent: Found | None = None) -> None:
        """`parent` is where `value` looks for what is not set here."""
        self._parent = parent
        self._given: dict[str, Sequence[Given[Any]]] = {}

    def put(self, option: Option[T], given: Sequence[Given[T]]) -> None:
        """Set `option`, in place of what was there."""
        self._given[option.title] = given

    def all(self, option: Option[T]) -> Sequence[Given[T]]:
        """What was given for an option that may be repeated."""
        return self._given.get(option.title, ())

    def one(self, option: Option[T]) -> Given[T] | None:
        """What was given, or None."""
        given = self.all(option)
        return given[-1] if given else None

    def value(self, option: Option[T]) -> T:
        """What was given here, else in the parent, else the default of an option that has one."""
        given = self.one(option)
        if given is not None:
            return given.value
        return option.default_value() if self._parent is None else self._parent.value(option)


@dataclass(frozen=True, slots=True)
class Gathered:
    """All that was set."""

    server: Found = field(default_factory=Found)
    """And database and credential."""
    channels: dict[str, Found] = field(default_factory=dict)
    """By name or pattern, in the order of the file."""
    warnings: list[str] = field(default_factory=list)


def gather(ini: Ini, file_name: str, environ: Mapping[str, str], overrides: Mapping[str, object]) -> Gathered:
    """Command line over environment over file. Raises SettingError for what is not known or unfit."""
    gathered = Gathered(warnings=list(ini.warnings))
    for name, section in ini.sections.items():
        _gather_section(gathered, name, section, file_name)
    _gather_environment(gathered, environ)
    _gather_command_line(gathered, overrides)
    return gathered


def _gather_section(gathered: Gathered, name: str, section: IniSection, file_name: str) -> None:
    place = f"{file_name} line {section.line}"
    if name == "secret":
        gathered.warnings.append(f"[secret] ({place}): passed over; {_SECRETS_GO}")
        return
    found, keys = gathered.server, keys_of(name)
    if name.startswith("channel "):
        channel = name.removeprefix("channel ").strip(" \t")
        found, keys = Found(parent=gathered.server), CHANNEL_KEYS
        gathered.channels[_checked_channel(channel, place)] = found
    elif name not in SECTIONS:
        known = (*SECTIONS, "channel NAME")
        raise SettingError(f"[{printable(name)}] ({place}): unknown section; {_remedy(name, known)}")
    for key, values in section.values.items():
        if key not in keys:
            where = f"{file_name} line {values[0].line}"
            raise SettingError(f"[{printable(name)}] {shown_name(key)} ({where}): {_unknown_key(key, keys)}")
        texts = [(value.text, f"{file_name} line {value.line}") for value in values]
        _put(gathered, found, keys[key], Rank.FILE, texts, section=name)


def _checked_channel(name: str, place: str) -> str:
    if not 1 <= len(name) <= _MAX_CHANNEL_LENGTH:
        wanted = f"write [channel NAME] with a name of 1 to {_MAX_CHANNEL_LENGTH} characters"
        raise SettingError(f"[channel] ({place}): the name has {len(name)} characters; {wanted}")
    return name


def _unknown_key(key: str, keys: Mapping[str, Option[Any]]) -> str:
    others = [option for option in OPTIONS if option.key == key]
    if others:
        return f"does not belong here; put it under [{others[0].section}]"
    return f"unknown setting; {_remedy(key, keys)}"


def _remedy(name: str, known: Iterable[str]) -> str:
    meant = nearest(name, known)
    return f"did you mean {meant}?" if meant else f"known are {', '.join(known)}"


def _gather_environment(gathered: Gathered, environ: Mapping[str, str]) -> None:
    by_variable = {option.environment: option for option in OPTIONS if option.environment}
    for variable in sorted(environ):
        place = f"environment {shown_name(variable)}"
        option = by_variable.get(variable)
        if option is not None and environ[variable]:
            value = environ[variable]
            texts = [(text, place) for text in (value.split() if option.repeated else [value])]
            _put(gathered, gathered.server, option, Rank.ENVIRONMENT, texts)
        elif option is None and variable.startswith("WSMB_") and variable not in NOT_SETTINGS:
            meant = nearest(variable, by_variable)
            gathered.warnings.append(
                f"{place}: unknown, not used; {f'did you mean {meant}?' if meant else 'remove it'}"
            )


def _gather_command_line(gathered: Gathered, overrides: Mapping[str, object]) -> None:
    for option in OPTIONS:
        value = overrides.get(option.override) if option.override else None
        if value is None:
            continue
        place = f"--{option.override.replace('_', '-')}"
        texts = [(str(text), place) for text in (value if isinstance(value, list) else [value])]
        _put(gathered, gathered.server, option, Rank.COMMAND_LINE, texts)


def _put(
    gathered: Gathered,
    found: Found,
    option: Option[Any],
    rank: Rank,
    texts: Sequence[tuple[str, str]],
    *,
    section: str = "",
) -> None:
    """Set `option` to the values of `texts`, each a text and its place."""
    title = f"[{printable(section or option.section)}] {option.key}"
    if len(texts) > 1 and not option.repeated:
        raise SettingError(f"{title} ({texts[1][1]}): takes one value; write {option.key} = value, once")
    given = [
        Given(_parsed(option, text, f"{title} ({place})", gathered.warnings), rank, place)
        for text, place in texts
        if text or option.empty_counts or rank is not Rank.FILE
    ]
    if given:
        found.put(option, given)


def _parsed(option: Option[T], text: str, title: str, warnings: list[str]) -> T:
    try:
        return option.parse(text, lambda warning: warnings.append(f"{title}: {warning}"))
    except BadValueError as error:
        raise SettingError(f"{title}: {error}") from None
