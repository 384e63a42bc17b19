"""The lines of an access list, wherever they stand -> AccessRules.

group gateways: office, home
allow shop send sms
deny guest * secret.*
receivers shop 1
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from wsmb.access import ACTIONS, RECEIVE, SEND, AccessRules, Action, ReceiverLimit, Rule
from wsmb.config.access_words import EVERY, Field, fields_of, is_plain, pattern, user_name, written
from wsmb.config.ini import lines_of
from wsmb.config.values import BadValueError, nearest, printable, shown
from wsmb.errors import SettingError

T = TypeVar("T")
KEYWORDS = ("group", "allow", "deny", "receivers")
_MOST_RECEIVERS = 1_000_000_000
_GROUP = re.compile(r"[ \t]*([\w.-]+)[ \t]*:(.*)")
_NO_COLON = "has no NAME: in front; write NAME: USER, USER (a name of letters, digits, . _ and -)"
_RULE = "write USER ACTION CHANNEL, such as: shop send sms (with names that hold spaces in quotes)"
_LIMIT = f"write USER NUMBER, such as: shop 1, with a number from 0 to {_MOST_RECEIVERS}"


class AccessLine(NamedTuple):
    """A line as it stands somewhere."""

    keyword: str
    text: str
    title: str
    """What errors begin with."""
    place: str

    @property
    def shown(self) -> str:
        """The line as whoever asks for reasons is to see it."""
        return printable(f"{self.keyword} {self.text}")


Groups = Mapping[str, frozenset[str]]


def access_lines(data: bytes, file_name: str) -> list[AccessLine]:
    """The lines of a file of its own. Raises SettingError for what is no line of an access list."""
    found = []
    for number, text in enumerate(lines_of(data, file_name), 1):
        content = text.strip(" \t")
        if not content or content[0] in ";#":
            continue
        keyword, rest = (*re.split(r"[ \t]+", content, maxsplit=1), "")[:2]
        place = f"{file_name} line {number}"
        if keyword not in KEYWORDS:
            meant = nearest(keyword, KEYWORDS)
            remedy = f"did you mean {meant}?" if meant else f"lines begin with {', '.join(KEYWORDS)}"
            raise SettingError(f"{place}: begins with {shown(keyword)}; {remedy}")
        found.append(AccessLine(keyword, rest, f"{place}: {keyword}", place))
    return found


def access_rules(lines: Sequence[AccessLine]) -> AccessRules:
    """The rules that the lines make. Raises SettingError for the first that is wrong."""
    groups: dict[str, frozenset[str]] = {}
    for line in lines:
        if line.keyword == "group":
            name, members = _read(line, _group)
            if name in groups:
                raise SettingError(f"{line.title}: {name} is there already; put all its users on one line")
            groups[name] = members
    return AccessRules(
        tuple(
            _read(line, lambda line: _rule(line, groups))
            for line in lines
            if line.keyword in ("allow", "deny")
        ),
        tuple(
            _read(line, lambda line: _limit(line, groups)) for line in lines if line.keyword == "receivers"
        ),
    )


def _read(line: AccessLine, parse: Callable[[AccessLine], T]) -> T:
    try:
        return parse(line)
    except BadValueError as error:
        raise SettingError(f"{line.title}: {error}") from None


def _group(line: AccessLine) -> tuple[str, frozenset[str]]:
    match = _GROUP.fullmatch(line.text)
    if match is None:
        raise BadValueError(_NO_COLON)
    members = [word for field in fields_of(match[2]) for word in field]
    for word in members:
        if word[0].text.startswith("@") and not word[0].is_quoted:
            raise BadValueError(f"{shown(written(word))} is a group; name its users, a group holds no groups")
    return match[1], frozenset(map(user_name, members))


def _rule(line: AccessLine, groups: Groups) -> Rule:
    fields = fields_of(line.text)
    if len(fields) != 3:
        raise BadValueError(f"has {len(fields)} words; {_RULE}")
    return Rule(
        line.place,
        line.shown,
        _users(fields[0], groups),
        line.keyword == "allow",
        _actions(fields[1]),
        tuple(map(pattern, fields[2])),
    )


def _limit(line: AccessLine, groups: Groups) -> ReceiverLimit:
    fields = fields_of(line.text)
    number = written(fields[1][0]) if len(fields) == 2 and len(fields[1]) == 1 else ""
    if not re.fullmatch(r"[0-9]{1,10}", number) or int(number) > _MOST_RECEIVERS:
        raise BadValueError(_LIMIT)
    return ReceiverLimit(line.place, line.shown, _users(fields[0], groups), int(number))


def _users(field: Field, groups: Groups) -> frozenset[str] | None:
    """None is everyone."""
    users: set[str] = set()
    for word in field:
        text = written(word)
        if text.startswith("@") and not word[0].is_quoted:
            if text[1:] not in groups:
                meant = nearest(text[1:], groups)
                remedy = (
                    f"did you mean @{meant}?" if meant else f"write group {printable(text[1:])}: USER, USER"
                )
                raise BadValueError(f"there is no group {shown(text)}; {remedy}")
            users |= groups[text[1:]]
        elif not is_plain(word, EVERY):
            users.add(user_name(word))
    return None if any(is_plain(word, EVERY) for word in field) else frozenset(users)


def _actions(field: Field) -> frozenset[Action]:
    known: dict[str, Action] = {action: action for action in ACTIONS}
    if any(is_plain(word, EVERY) for word in field):
        # Not ADMIN as well: lines that were written before there was one are not to give it away.
        return frozenset((SEND, RECEIVE))
    for word in field:
        if written(word) not in known:
            raise BadValueError(
                f"{shown(written(word))} is no action; give send, receive, * for both, or admin; {_RULE}"
            )
    return frozenset(known[written(word)] for word in field)
