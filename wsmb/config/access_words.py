"""The words in a line of an access list.

A line is fields with spaces between them; a field is one word or several with commas. What stands in
"..." is only text, and `""` in it is a quotation mark. `;`, or `#` at the beginning of a word, begins
a comment.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from wsmb.access import Pattern
from wsmb.config.values import BadValueError, shown
from wsmb.settings import MAX_NAME_CHARS

EVERY = "*"
_TOKEN = re.compile(
    r"(?P<space>[ \t]+)|(?P<comma>,)|(?P<comment>;)|(?P<plain>[^ \t,;\"]+)"
    r'|"(?P<quoted>(?:[^"]|"")*)"|(?P<open>")'
)
_SPECIAL = re.compile(r"(\*|\{user\})")
_OF_OTHER_BROKERS = re.compile(r"(?:^|[./])([#+>]|%[uc])(?:$|[./])")


class Segment(NamedTuple):
    """A piece of a word."""

    text: str
    is_quoted: bool


Word = tuple[Segment, ...]
Field = list[Word]


class _Fields:
    """Puts the fields of a line together."""

    def __init__(self) -> None:
        self.fields: list[Field] = []
        self._word: list[Segment] = []
        self._goes_on = False  # the field, after a comma

    def segment(self, text: str, *, is_quoted: bool) -> None:
        self._word.append(Segment(text, is_quoted))

    def space(self) -> None:
        if self._word:
            if not self._goes_on:
                self.fields.append([])
            self.fields[-1].append(tuple(self._word))
            self._word, self._goes_on = [], False

    def comma(self) -> None:
        self.space()
        if not self.fields or self._goes_on:
            raise BadValueError("a comma with no name before it; remove it, or put it in quotes")
        self._goes_on = True

    def end(self) -> list[Field]:
        self.space()
        if self._goes_on:
            raise BadValueError("a comma with no name behind it; remove it, or put it in quotes")
        return self.fields

    @property
    def is_between_words(self) -> bool:
        return not self._word


def fields_of(text: str) -> list[Field]:
    """The fields of a line. Raises BadValueError."""
    fields = _Fields()
    for match in _TOKEN.finditer(text):
        kind, token = str(match.lastgroup), match[0]
        if kind == "comment" or (token[0] == "#" and fields.is_between_words):
            break
        if kind == "open":
            raise BadValueError('a " without a second one; write a " in a name as "" in quotes')
        if kind == "space":
            fields.space()
        elif kind == "comma":
            fields.comma()
        else:
            is_quoted = kind == "quoted"
            fields.segment(match["quoted"].replace('""', '"') if is_quoted else token, is_quoted=is_quoted)
    return fields.end()


def written(word: Word) -> str:
    """The text of a word without its quotes."""
    return "".join(segment.text for segment in word)


def is_plain(word: Word, text: str) -> bool:
    """Whether the word is `text`, without quotes."""
    return word == (Segment(text, False),)


def user_name(word: Word) -> str:
    """The word as the name of a user. Raises BadValueError for a pattern."""
    for text, is_quoted in word:
        if not is_quoted and re.search(r"[*{}]", text):
            raise BadValueError(
                f"{shown(written(word))} is no user; there are no patterns of users, but @groups and * for "
                "everyone; if it is a name, put it in quotes"
            )
    return _not_empty(written(word))


def pattern(word: Word) -> Pattern:
    """The word as names of channels. Raises BadValueError."""
    pieces = [[""]]
    for text, is_quoted in word:
        for part in [text] if is_quoted else _SPECIAL.split(text):
            if part == "*" and not is_quoted:
                pieces.append([""])
            elif part == "{user}" and not is_quoted:
                pieces[-1].append("")
            else:
                _check_literal(part, is_quoted=is_quoted)
                pieces[-1][-1] += part
    _not_empty(written(word))
    if len(pieces) == 1 and len("".join(pieces[0])) > MAX_NAME_CHARS:
        raise BadValueError(f"a channel's name has at most {MAX_NAME_CHARS} characters")
    if not any(is_quoted for _, is_quoted in word) and (found := _OF_OTHER_BROKERS.search(written(word))):
        raise BadValueError(
            f"{found[1]} is no wildcard here; write * or {{user}}, or put the name in quotes if it is one"
        )
    return Pattern(tuple(tuple(piece) for piece in pieces))


def _check_literal(text: str, *, is_quoted: bool) -> None:
    if not is_quoted and re.search(r"[{}]", text):
        raise BadValueError(f"{shown(text)}: of braces there is {{user}} only; put others in quotes")


def _not_empty(text: str) -> str:
    if not text:
        raise BadValueError("a name without a character; write one, or * for all")
    return text
