from __future__ import annotations

import os

from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from tests.support_auth import (
    HASH,
    OTHER,
    OTHER_HASH,
    RIGHT,
    AuthenticatorCase,
    write_file,
)
from wsmb.errors import SettingError
from wsmb.regular_file import read_regular
from wsmb.user_files import UserFiles


class FirstReading(AuthenticatorCase):
    def refusal(self, files: list[str], lines: list[str] | None = None) -> str:
        text = str(self.assertRaises(SettingError, self.made, files, lines))
        self.assertNotIn("\n", text)
        return text

    def test_missing_file(self):
        text = self.refusal(["/no/such file"])
        self.assertIn("htpasswd (--htpasswd or [credential]): /no/such file: no such file", text)
        self.assertIn("wsmb passwd '/no/such file' USER", text)

    def test_directory(self):
        self.assertIn("Is a directory; name a file that the broker's own user may read", self.refusal(["/"]))

    def test_what_would_wait_for_ever(self):
        pipe = self.mktemp()
        os.mkfifo(pipe)
        for place in (pipe, "/dev/zero"):
            self.assertIn(f"{place}: not a regular file; name a file", self.refusal([place]))

    def test_file_without_users(self):
        write_file(self.file, "# nobody yet\n")
        self.assertIn("no valid user: it is empty", self.refusal([self.file]))

    def test_file_with_bad_lines_only(self):
        write_file(self.file, "".join(f"user{n}:geheim\n" for n in range(9)))
        text = self.refusal([self.file])
        self.assertIn("line 5: not a bcrypt", text)
        self.assertIn("and 4 further lines", text)
        self.assertNotIn("geheim", text)

    def test_no_file_at_all(self):
        self.assertIn("wsmb passwd FILE USER", self.refusal([]))

    def test_bad_lines_in_the_configuration(self):
        self.assertIn("wsmb passwd FILE USER", self.refusal([self.file], ["qa:geheim"]))

    def test_several_files_and_lines_are_read_in_order_and_the_first_counts(self):
        second = self.mktemp()
        write_file(second, f"qa:{OTHER_HASH}\nqb:{OTHER_HASH}\n")
        self.auth = self.made([self.file, second], [f"qb:{HASH}", f"qc:{HASH}"])
        right = [("qa", RIGHT), ("qb", OTHER), ("qc", RIGHT)]
        wrong = [("qa", OTHER), ("qb", RIGHT), ("qc", OTHER)]
        self.assertEqual([self.answer(*one) for one in right + wrong], [True] * 3 + [False] * 3)

    def test_bad_lines_are_logged_by_number(self):
        write_file(self.file, f"qa:{HASH}\nqb:geheim\n")
        with capturedLogs() as events:
            self.made([self.file])
        texts = [formatEvent(one) for one in events]
        self.assertEqual(texts[0], "1 users read")
        self.assertIn(f"{self.file}: line 2: not a bcrypt", texts[1])


class ReplacedWhileRead(SynchronousTestCase):
    def test_file_replaced_while_it_is_read_is_seen_at_the_next_look(self):
        file = self.mktemp()
        write_file(file, f"old:{HASH}\n")

        def read(path: str) -> bytes:
            content = read_regular(path)
            write_file(path, f"new:{HASH}\n")
            return content

        files = UserFiles([file], read_file=read)
        reading = files.read()
        self.assertEqual(set(reading.users.hashes), {"old"})
        self.assertNotEqual(files.stamps()[0], reading.stamps[0])


class Stamps(SynchronousTestCase):
    def test_chmod_counts_as_a_change(self):
        file = self.mktemp()
        write_file(file, "")
        files = UserFiles([file])
        before, mode = files.stamps(), os.stat(file).st_mode
        for _ in range(1_000_000):  # the kernel's clock ticks every few ms
            os.chmod(file, mode)
            if files.stamps() != before:
                break
        self.assertNotEqual(before, files.stamps())
        self.assertEqual(before[0][0], files.stamps()[0][0])
