"""The reader of PHP's INI text. What PHP makes of a line was tried with PHP 8.2."""

import re
import unittest

from hypothesis import given
from hypothesis import strategies as st

from wsmb.config.ini import Ini, read_ini
from wsmb.errors import SettingError


def read(text: str | bytes) -> Ini:
    return read_ini(text if isinstance(text, bytes) else text.encode(), "x.ini")


def value(line: str) -> str:
    """What `key=<line>` comes to."""
    return read(f"[s]\nkey={line}\nother=1\n").sections["s"].values["key"][0].text


def quoted(text: str) -> str:
    """`text` as a value of the file; there are no escapes, so it takes the quote that does not end early."""
    mark = "'" if re.search(r'"[ \t]*;', text) else '"'
    return f"{mark}{text}{mark}"


class ValueTests(unittest.TestCase):
    def test_as_php_reads_it(self):
        for line, expected in {
            "plain": "plain",
            "  two  words \t": "two  words",
            "": "",
            "a;b": "a",
            "30          ; milliseconds": "30",
            ";": "",
            '"a;b" ; c': "a;b",
            '"  a  "': "  a  ",
            '""': "",
            '"a"b"c"': 'a"b"c',
            '"a\\"b\\n"': 'a\\"b\\n',
            "C:\\new": "C:\\new",
            '"not closed': '"not closed',
            'a "b;c"': 'a "b',
            '"a" b': '"a" b',
            "p#a=s!s$w{o}r(d)&|~^%@?*": "p#a=s!s$w{o}r(d)&|~^%@?*",
            "#abc": "#abc",
            "${HOME}": "${HOME}",
            "true": "true",
            "0x1F": "0x1F",
            "äöü\u2028€": "äöü\u2028€",
        }.items():
            with self.subTest(line=line):
                self.assertEqual(value(line), expected)

    def test_single_quotes_go_as_double_ones_do(self):
        for line, expected in {
            "'a;b' ; it's": "a;b",
            "'say \"; hi'": 'say "; hi',
            "''": "",
            "'a": "'a",
        }.items():
            with self.subTest(line=line):
                self.assertEqual(value(line), expected)

    def test_comment_with_quotes_after_a_quoted_value(self):
        self.assertEqual(value('"/" ; the "root"'), "/")

    @given(st.text(st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from("\t\"';# =[]\\")))
    def test_what_is_quoted_reads_back_the_same(self, text):
        if re.search(r'"[ \t]*;', text) and re.search(r"'[ \t]*;", text):
            return  # nothing can quote it
        self.assertEqual(value(quoted(text)), text)


class LineTests(unittest.TestCase):
    def test_sections_keys_and_lines(self):
        ini = read("\n; comment\n[a] ; x\n k = 1\n[b]# y\nl=2\n")
        self.assertEqual({name: section.line for name, section in ini.sections.items()}, {"a": 3, "b": 5})
        self.assertEqual(ini.sections["a"].values["k"][0].line, 4)
        self.assertEqual(ini.sections["b"].values["l"][0].text, "2")
        self.assertEqual(ini.warnings, [])

    def test_comments_begin_a_line_also_behind_spaces(self):
        ini = read("[s]\n;a=1\n  ; b=1\n#c=1\n\t# d=1\ne=1")
        self.assertEqual(list(ini.sections["s"].values), ["e"])

    def test_line_ends_and_byte_order_mark(self):
        for data in (b"\xef\xbb\xbf[s]\r\nk=v\r\nl=w\r\n", b"[s]\rk=v\rl=w\r", b"[s]\nk=v\nl=w"):
            with self.subTest(data=data):
                values = read(data).sections["s"].values
                self.assertEqual([(v[0].text, v[0].line) for v in values.values()], [("v", 2), ("w", 3)])

    def test_list_in_its_order(self):
        for key in ("k[]", "k []", "k[x]"):
            with self.subTest(key=key):
                ini = read(f"[s]\n{key}=1\n{key}=2\n")
                self.assertEqual([v.text for v in ini.sections["s"].values["k"]], ["1", "2"])
                self.assertEqual(ini.warnings, [])

    def test_arrow_in_a_key(self):
        self.assertEqual(list(read("[s]\ndatabase->driver=mysql").sections["s"].values), ["database->driver"])

    def test_brackets_in_a_section_name(self):
        self.assertEqual(list(read("[a]b] ; c\n[ c ] ; [d]").sections), ["a]b", "c"])

    def test_key_given_again(self):
        ini = read("[s]\nk=1\nk=2\n")
        self.assertEqual([v.text for v in ini.sections["s"].values["k"]], ["2"])
        self.assertEqual(
            ini.warnings, ["[s] k (x.ini line 3): given again; the last one counts, remove the others"]
        )

    def test_section_given_again_begins_anew_as_in_php(self):
        ini = read("[s]\nk=1\n[t]\n[s]\nl=2\n")
        self.assertEqual(list(ini.sections["s"].values), ["l"])
        self.assertEqual(len(ini.warnings), 1)
        self.assertIn("[s] (x.ini line 4)", ini.warnings[0])
        self.assertIn("at line 1 is not used", ini.warnings[0])

    def test_lines_that_are_not_used_are_known(self):
        for text, lines in (
            ("[s]\nk=1\nk[]=2\n", []),
            ("[s]\nk=1\nl=1\nk=2\nk=3\n", [2, 4]),
            ("[s]\nk[]=1\nk[]=2\nk=3\n", [2, 3]),
            ("[s]\nk=1\n[s]\nk=2\n", [1]),
        ):
            with self.subTest(text=text):
                self.assertEqual(read(text).sections["s"].lost, lines)

    def test_as_it_is_written(self):
        self.assertEqual(read('[s]\nk = "a" ; b \n').sections["s"].values["k"][0].written, '"a" ; b')

    def test_values_are_not_in_the_representation(self):
        self.assertNotIn("hidden", repr(read("[s]\nk=hidden\n")))


class ErrorTests(unittest.TestCase):
    def assert_refused(self, text: str | bytes, line: int, *parts: str) -> None:
        with self.assertRaises(SettingError) as caught:
            read(text)
        message = str(caught.exception)
        self.assertTrue(message.startswith(f"x.ini line {line}: "), message)
        for part in parts:
            self.assertIn(part, message)
        self.assertNotIn("hidden", message)

    def test_malformed_lines(self):
        for line in ("password hidden", "password: hidden", "= hidden", "k ; hidden = 1"):
            with self.subTest(line=line):
                self.assert_refused(f"[s]\n\n{line}", 3, "write [name] or key = value")

    def test_section_that_is_not_closed(self):
        self.assert_refused("[s]\n[hidden", 2, "does not end in ]")
        self.assert_refused("[s]\n[t] k=hidden", 2, "alone on its line")

    def test_setting_before_the_first_section(self):
        self.assert_refused("; x\nk=hidden\n[s]", 2, "[server]")

    def test_not_utf_8(self):
        self.assert_refused(b"[s]\r\nk=hidden\rl=\xe4\n", 3, "save the file in UTF-8")

    def test_utf_16(self):
        self.assert_refused("[s]\nk=hidden".encode("utf-16"), 1, "UTF-8")

    def test_control_characters(self):
        for character in "\x00\x07\x0b\x0c\x1b\x7f\x85":
            with self.subTest(character=character):
                self.assert_refused(f"[s]\nk=hidden{character}", 2, "control character")

    @given(st.binary() | st.text().map(str.encode) | st.text("[]=;#\"' \tak\n\r").map(str.encode))
    def test_nothing_else_is_ever_raised(self, data):
        try:
            ini = read(data)
        except SettingError as error:
            self.assertEqual(len(str(error).splitlines()), 1)
        else:
            for warning in ini.warnings:
                self.assertEqual(len(warning.splitlines()), 1)
