from __future__ import annotations

import os
import stat
import subprocess
import threading

from hypothesis import given
from hypothesis import strategies as st

from tests import examples
from tests.support import need
from tests.support_passwd import APR1, SECRET, PasswdCase
from wsmb import htpasswd
from wsmb.cli import passwd


class File(PasswdCase):
    def test_is_made_readable_for_its_owner_only(self):
        previous = os.umask(0)
        self.addCleanup(os.umask, previous)
        self.assertEqual(self.run_it(self.file, "qa"), 0)
        self.assertTrue(self.password_of("qa"))
        self.assertEqual(stat.S_IMODE(os.stat(self.file).st_mode), 0o600)

    def test_mode_and_owner_are_kept(self):
        self.write(b"")
        os.chmod(self.file, 0o640)
        if os.geteuid() == 0:
            os.chown(self.file, 12345, 12346)
        before = os.stat(self.file)
        self.run_it(self.file, "qa")
        after = os.stat(self.file)
        self.assertEqual(
            (before.st_mode, before.st_uid, before.st_gid), (after.st_mode, after.st_uid, after.st_gid)
        )

    def test_other_lines_are_kept_byte_for_byte(self):
        before = b"# \xff comment\r\n\nqb:x:y \n\t qc:\0\n  \xffname:z\nqd:end"
        self.write(before)
        self.run_it(self.file, "qa")
        self.assertEqual(self.read()[: len(before)], before)
        self.assertTrue(self.password_of("qa"))
        self.run_it(self.file, "qa", "--delete")
        self.assertEqual(self.read(), before + b"\r\n")

    def test_all_lines_of_the_user_become_one_in_the_place_of_the_first(self):
        self.write(f"qb:{APR1}\r\nqa:!\r\n#\r\nqa:{APR1}\r\n qa:{APR1}".encode())
        self.run_it(self.file, "qa")
        first, second, third, end = self.read().split(b"\r\n")
        self.assertEqual((first, third, end), (f"qb:{APR1}".encode(), b"#", b""))
        self.assertEqual(htpasswd.user_of(second), "qa")
        self.assertTrue(self.password_of("qa"))

    def test_line_ends_as_the_others_do(self):
        self.write(f"qb:{APR1}\r\n".encode())
        self.run_it(self.file, "qa")
        self.assertEqual(self.read().count(b"\r\n"), 2)

    def test_byte_order_mark_stays_at_the_start(self):
        self.write(f"\ufeffqa:{APR1}\n".encode())
        self.run_it(self.file, "qa")
        self.assertEqual((self.read().count(b"\xef\xbb\xbf"), self.read()[:3]), (1, b"\xef\xbb\xbf"))
        self.assertTrue(self.password_of("qa"))

    def test_is_replaced_at_once_by_a_new_one(self):
        self.write(f"qb:{APR1}\n".encode())
        with open(self.file, "rb") as old:
            self.run_it(self.file, "qa")
            self.assertEqual(old.read(), f"qb:{APR1}\n".encode())
        self.assertEqual(os.listdir(os.path.dirname(self.file)), ["users"])

    def test_link_stays_a_link(self):
        self.write(b"")
        link = self.mktemp()
        os.symlink(os.path.abspath(self.file), link)
        self.run_it(link, "qa")
        self.assertTrue(os.path.islink(link))
        self.assertTrue(self.password_of("qa"))

    def test_nothing_is_left_behind_after_a_failure(self):
        os.mkdir(self.file)
        self.assertEqual(self.run_it(self.file, "qa"), 1)
        self.assertEqual(os.listdir(os.path.dirname(self.file)), ["users"])

    def test_what_is_no_file(self):
        self.assertEqual(self.run_it("/dev/null", "qa"), 1)
        self.assertEqual(self.err.getvalue(), "wsmb passwd: /dev/null is not a regular file\n")

    def test_folder_that_is_not_there(self):
        self.assert_refused(1, "/no/such/file: No such file or directory", "/no/such/file", "qa")

    def test_two_at_once_keep_the_change_of_each_other(self):
        users = [f"user{n}" for n in range(16)]
        threads = [threading.Thread(target=self.add, args=(user,)) for user in users]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(set(htpasswd.parse(self.read()).hashes), set(users))

    def add(self, user: str) -> None:
        passwd._change(os.path.abspath(self.file), user, f"{user}:{APR1}".encode())


class Delete(PasswdCase):
    def test_all_lines_of_the_user(self):
        self.write(f"qa:{APR1}\n#\nqb:{APR1}\nqa:x".encode())
        self.assertEqual(self.run_it(self.file, "qa", "--delete", stdin=""), 0)
        self.assertEqual(self.read(), f"#\nqb:{APR1}\n".encode())

    def test_user_that_is_not_there(self):
        self.assert_refused(1, "has no user qa", self.file, "qa", "--delete")
        self.write(f"qb:{APR1}\n".encode())
        self.assert_refused(1, "has no user qa", self.file, "qa", "--delete")

    def test_of_the_last_user_says_that_a_broker_keeps_it(self):
        self.write(f"qa:{APR1}\n".encode())
        self.assertEqual(self.run_it(self.file, "qa", "--delete"), 0)
        self.assertIn("a running broker goes on with those it knows", self.err.getvalue())


class ReadBack(PasswdCase):
    lines = st.lists(st.sampled_from(["qa:x", "#", "", f"qb:{APR1}", " qa:y", "\ufeffqa:z", "\0", "qa"]))

    @examples(40)
    @given(
        st.text(min_size=1, max_size=20).filter(htpasswd.is_user_name),
        st.text(
            st.characters(exclude_characters="\0\r\n", exclude_categories=("Cs",)), min_size=1, max_size=18
        ),
        lines,
        st.sampled_from(["\n", "\r\n"]),
    )
    def test_what_passwd_writes_the_reader_reads(self, user, password, lines, line_break):
        self.write(line_break.join(lines).encode())
        self.assertEqual(self.run_it("--", self.file, user, stdin=password + "\n"), 0, self.err.getvalue())
        self.assertTrue(self.password_of(user, password))

    def test_what_passwd_writes_apache_accepts(self):
        need("htpasswd")
        self.run_it(self.file, "qa")
        for password, status in ((SECRET, 0), ("wrong", 3)):
            command = ["htpasswd", "-vb", self.file, "qa", password]
            self.assertEqual(subprocess.run(command, capture_output=True, check=False).returncode, status)

    def test_changes_a_file_that_apache_wrote(self):
        need("htpasswd")
        subprocess.run(["htpasswd", "-cb", self.file, "qb", "b"], capture_output=True, check=True)
        self.run_it(self.file, "qa")
        subprocess.run(["htpasswd", "-bB", self.file, "qa", "new"], capture_output=True, check=True)
        self.assertTrue(self.password_of("qa", "new"))
        self.assertTrue(self.password_of("qb", "b"))
