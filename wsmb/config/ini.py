"""Reads INI text as PHP's `parse_ini_file($file, true, true)` does, and remembers the lines.

The `true` at the end is PHP's INI_SCANNER_RAW: values are plain text, with no escapes, no constants
and no `${...}`. Unlike PHP, a value in '...' loses its quotes, and a line that PHP passes over
without a word (no `=`) is an error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from wsmb.config.values import printable, shown_name
from wsmb.errors import SettingError

_LINE_END = re.compile(r"\r\n|\r|\n")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SECTION = re.compile(r"\[(.*?)\][ \t]*(?:[;#].*)?")
_LIST_KEY = re.compile(r"(.*?)[ \t]*\[.*\]")
_QUOTED = re.compile(r"""(["'])(.*?)\1[ \t]*(?:;.*)?""")


@dataclass(frozen=True, slots=True)
class IniValue:
    """One value and its line, counted from 1."""

    text: str = field(repr=False)
    line: int
    written: str = field(repr=False, default="")
    """All that stands behind the `=`, with quotes and comments."""


@dataclass(frozen=True, slots=True)
class IniSection:
    """What stands under one `[name]`."""

    line: int
    values: dict[str, list[IniValue]] = field(default_factory=dict)
    """Key (without its `[]`) to values; more than one only where the key was written `key[]`."""
    lost: list[int] = field(default_factory=list)
    """Lines that are not used, because a later line took their place."""


@dataclass(frozen=True, slots=True)
class Ini:
    """A whole file."""

    sections: dict[str, IniSection] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def read_ini(data: bytes, file_name: str) -> Ini:
    """The sections of `data`. Raises SettingError; its text names `file_name` and holds no value."""
    ini = Ini()
    section = ""
    for line, text in enumerate(lines_of(data, file_name), 1):
        place = f"{file_name} line {line}"
        content = text.strip(" \t")
        if not content or content[0] in ";#":
            continue
        if content[0] == "[":
            section = _section_name(content, place)
            _begin(ini, section, line, place)
        elif not ini.sections:
            raise SettingError(
                f"{place}: stands before the first section; put it under one, such as [server]"
            )
        else:
            _add(ini, section, content, line, place)
    return ini


def lines_of(data: bytes, file_name: str) -> list[str]:
    """The lines of `data`. Raises SettingError for what is no text."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = len(_LINE_END.split(data[: error.start].decode("latin-1")))
        raise SettingError(f"{file_name} line {line}: not UTF-8; save the file in UTF-8") from None
    lines = _LINE_END.split(text)
    for line, content in enumerate(lines, 1):
        if _CONTROL.search(content):
            raise SettingError(f"{file_name} line {line}: holds a control character; remove it")
    return lines


def _section_name(content: str, place: str) -> str:
    match = _SECTION.fullmatch(content)
    if match is None:
        raise SettingError(f"{place}: the section's name does not end in ]; write [name] alone on its line")
    return match[1].strip(" \t")


def _begin(ini: Ini, section: str, line: int, place: str) -> None:
    """PHP forgets what stood under an earlier section of the same name, and so do we."""
    lost = []
    if section in ini.sections:
        earlier = ini.sections[section].line
        ini.warnings.append(
            f"[{printable(section)}] ({place}): stands here again; "
            f"what stands under it at line {earlier} is not used; put both together"
        )
        lost = [earlier]
    ini.sections[section] = IniSection(line, lost=lost)


def _add(ini: Ini, section: str, content: str, line: int, place: str) -> None:
    left, equals, right = content.partition("=")
    key = left.strip(" \t")
    if not equals or not key or ";" in key:
        raise SettingError(f"{place}: neither a section nor a setting; write [name] or key = value")
    value = IniValue(_value(right), line, right.strip(" \t"))
    values = ini.sections[section].values
    if match := _LIST_KEY.fullmatch(key):
        values.setdefault(match[1], []).append(value)
        return
    if key in values:
        title = f"[{printable(section)}] {shown_name(key)}"
        ini.warnings.append(f"{title} ({place}): given again; the last one counts, remove the others")
        ini.sections[section].lost.extend(earlier.line for earlier in values[key])
    values[key] = [value]


def _value(text: str) -> str:
    content = text.strip(" \t")
    if match := _QUOTED.fullmatch(content):
        return match[2]
    return content.split(";", 1)[0].rstrip(" \t")
