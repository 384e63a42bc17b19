from __future__ import annotations

import io
import os

from tests.support_passwd import PasswdCase
from wsmb.cli import passwd


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Password(PasswdCase):
    def test_first_line_of_standard_input(self):
        self.run_it(self.file, "qa", stdin="first\r\nsecond\n")
        self.assertTrue(self.password_of("qa", "first"))

    def test_blanks_count(self):
        self.run_it(self.file, "qa", stdin=" a b \n")
        self.assertTrue(self.password_of("qa", " a b "))

    def test_default_cost_is_10(self):
        self.run_it(self.file, "qa", options=())
        self.assertIn(b"qa:$2y$10$", self.read())

    def test_what_bcrypt_cannot_take(self):
        self.assert_refused(1, "73 bytes, and bcrypt takes 72 at most", self.file, "qa", stdin="x" * 73)
        self.assert_refused(1, "74 bytes", self.file, "qa", stdin="é" * 37)
        self.assert_refused(1, "NUL", self.file, "qa", stdin="a\0b")
        self.assertEqual(self.run_it(self.file, "qa", stdin="x" * 72), 0)

    def test_none(self):
        self.assert_refused(1, "empty password", self.file, "qa", stdin="")
        self.assert_refused(1, "empty password", self.file, "qa", stdin="\n")

    def test_that_is_no_utf_8(self):
        stdin = io.TextIOWrapper(io.BytesIO(b"\xff\n"), encoding="utf-8")
        self.assertEqual(passwd.main([self.file, "qa"], stdin, self.out, self.err), 1)
        self.assertEqual(self.err.getvalue(), "wsmb passwd: the password is not UTF-8 text\n")

    def at_terminal(self, *typed: str) -> int:
        lines = iter(typed)

        def ask(prompt: str) -> str:
            self.assertTrue(prompt.endswith(": "))
            try:
                return next(lines)
            except StopIteration:
                raise EOFError from None

        return passwd.main(["--cost", "4", self.file, "qa"], Terminal("not this\n"), self.out, self.err, ask)

    def test_asked_for_twice_at_a_terminal(self):
        self.assertEqual(self.at_terminal("one", "one"), 0)
        self.assertTrue(self.password_of("qa", "one"))

    def test_asked_for_twice_and_different(self):
        self.assertEqual(self.at_terminal("one", "other"), 1)
        self.assertEqual(self.err.getvalue(), "wsmb passwd: the two passwords differ\n")
        self.assertFalse(os.path.exists(self.file))

    def test_asked_for_and_not_given(self):
        self.assertEqual(self.at_terminal(), 1)
        self.assertEqual(self.err.getvalue(), "wsmb passwd: no password was given\n")


class Usage(PasswdCase):
    def test_password_as_an_argument_is_refused_and_not_shown(self):
        for further in (["geheim"], ["--password=geheim"], ["-p", "geheim"], ["--cost", "geheim"]):
            self.assert_refused(2, "wsmb passwd --help", self.file, "qa", *further)
            self.assertNotIn("geheim", self.err.getvalue())

    def test_user_names_that_are_refused(self):
        for user in ("", "a:b", "a\nb", "\0", "#a", " a", "\udcff", "x" * 257):
            self.assert_refused(2, "a user name has", self.file, user)

    def test_costs_that_are_refused(self):
        for cost in ("3", "16", "-1", "", "1" * 5000):
            self.assert_refused(2, "a number from 4 to 15 is needed", self.file, "qa", f"--cost={cost}")

    def test_missing_arguments(self):
        self.assert_refused(2, "the following arguments are required", self.file)

    def test_help(self):
        self.assertEqual(self.run_it("--help"), 0)
        self.assertIn("--delete", self.out.getvalue())
        self.assertEqual(self.err.getvalue(), "")

    def test_no_secret_in_messages(self):
        self.run_it(self.file, "qa")
        self.assertEqual(self.err.getvalue(), f"wsmb passwd: qa added to {os.path.realpath(self.file)}\n")
        self.run_it(self.file, "qa")
        self.assertEqual(self.err.getvalue(), f"wsmb passwd: qa changed in {os.path.realpath(self.file)}\n")
        self.assertEqual(self.out.getvalue(), "")
