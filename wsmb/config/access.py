"""The access list of a configuration: its own lines, and those of the file that it names."""

from __future__ import annotations

from collections.abc import Iterator

from wsmb.access import AccessRules
from wsmb.config import options
from wsmb.config.access_lines import KEYWORDS, AccessLine, access_lines, access_rules
from wsmb.config.given import Folders, Gathered, Given, Rank
from wsmb.config.ini import Ini, IniSection
from wsmb.config.values import shown
from wsmb.errors import SettingError
from wsmb.regular_file import read_regular

SECTION = options.ACCESS_FILE.section


def choose_access(gathered: Gathered, ini: Ini, file_name: str, folders: Folders) -> AccessRules | None:
    """The access list; None if nothing is said of one. A file from the environment replaces all of it.

    Raises SettingError; whatever is not clear is an error, since it might let somebody in.
    """
    named = gathered.server.one(options.ACCESS_FILE)
    section = ini.sections.get(SECTION, IniSection(0))
    if named is None and not section.values and not section.lost:
        return None
    if named is not None and named.rank is not Rank.FILE:
        lines = _of_file(named, folders)
    else:
        _check_all_counts(section, file_name)
        lines = [line for _, part in sorted(_parts(section, file_name, named, folders)) for line in part]
    rules = access_rules(lines)
    if not any(rule.allows for rule in rules.rules):
        gathered.warnings.append("the access list allows nothing: nobody can send or receive")
    return rules


def _check_all_counts(section: IniSection, file_name: str) -> None:
    """Elsewhere what is written twice is a warning; a lost line of an access list is too much of a risk."""
    if section.lost:
        raise SettingError(
            f"[{SECTION}] ({file_name} line {section.lost[0]}): is not used, since a later line takes its "
            f"place; write [{SECTION}] once, and allow[] = and so on with brackets"
        )


def _parts(
    section: IniSection, file_name: str, named: Given[str] | None, folders: Folders
) -> Iterator[tuple[int, list[AccessLine]]]:
    """The lines with their place in the section: the file's lines stand where it is named."""
    for keyword in KEYWORDS:
        for value in section.values.get(keyword, ()):
            place = f"{file_name} line {value.line}"
            line = AccessLine(keyword, value.written, f"[{SECTION}] {keyword} ({place})", place)
            yield value.line, [line]
    if named is not None:
        yield section.values[options.ACCESS_FILE.key][-1].line, _of_file(named, folders)


def _of_file(named: Given[str], folders: Folders) -> list[AccessLine]:
    path = folders.to_be_read(named.value, named.rank)
    try:
        data = read_regular(path) if named.value else b""
        reason = "" if named.value else "no file is named"
    except (OSError, ValueError) as error:
        data, reason = b"", (error.strerror if isinstance(error, OSError) else None) or "cannot be read"
    if reason:
        title = f"{options.ACCESS_FILE.title} ({named.place})"
        remedy = "name a file that is there and that the broker's own user may read"
        raise SettingError(f"{title}: {shown(named.value)}: {reason}; {remedy}")
    # In full: a place without the file's name at its end is none.
    return access_lines(data, path if path.isprintable() else ascii(path))
