from __future__ import annotations

import base64
import hashlib
import re
import subprocess
from importlib import metadata

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from tests.support import need
from wsmb import htpasswd

PASSWORD = "s3cret pässword".encode()
# Each made once from PASSWORD by the program named.
KNOWN = {
    "bcrypt 2y, htpasswd -B": "$2y$05$cEHzR3zhraXfP.5oTemfBux3cvgmLGBRm77loH.mT0veD4lwLIC.2",
    "bcrypt 2b, Python": "$2b$04$1e6GN/Z8NMIlU7hwzEJz/ONC9JWjfgtUZw9J8B8z/ptLuy69AMQUu",
    "bcrypt 2a, Python": "$2a$04$gHq1arXqQfwQKiNRQ.1ZxOQQAYs7EekV2IQ/7crtO7zickWIu4Z3u",
    "SHA-512, openssl": "$6$9a4WBilcmmoZ.5a2$84EFbpw8tKJIB/Sw8IlcB2Ch5VszwdWCCtVG.w.DVA8XKezq5I6UEkyrK4Q"
    "CRNO2EzdvkIDOfxlHQkGRu6ICp1",
    "SHA-256, openssl": "$5$MlJQU3oGOXuCNUwP$fRtIsj2oPci4oLH5sVwhTjTOpdjZb/IcA7hqK4JqotC",
    "APR1, openssl": "$apr1$XSTxf1uC$wjfa3jssDbmEWxk3Eca7e1",
    "APR1, htpasswd -m": "$apr1$khPSj9BZ$T83mcgZnWftwDofyeffzo0",
    "{SHA}, htpasswd -s": "{SHA}4a7WJhB7BtxFrkkm1H43wyaGvNY=",
}
APR1 = KNOWN["APR1, openssl"]
SHA1 = KNOWN["{SHA}, htpasswd -s"]
BCRYPT = KNOWN["bcrypt 2b, Python"]
SHA512_DIGEST = "a" * 86


def parse(text: str) -> htpasswd.Entries:
    return htpasswd.parse(text.encode())


def bad_lines(text: str) -> list[int]:
    return [bad.number for bad in parse(text).bad_lines]


class Dependencies(SynchronousTestCase):
    """The rows of `dependencies.md`, "libpass, htpasswd", that are about reading and verifying."""

    def test_libpass_is_installed_and_passlib_is_not(self):
        self.assertTrue(metadata.version("libpass"))
        with self.assertRaises(metadata.PackageNotFoundError):
            metadata.version("passlib")

    def test_bcrypt_5_works(self):
        self.assertGreaterEqual(int(metadata.version("bcrypt").split(".")[0]), 5)
        self.assertTrue(htpasswd.verify(PASSWORD, BCRYPT))

    def test_unknown_hash_is_not_plain_text(self):
        for unknown in ("secret", "{SSHA}abcd", "$1$pjV/D/I4$y6YCFZvO.SO.Wc/nwR6PP0", "$2x$" + BCRYPT[4:]):
            self.assertEqual(parse(f"qa:{unknown}").hashes["qa"], None, unknown)

    def test_des_is_refused(self):
        self.assertEqual(bad_lines("qa:E52EJ6z0WGyPM"), [1])

    def test_exclamation_mark_asterisk_and_empty_hash_are_refused(self):
        self.assertEqual(bad_lines("a:!\nb:*\nc:\nd:!" + APR1), [1, 2, 3, 4])

    def test_empty_password_is_wrong_even_for_the_hash_of_nothing(self):
        of_nothing = "{SHA}2jmj7l5rSw0yVb/vlWAYkK/YBwk="
        self.assertEqual(bad_lines(f"qa:{of_nothing}"), [])
        self.assertIs(htpasswd.verify(b"", of_nothing), False)

    def test_hash_itself_is_no_password(self):
        for one in KNOWN.values():
            self.assertIs(htpasswd.verify(one.encode(), one), False)

    def test_one_bad_line_does_not_fail_the_file(self):
        entries = parse(f"broken\nqa:{APR1}\nold:E52EJ6z0WGyPM\nqb:{SHA1}\n")
        self.assertEqual([bad.number for bad in entries.bad_lines], [1, 3])
        self.assertEqual({user for user, one in entries.hashes.items() if one}, {"qa", "qb"})

    def test_bad_line_is_reported_without_its_content(self):
        for bad in parse("broken\nsecretname:secrethash\n:x\n" + f"qa:{APR1}\nqa:{SHA1}").bad_lines:
            self.assertIsNone(re.search("broken|secret|qa|apr1", f"{bad}"))

    def test_dummy_hash_is_of_the_most_common_kind_and_cost(self):
        rounds = f"$6$rounds=1234$salt${SHA512_DIGEST}"
        users = htpasswd.merge([parse(f"a:{APR1}\nb:{rounds}\nc:{rounds}\nd:$6$salt${SHA512_DIGEST}")])
        self.assertTrue(users.dummy_hash.startswith("$6$rounds=1234$"), users.dummy_hash)

    def test_dummy_hash_of_bcrypt_has_the_cost_of_the_file(self):
        users = htpasswd.merge([parse(f"a:{KNOWN['bcrypt 2y, htpasswd -B']}\nb:{BCRYPT}\nc:{BCRYPT}")])
        self.assertEqual(users.dummy_hash.split("$")[2], "04")

    def test_dummy_hash_is_of_no_known_password_and_new_each_time(self):
        texts = [parse(f"a:{SHA1}")]
        dummies = {htpasswd.merge(texts).dummy_hash for _ in range(3)} - {SHA1}
        self.assertEqual(len(dummies), 3)

    def test_bcrypt_password_above_72_bytes_is_a_plain_failure(self):
        of_72 = htpasswd.bcrypt_hash(b"x" * 72, 4)
        self.assertIs(htpasswd.verify(b"x" * 72, of_72), True)
        self.assertIs(htpasswd.verify(b"x" * 73, of_72), False)


class Verify(SynchronousTestCase):
    def test_known_hashes(self):
        for name, one in KNOWN.items():
            self.assertEqual(parse(f"qa:{one}").hashes, {"qa": one}, name)
            self.assertIs(htpasswd.verify(PASSWORD, one), True, name)
            self.assertIs(htpasswd.verify(PASSWORD + b"x", one), False, name)

    def test_nul_in_password_is_a_plain_failure(self):
        for one in KNOWN.values():
            self.assertIs(htpasswd.verify(PASSWORD + b"\0", one), False)

    def test_password_up_to_1024_bytes(self):
        self.assertIs(htpasswd.verify(b"x" * 1024, _sha1(b"x" * 1024)), True)
        self.assertIs(htpasswd.verify(b"x" * 1025, _sha1(b"x" * 1025)), False)

    def test_password_is_bytes_whatever_they_are(self):
        self.assertIs(htpasswd.verify(b"\xff\xfe", htpasswd.bcrypt_hash(b"\xff\xfe", 4)), True)

    @examples(50)
    @given(
        st.binary(max_size=80),
        st.one_of(
            [
                st.from_regex(
                    re.compile(kind.pattern.pattern.replace(r"\d\d", "04"), re.ASCII), fullmatch=True
                )
                for kind in htpasswd._KINDS
            ]
        ),
    )
    def test_whatever_is_accepted_can_be_verified(self, password, password_hash):
        if parse(f"qa:{password_hash}").hashes["qa"] and "rounds=" not in password_hash:
            self.assertIs(htpasswd.verify(password, password_hash), False)


def _sha1(password: bytes) -> str:
    return "{SHA}" + base64.b64encode(hashlib.sha1(password, usedforsecurity=False).digest()).decode()


class Lines(SynchronousTestCase):
    def test_blank_lines_and_comments_are_passed_over(self):
        entries = parse(f"\n  \n# qa:{APR1}\n\t\n  # more\nqb:{APR1}\n\n")
        self.assertEqual((entries.hashes, entries.bad_lines), ({"qb": APR1}, ()))

    def test_first_line_of_a_user_counts(self):
        entries = parse(f"qa:{APR1}\nqa:{SHA1}")
        self.assertEqual((entries.hashes, bad_lines(f"qa:{APR1}\nqa:{SHA1}")), ({"qa": APR1}, [2]))

    def test_bad_first_line_locks_the_user_out(self):
        entries = parse(f"qa:!\nqa:{APR1}")
        self.assertEqual((entries.hashes, entries.has_users), ({"qa": None}, False))
        users = htpasswd.merge([entries, parse(f"qa:{SHA1}\nqb:{SHA1}")])
        self.assertEqual(users.hashes, {"qb": SHA1})

    def test_texts_are_read_as_if_one(self):
        users = htpasswd.merge([parse(f"qa:{APR1}"), parse(f"qa:{SHA1}\nqb:{SHA1}")])
        self.assertEqual(users.hashes, {"qa": APR1, "qb": SHA1})

    def test_crlf_byte_order_mark_and_blanks_around(self):
        entries = parse(f"\ufeffqa:{APR1}\r\n qb:{SHA1} \r\nqc:{SHA1}\t\r\n")
        self.assertEqual((entries.hashes, entries.bad_lines), ({"qa": APR1, "qb": SHA1, "qc": SHA1}, ()))

    def test_user_names_in_utf_8(self):
        self.assertEqual(parse(f"Jürgen 日本:{APR1}").hashes, {"Jürgen 日本": APR1})

    def test_what_stands_after_a_second_colon_is_a_comment(self):
        self.assertEqual(parse(f"qa:{APR1}:the tester").hashes, {"qa": APR1})

    def test_user_names_that_are_refused(self):
        for name in ("", "\x01", "a\0", "a\x7f", "a\x85", "a\u2028", "a\rb", "x" * 257, "é" * 129):
            self.assertEqual((bad_lines(f"{name}:{APR1}"), parse(f"{name}:{APR1}").hashes), ([1], {}), name)

    def test_user_names_that_no_line_could_give_back(self):
        for name in ("#a", " a", "\ufeffa", "a:b", "\ud800"):
            self.assertIs(htpasswd.is_user_name(name), False, ascii(name))

    def test_bcrypt_hash_that_no_crypt_would_write(self):
        salt_end, digest_end = BCRYPT[:28] + "a" + BCRYPT[29:], BCRYPT[:-1] + "b"
        self.assertEqual(bad_lines(f"qa:{salt_end}\nqb:{digest_end}\nqc:{BCRYPT}"), [1, 2])

    def test_line_that_is_not_utf_8(self):
        entries = htpasswd.parse(b"\xff:" + APR1.encode() + b"\nqa:\xff\xfe")
        self.assertEqual((entries.has_users, len(entries.bad_lines)), (False, 2))

    def test_costs_that_would_stop_everybody_are_refused(self):
        tail = BCRYPT[7:]
        good = (
            f"$2y$15${tail}",
            f"$6$rounds=1000000$salt${SHA512_DIGEST}",
            f"$5$rounds=1000$salt${'a' * 43}",
        )
        bad = (f"$2y$16${tail}", f"$6$rounds=1000001$salt${SHA512_DIGEST}", f"$5$rounds=999$salt${'a' * 43}")
        self.assertEqual(bad_lines("\n".join(f"u{n}:{one}" for n, one in enumerate(good))), [])
        self.assertEqual(bad_lines("\n".join(f"u{n}:{one}" for n, one in enumerate(bad))), [1, 2, 3])

    def test_hashes_are_not_in_the_repr(self):
        entries = parse(f"qa:{APR1}")
        self.assertNotIn(APR1, f"{entries}{htpasswd.merge([entries])}")

    @given(st.binary() | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
    def test_never_raises(self, text):
        htpasswd.parse(text)

    @given(st.text("ab:#$!*{}\n\r\0\ufeff \t\x85é").map(str.encode), st.text("qa:#\n\r é\0"))
    def test_never_raises_on_almost_proper_lines(self, text, name):
        entries = htpasswd.parse(text + f"\n{name}:{APR1}\n".encode())
        self.assertTrue(all(htpasswd.is_user_name(user) for user in entries.hashes))

    @given(st.text(st.characters(exclude_categories=())))
    def test_every_user_name_can_be_read_back(self, name):
        if htpasswd.is_user_name(name):
            self.assertEqual(parse(f"{name}:{APR1}").hashes, {name: APR1})


class Example(SynchronousTestCase):
    def test_user_of_the_examples(self):
        root = __file__.rpartition("/tests/")[0]
        with open(f"{root}/htpasswd.example", "rb") as file:
            entries = htpasswd.parse(file.read())
        self.assertEqual(entries.bad_lines, ())
        self.assertTrue(htpasswd.verify(b"4lt0@1234", entries.hashes["qa"] or ""))


class Interoperability(SynchronousTestCase):
    def test_what_the_tools_make_today_is_accepted(self):
        need("htpasswd")
        for options in (["-nbB", "-C", "4"], ["-nbm"], ["-nbs"], ["-nb2"], ["-nb5"]):
            command = ["htpasswd", *options]
            line = subprocess.run([*command, "qa", PASSWORD.decode()], capture_output=True, check=True).stdout
            self.assertTrue(htpasswd.verify(PASSWORD, htpasswd.parse(line).hashes["qa"] or ""), command)

    def test_what_openssl_makes_today_is_accepted(self):
        need("openssl")
        for kind in ("-6", "-5", "-apr1"):
            command = ["openssl", "passwd", kind, "-stdin"]
            made = subprocess.run(command, input=PASSWORD, capture_output=True, check=True).stdout
            self.assertTrue(htpasswd.verify(PASSWORD, parse(f"qa:{made.decode()}").hashes["qa"] or ""), kind)
