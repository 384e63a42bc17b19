"""Every field of the extensions with whatever a client may put there: only CommandError comes of it."""

from __future__ import annotations

import json
import math

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from wsmb import wire
from wsmb.errors import Code, CommandError

INTEGERS = st.one_of(
    st.integers(),
    st.sampled_from([0, -1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**40, -(10**400)]),
    st.integers(10**4_298, 10**4_302),
).map(lambda number: _digits(number).encode())
ODD_NUMBERS = st.sampled_from(
    b"NaN -NaN Infinity -Infinity nan 1e400 -1e400 1e-400 1.5 -0 -0.0 01 +1 .5 1. 0x10 1_0 1e5 1E+308".split()
)
STRINGS = st.one_of(
    st.text().map(lambda text: json.dumps(text).encode()),  # lone surrogates as \ud800
    st.text(st.characters(exclude_categories=["Cs"])).map(
        lambda text: json.dumps(text, ensure_ascii=False).encode()
    ),
    st.integers(95, 105).map(lambda size: b'"' + b"x" * size + b'"'),
    st.sampled_from(
        [b'"\\ud800"', b'"\\udc00\\ud800"', b'"\xed\xa0\x80"', b'"\xff"', b'"\\u0000"', b'"\x00"', b'"']
    ),
)
SCALARS = st.one_of(INTEGERS, ODD_NUMBERS, STRINGS, st.sampled_from([b"null", b"true", b"false", b"", b" "]))
VALUES = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=4).map(lambda values: b"[" + b",".join(values) + b"]"),
    SCALARS.map(lambda value: b'{"a":' + value + b"}"),
    st.integers(1, 300).map(lambda depth: b"[" * depth + b"]" * depth),
    st.integers(90, 300).map(lambda depth: b'{"a":' * depth + b"1" + b"}" * depth),
    st.integers(90, 300).map(lambda depth: b"[" * depth),
)
NAMES = (
    "command",
    "channel",
    "data",
    "number_of_receiver",
    "confirm",
    "message_id",
    "ttl",
    "ack",
    "prefetch",
)
FIELDS = st.tuples(st.sampled_from((*NAMES, "delivery", "requeue", "delay", "unknown")), VALUES)
COMMANDS = {
    "ping": b"",
    "receive-message": b',"channel":"c"',
    "send-message": b',"channel":"c","data":[1]',
    "ack-message": b',"delivery":1',
    "reject-message": b',"delivery":1',
    "leave-channel": b',"channel":"c"',
}
FRAMES = st.builds(
    lambda command, fields, own_first: _frame(command, fields, own_first=own_first),
    st.sampled_from(sorted(COMMANDS)),
    st.lists(FIELDS, max_size=6),
    st.booleans(),
)


def _digits(number: int) -> str:
    # str() refuses more than 4,300 digits.
    high, low = divmod(abs(number), 10**4_000)
    return ("-" if number < 0 else "") + (f"{high}{low:04000}" if high else str(low))


def _frame(command: str, fields: list[tuple[str, bytes]], *, own_first: bool = True) -> bytes:
    """A frame with more fields, some of which may be there twice."""
    own = b'"command":"%s"%s' % (command.encode(), COMMANDS[command])
    more = [b'"%s":%s' % (name.encode(), value) for name, value in fields]
    return b"{" + b",".join([own, *more] if own_first else [*more, own]) + b"}"


def checked(command: wire.Command) -> None:
    """Look at all fields as a session does; raises CommandError for what is wrong with them."""
    if command.confirm is not None:
        wire.check_confirm(command.confirm)
    if isinstance(command, wire.SendMessage | wire.ReceiveMessage | wire.LeaveChannel):
        wire.channel_name(command.channel).encode()
    if isinstance(command, wire.SendMessage):
        for item in wire.items(command.data):
            json.loads(item)
        if command.number_of_receiver is not None:
            wire.receiver_limit(command.number_of_receiver)
        if command.message_id is not None:
            wire.message_id(command.message_id).encode()
        if command.ttl is not None:
            wire.time_to_live(command.ttl)
    elif isinstance(command, wire.ReceiveMessage):
        wire.prefetch(command.prefetch)
    elif isinstance(command, wire.RejectMessage):
        wire.delay(command.delay)
    if isinstance(command, wire.AckMessage | wire.RejectMessage):
        wire.deliveries(command.delivery)


class AnyFieldTests(SynchronousTestCase):
    @given(FRAMES)
    @example(_frame("ping", [("confirm", b"9" * 5_000)]))
    @example(_frame("send-message", [("data", b'"\\ud800"')]))
    def test_nothing_but_command_errors(self, frame: bytes) -> None:
        try:
            checked(wire.decode(frame))
        except CommandError as problem:
            self.assertIn(problem.code, (Code.MALFORMED, Code.TOO_LARGE))

    @given(FRAMES)
    def test_whom_to_tell_is_found_without_an_error(self, frame: bytes) -> None:
        addressed = wire.addressed(frame)
        if addressed.confirm is not None:
            json.dumps(addressed.confirm).encode()
        (addressed.channel or "").encode()

    @given(FRAMES)
    def test_a_refusal_holds_nothing_of_the_frame(self, frame: bytes) -> None:
        texts = {"not UTF-8", "not JSON", "unknown command, or a field missing or wrong"}
        try:
            wire.decode(frame)
        except CommandError as problem:
            self.assertIn(problem.detail, texts | {f"nested deeper than {wire.MAX_DEPTH}"})


class OneFieldTests(SynchronousTestCase):
    def outcome(self, command: str, field: str, value: bytes) -> Code:
        try:
            checked(wire.decode(_frame(command, [(field, value)])))
        except CommandError as problem:
            return problem.code
        return Code.ACCEPTED

    def test_table(self) -> None:
        ok, malformed, large = Code.ACCEPTED, Code.MALFORMED, Code.TOO_LARGE
        huge, lone = b"9" * 5_000, b'"\\ud800"'
        for command, field, outcomes in (
            ("ping", "confirm", {b"7": ok, b'"a"': ok, b"null": ok, b"-1": ok, b"9" * 101: large}),
            ("ping", "confirm", {b"1.5": malformed, b"true": malformed, b"[1]": malformed, huge: malformed}),
            ("ping", "confirm", {lone: malformed, b'"%s"' % (b"x" * 101): large, b"NaN": malformed}),
            ("send-message", "message_id", {b'"a"': ok, b"null": ok, b'""': malformed, b"7": malformed}),
            ("send-message", "message_id", {b'"%s"' % (b"x" * 65): large, lone: malformed, b"{}": malformed}),
            ("send-message", "ttl", {b"0": ok, b"1.5": ok, b"1e300": ok, b"null": ok, b"-1": malformed}),
            ("send-message", "ttl", {b"NaN": malformed, b"Infinity": malformed, b"1e400": malformed}),
            ("send-message", "ttl", {b'"5"': malformed, b"true": malformed, b"[5]": malformed}),
            (
                "receive-message",
                "ack",
                {b"true": ok, b"1": malformed, b'"true"': malformed, b"null": malformed},
            ),
            ("receive-message", "prefetch", {b"1": ok, b"9" * 18: ok, b"0": malformed, b"-5": malformed}),
            ("receive-message", "prefetch", {b"1.5": malformed, b"true": malformed, huge: malformed}),
            ("ack-message", "delivery", {b"-1": ok, b"[]": ok, b"[1,2]": ok, b"9" * 40: ok}),
            ("ack-message", "delivery", {b"1.5": malformed, b'"1"': malformed, b"[[1]]": malformed}),
            ("ack-message", "delivery", {b"null": malformed, b"true": malformed, b"[1,null]": malformed}),
            ("reject-message", "requeue", {b"false": ok, b"0": malformed, b'"no"': malformed}),
            ("reject-message", "delay", {b"0": ok, b"5.5": ok, b"86400": ok, b"86401": malformed}),
            ("reject-message", "delay", {b"-0.1": malformed, b"1e300": malformed, b"NaN": malformed}),
            ("reject-message", "delay", {b'"5"': malformed, b"null": malformed, b"[5]": malformed}),
        ):
            for value, expected in outcomes.items():
                self.assertIs(self.outcome(command, field, value), expected, (command, field, value[:50]))

    def test_of_a_key_given_twice_the_last_one_counts(self) -> None:
        command = wire.decode(_frame("send-message", [("ttl", b"5"), ("channel", b'"d"'), ("ttl", b"6")]))
        assert isinstance(command, wire.SendMessage)
        self.assertEqual((command.channel, command.ttl), ("d", 6))
        self.assertIs(self.outcome("send-message", "ttl", b'5,"ttl":"x"'), Code.MALFORMED)

    @given(st.floats(allow_nan=True) | st.integers(-(10**400), 10**400))
    def test_times_are_finite(self, number: float) -> None:
        """Whatever gets past the decoder, were it ever NaN."""
        for check in (wire.time_to_live, wire.delay):
            try:
                value = check(number)
            except CommandError:
                continue
            self.assertTrue(value is None or (math.isfinite(value) and value >= 0), (check, number))
