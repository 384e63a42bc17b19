"""What the tests of `wsmb passwd` share."""

from __future__ import annotations

import io
import os

from twisted.trial.unittest import SynchronousTestCase

from wsmb import htpasswd
from wsmb.cli import passwd

APR1 = "$apr1$XSTxf1uC$wjfa3jssDbmEWxk3Eca7e1"
SECRET = "s3cret pässword"


class PasswdCase(SynchronousTestCase):
    def setUp(self) -> None:
        folder = self.mktemp()
        os.mkdir(folder)
        self.file = os.path.join(folder, "users")
        self.out = io.StringIO()
        self.err = io.StringIO()

    def run_it(
        self, *arguments: str, stdin: str = SECRET + "\n", options: tuple[str, ...] = ("--cost", "4")
    ) -> int:
        self.err = io.StringIO()
        return passwd.main([*options, *arguments], io.StringIO(stdin), self.out, self.err)

    def write(self, text: bytes) -> None:
        with open(self.file, "wb") as file:
            file.write(text)

    def read(self) -> bytes:
        with open(self.file, "rb") as file:
            return file.read()

    def password_of(self, user: str, password: str = SECRET) -> bool:
        return htpasswd.verify(password.encode(), htpasswd.parse(self.read()).hashes[user] or "")

    def assert_refused(self, status: int, text: str, *arguments: str, stdin: str = SECRET + "\n") -> None:
        before = os.path.exists(self.file) and self.read()
        self.assertEqual(self.run_it(*arguments, stdin=stdin), status)
        self.assertEqual(os.path.exists(self.file) and self.read(), before)
        self.assertIn(text, self.err.getvalue())
        self.assertEqual(self.err.getvalue().count("\n"), 1)
        self.assertEqual(self.err.getvalue()[:13], "wsmb passwd: ")
