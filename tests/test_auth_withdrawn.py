"""Tests for users who are withdrawn while they may be connected, and for other files in place of the old."""

from __future__ import annotations

from twisted.logger import capturedLogs, formatEvent

from tests.support_auth import HASH, OTHER, OTHER_HASH, AuthenticatorCase, write_file
from wsmb.user_files import UserFiles


class WithdrawnTests(AuthenticatorCase):
    def setUp(self) -> None:
        super().setUp()
        self.withdrawn: list[set[str]] = []
        self.auth.withdrawn = lambda users: self.withdrawn.append(set(users))
        self.change(f"qa:{HASH}\nqb:{HASH}\nqc:{HASH}\n")
        self.look()

    def look(self) -> None:
        self.auth.look()
        self.reactor.pool.run()

    def test_a_new_user_withdraws_nobody(self) -> None:
        self.assertEqual(self.withdrawn, [])

    def test_who_is_removed_or_has_another_hash(self) -> None:
        self.change(f"qd:{HASH}\nqc:{OTHER_HASH}\nqa:{HASH}\n")
        self.look()
        self.assertEqual(self.withdrawn, [{"qb", "qc"}])

    def test_a_hash_that_lets_nobody_in_any_more(self) -> None:
        self.change(f"qa:{HASH}\nqb:!\nqc:{HASH}\n")
        self.look()
        self.assertEqual(self.withdrawn, [{"qb"}])

    def test_an_unusable_file_withdraws_nobody(self) -> None:
        self.change("")
        self.look()
        self.assertEqual(self.withdrawn, [])

    def test_other_files(self) -> None:
        other = self.mktemp()
        write_file(other, f"qa:{OTHER_HASH}\nqb:{HASH}\n")
        files = UserFiles([other])
        self.auth.use(files, files.read())
        self.assertEqual(self.withdrawn, [{"qa", "qc"}])
        self.assertEqual((self.answer(), self.answer(password=OTHER)), (False, True))

    def test_the_same_files_unchanged_forget_no_verified_password(self) -> None:
        self.answer()
        files = UserFiles([self.file])
        self.auth.use(files, files.read())
        self.assertEqual(self.ask(), [True])

    def test_the_old_files_that_are_being_read_count_no_more(self) -> None:
        self.change(f"qz:{HASH}\n")
        self.auth.look()
        other = self.mktemp()
        write_file(other, f"qa:{HASH}\n")
        files = UserFiles([other])
        self.auth.use(files, files.read())
        self.reactor.pool.run()
        self.assertEqual((self.answer("qz"), self.answer("qa")), (False, True))

    def test_the_old_files_that_cannot_be_read_are_not_told_of(self) -> None:
        self.change("")
        self.auth.look()
        other = self.mktemp()
        write_file(other, f"qa:{HASH}\n")
        files = UserFiles([other])
        self.auth.use(files, files.read())
        with capturedLogs() as events:
            self.reactor.pool.run()
        self.assertEqual([formatEvent(one) for one in events], [])
