"""Tests for wsmb.addresses."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from wsmb.addresses import UNIX, Networks, behind, normal, site

TRUSTED = Networks(["10.0.0.0/8", "2001:db8:1::/48", UNIX])


class AddressTests(SynchronousTestCase):
    def test_normal(self) -> None:
        for text, expected in (
            ("192.0.2.1", "192.0.2.1"),
            ("2001:DB8:0:0::1", "2001:db8::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("192.0.2.256", None),
            ("", None),
            ("unknown", None),
            ("fe80::1%eth0", "fe80::1"),
            ("2001:db8::1%\x9b31m from 192.0.2.9", "2001:db8::1"),
            ("%eth0", None),
        ):
            self.assertEqual(normal(text), expected)

    def test_an_ipv6_address_counts_for_its_64(self) -> None:
        self.assertEqual(site("2001:db8::1"), site("2001:db8::ffff:1"))
        self.assertNotEqual(site("2001:db8::1"), site("2001:db8:0:1::1"))
        self.assertEqual((site("192.0.2.1"), site(UNIX)), ("192.0.2.1", UNIX))
        self.assertEqual(site("fe80::1"), "fe80::/64")

    def test_networks(self) -> None:
        for address, expected in (
            ("10.1.2.3", True),
            ("11.1.2.3", False),
            ("2001:db8:1::9", True),
            ("2001:db8:2::9", False),
            (UNIX, True),
        ):
            self.assertIs(address in TRUSTED, expected, address)
        self.assertNotIn("10.1.2.3", Networks([]))
        self.assertNotIn(UNIX, Networks(["0.0.0.0/0", "::/0"]))


class BehindTests(SynchronousTestCase):
    def check(self, peer: str, forwarded: str, expected: str) -> None:
        self.assertEqual(behind(peer, forwarded, TRUSTED), expected)

    def test_who_is_not_trusted_is_not_believed(self) -> None:
        self.check("192.0.2.1", "203.0.113.9", "192.0.2.1")

    def test_the_rightmost_that_is_not_trusted(self) -> None:
        self.check("10.0.0.1", "203.0.113.9", "203.0.113.9")
        self.check("10.0.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9")
        self.check("10.0.0.1", "198.51.100.1, 203.0.113.9, 10.0.0.2", "203.0.113.9")
        self.check(UNIX, "203.0.113.9", "203.0.113.9")

    def test_all_are_trusted(self) -> None:
        self.check("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3")
        self.check("10.0.0.1", "", "10.0.0.1")

    def test_what_is_no_address_ends_the_way(self) -> None:
        for text in ("unknown", "", "203.0.113.9.1", "_hidden", "203.0.113.9; x"):
            self.check("10.0.0.1", f"203.0.113.9, {text}", "10.0.0.1")
        self.check("10.0.0.1", "203.0.113.9, junk, 10.0.0.2", "10.0.0.2")

    def test_ports(self) -> None:
        self.check("10.0.0.1", "203.0.113.9:4711", "203.0.113.9")
        self.check("10.0.0.1", "[2001:db8::9]:4711", "2001:db8::9")
        self.check("10.0.0.1", "2001:db8::9", "2001:db8::9")

    @given(st.text(alphabet="0123456789abcdef.:,[]% unix-", max_size=60))
    def test_whatever_it_says_it_is_an_address(self, forwarded: str) -> None:
        address = behind("10.0.0.1", forwarded, TRUSTED)
        self.assertEqual(normal(address), address)
        self.assertTrue(site(address))
