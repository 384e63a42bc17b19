"""Tests for an item as environment variables: nothing of it can do harm, and no password is handed down."""

from __future__ import annotations

import json
import re

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from wsmb.cli.item_environment import (
    MAX_BYTES,
    MAX_NAME_CHARS,
    MAX_VALUE_BYTES,
    item_environment,
    without_ours,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=10,
)
NAME = re.compile(rb"WSMB_(CHANNEL|REDELIVERED|ITEM|ITEM_[A-Z0-9_]+)")


class ItemEnvironmentTests(SynchronousTestCase):
    def of(self, item: bytes) -> dict[str, str]:
        """The variables of the item's own."""
        variables = item_environment("sms", item, is_redelivered=False)
        self.assertEqual((variables.pop(b"WSMB_CHANNEL"), variables.pop(b"WSMB_REDELIVERED")), (b"sms", b"0"))
        return {name.decode(): value.decode() for name, value in variables.items()}

    def test_fields(self) -> None:
        item = '{"to":"+62 812","n":1.50,"on":true,"off":false,"é-b":"ü $(id)","none":null,"l":[1],"o":{}}'
        expected = {"TO": "+62 812", "N": "1.50", "ON": "true", "OFF": "false", "__B": "ü $(id)"}
        self.assertEqual(
            self.of(item.encode()), {f"WSMB_ITEM_{name}": text for name, text in expected.items()}
        )

    def test_an_item_that_is_no_object(self) -> None:
        for item, text in ((b"21.5", "21.5"), (b'"on"', "on"), (b"false", "false")):
            self.assertEqual(self.of(item), {"WSMB_ITEM": text})
        for item in (b"null", b"[1,2]", b"{}"):
            self.assertEqual(self.of(item), {})

    def test_redelivered(self) -> None:
        self.assertEqual(item_environment("c", b"1", is_redelivered=True)[b"WSMB_REDELIVERED"], b"1")

    def test_of_two_fields_with_one_name_the_first(self) -> None:
        self.assertEqual(self.of(b'{"a-b":1,"a_b":2,"A-B":3}'), {"WSMB_ITEM_A_B": "1"})

    def test_what_does_not_fit_is_left_out_whole(self) -> None:
        self.assertEqual(self.of(b'{"nul":"a\\u0000b","x":1}'), {"WSMB_ITEM_X": "1"})
        long = json.dumps({"long": "x" * (MAX_VALUE_BYTES + 1), "x": 1}).encode()
        self.assertEqual(self.of(long), {"WSMB_ITEM_X": "1"})
        self.assertEqual(self.of(json.dumps({"n" * (MAX_NAME_CHARS + 1): 1, "": 2}).encode()), {})
        many = {f"f{number}": "x" * 90_000 for number in range(10)}
        self.assertEqual(len(self.of(json.dumps(many).encode())), MAX_BYTES // 90_000)

    @given(VALUES)
    def test_any_item(self, value: object) -> None:
        for name, text in item_environment("c", json.dumps(value).encode(), is_redelivered=False).items():
            self.assertTrue(NAME.fullmatch(name), name)
            self.assertNotIn(b"\0", text)

    def test_what_is_handed_down(self) -> None:
        secret = {
            b"WSMB_PASSWORD": b"x",
            b"WSMB_ITEM_OLD": b"x",
            b"MQ_CLIENT_PASSWORD": b"x",
            b"wsmb_url": b"x",
        }
        self.assertEqual(without_ours({b"PATH": b"/bin", **secret}), {b"PATH": b"/bin"})
