from __future__ import annotations

import base64

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from wsmb import htpasswd
from wsmb.credentials import parse_basic


def basic(credentials: bytes) -> str:
    return "Basic " + base64.b64encode(credentials).decode()


class ParseBasic(SynchronousTestCase):
    def test_user_and_password(self):
        self.assertEqual(parse_basic("Basic cWE6NGx0MEAxMjM0"), ("qa", b"4lt0@1234"))

    def test_scheme_in_any_case_and_blanks(self):
        for header in ("basic cWE6eA==", "BASIC   cWE6eA==", "bAsIc cWE6eA==  "):
            self.assertEqual(parse_basic(header), ("qa", b"x"))

    def test_without_padding(self):
        self.assertEqual(parse_basic("Basic cWE6eA"), ("qa", b"x"))
        self.assertEqual(parse_basic("Basic cWE6eHg"), ("qa", b"xx"))

    def test_first_colon_splits(self):
        self.assertEqual(parse_basic(basic(b"qa:a:b:")), ("qa", b"a:b:"))

    def test_empty_password_is_for_the_check_to_refuse(self):
        self.assertEqual(parse_basic(basic(b"qa:")), ("qa", b""))

    def test_user_in_utf_8_or_else_latin_1(self):
        self.assertEqual(parse_basic(basic("Zoë:ë".encode())), ("Zoë", "ë".encode()))
        self.assertEqual(parse_basic(basic("Zoë:ë".encode("latin-1"))), ("Zoë", b"\xeb"))

    def test_what_is_no_proper_header(self):
        for header in (
            *("", "Basic", "Basic ", "Basiccm9vdDp4", "Bearer cWE6eA==", "cWE6eA==", "Basic cWE6eA== x"),
            *("Basic cWE6eA=", "Basic cWE6eA===", "Basic cWE6eHg==", "Basic cW=E6eA=", "Basic cWE6e"),
            *("Basic cWE6_-8=", "Basic cWE6\neA==", "Basic cWE6eA==\n", "Basic ÿÿÿÿ", "Basic ===="),
        ):
            self.assertIsNone(parse_basic(header), header)

    def test_user_names_that_are_refused(self):
        for credentials in (b"qa", b":x", b":", b"a\0b:x", b"a\nb:x", b"a\x85:x", b"#a:x"):
            self.assertIsNone(parse_basic(basic(credentials)), credentials)

    def test_lengths(self):
        longest = b"u" * 256 + b":" + b"p" * 1024
        self.assertEqual(parse_basic(basic(longest)), ("u" * 256, b"p" * 1024))
        self.assertIsNone(parse_basic(basic(b"u" + longest)))
        self.assertIsNone(parse_basic(basic(longest + b"p")))

    @given(st.text(st.characters(exclude_categories=())))
    def test_never_raises(self, text):
        parse_basic(text)
        parse_basic("Basic " + text)

    @given(st.binary())
    def test_never_raises_on_any_bytes(self, credentials):
        parsed = parse_basic(basic(credentials))
        self.assertTrue(parsed is None or htpasswd.is_user_name(parsed[0]))

    @given(st.text(min_size=1, max_size=64).filter(htpasswd.is_user_name), st.binary(max_size=1024))
    def test_reads_back_what_a_client_wrote(self, user, password):
        self.assertEqual(parse_basic(basic(user.encode() + b":" + password)), (user, password))
