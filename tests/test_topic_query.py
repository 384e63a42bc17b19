"""Tests for wsmb.topic_query."""

from __future__ import annotations

from urllib.parse import quote, quote_plus

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from wsmb.topic_query import QueryError, Topic, read_topic

NAMES = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=100)


class ReadTests(SynchronousTestCase):
    def test_topic_or_channel_whatever_the_path(self) -> None:
        for uri in ("/?topic=sms", "/?channel=sms", "/ws?a=b&topic=sms&sessid=1", "*?topic=sms"):
            self.assertEqual(read_topic(uri), Topic("sms", False), uri)

    def test_any_other_query_is_about_something_else(self) -> None:
        for uri in ("/", "/?", "/ws?sessid=1", "/?Topic=sms", "/topic=sms", "/?topics=sms", "/?%74opic=sms"):
            self.assertIsNone(read_topic(uri), uri)

    def test_a_role_without_a_channel_means_nothing(self) -> None:
        for uri in ("/?role=receiver", "/?role=x", "/?role=x&role=y"):
            self.assertIsNone(read_topic(uri), uri)

    def test_receiver(self) -> None:
        self.assertEqual(read_topic("/?role=receiver&topic=sms"), Topic("sms", True))

    def test_it_is_read_as_a_form_is(self) -> None:
        self.assertEqual(read_topic("/?topic=a+b%2Bc%20d%26e%3d"), Topic("a b+c d&e=", False))
        self.assertEqual(read_topic("/?topic=a=b"), Topic("a=b", False))
        self.assertEqual(read_topic("/?topic=%C3%A9"), Topic("é", False))

    def test_utf_8_that_is_not_encoded(self) -> None:
        self.assertEqual(read_topic("/?topic=é".encode().decode("latin-1")), Topic("é", False))

    @given(NAMES)
    def test_every_name_can_be_written(self, name: str) -> None:
        for encoded in (quote(name, safe=""), quote_plus(name)):
            self.assertEqual(read_topic(f"/?topic={encoded}"), Topic(name, False))

    def test_names_of_100_characters_and_one_more(self) -> None:
        name = "é" * 100
        self.assertEqual(read_topic(f"/?topic={quote(name)}"), Topic(name, False))
        self.assert_wrong("/?topic=" + quote(name + "x"), "topic has more than 100 characters")

    def test_what_is_wrong_is_said(self) -> None:
        for query, text in (
            ("topic=", "topic is empty"),
            ("topic", "topic is empty"),
            ("channel=&x=y", "channel is empty"),
            ("topic=a&topic=a", "topic is given twice"),
            ("channel=a&x=y&channel=b", "channel is given twice"),
            ("topic=a&channel=a", "topic and channel are both given; give one of them"),
            ("topic=%", "topic is not percent-encoded; a % is written as %25"),
            ("topic=%4", "topic is not percent-encoded; a % is written as %25"),
            ("topic=100%!", "topic is not percent-encoded; a % is written as %25"),
            ("topic=%C3", "topic is not UTF-8"),
            ("topic=\xe9", "topic is not UTF-8"),
            ("topic=%ed%a0%80", "topic is not UTF-8"),
            ("topic=a&role=", "role is not receiver; give role=receiver, or no role"),
            ("topic=a&role=Receiver", "role is not receiver; give role=receiver, or no role"),
            ("topic=a&role=receiver&role=receiver", "role is given twice"),
        ):
            self.assert_wrong(f"/?{query}", text)

    def assert_wrong(self, uri: str, text: str) -> None:
        problem = self.assertRaises(QueryError, read_topic, uri)
        self.assertEqual(str(problem), text)

    @given(st.text(st.characters(max_codepoint=255)))
    def test_any_bytes_have_a_channel_or_none_or_a_clear_error(self, query: str) -> None:
        try:
            topic = read_topic(f"/?topic={query}")
        except QueryError:
            return
        self.assertTrue(topic is not None and 1 <= len(topic.name) <= 100)
