"""The fast reader of frames held against Autobahn's own parser: whatever comes, cut wherever it is cut,
both find the same messages, answer the same pings and close with the same codes."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from tests.support_protocol import Connection, World, client_frame, request
from wsmb.protocol import BrokerProtocol

MOST_BYTES = 70_000

TEXTS = st.text(max_size=300).filter(lambda text: text.isprintable()).map(str.encode)
PAYLOADS = st.one_of(
    TEXTS,
    st.binary(max_size=200),
    st.sampled_from([0, 1, 125, 126, 127, 1_023, 1_024, 65_535, 65_536, MOST_BYTES, MOST_BYTES + 1]).map(
        lambda size: b"x" * size
    ),
)
EVERYDAY = st.builds(client_frame, PAYLOADS, st.sampled_from([1, 2]))
CONTROL = st.builds(client_frame, st.binary(max_size=125), st.sampled_from([9, 10]))
FRAGMENTS = st.lists(st.tuples(TEXTS, st.booleans()), min_size=2, max_size=4).map(
    lambda parts: b"".join(
        (client_frame(b"control", 9) if interrupted else b"")
        + client_frame(part, 1 if number == 0 else 0, final=number == len(parts) - 1)
        for number, (part, interrupted) in enumerate(parts)
    )
)
CLOSE = st.builds(
    client_frame,
    st.one_of(
        st.just(b""),
        st.binary(min_size=1, max_size=10),
        st.integers(0, 65_535).map(lambda n: n.to_bytes(2, "big")),
    ),
    st.just(8),
)
ODD = st.builds(
    client_frame,
    PAYLOADS,
    st.integers(0, 15),
    final=st.booleans(),
    masked=st.booleans(),
    long=st.booleans(),
)
LONG = st.builds(client_frame, PAYLOADS, st.sampled_from([1, 2]), long=st.just(True))
NOISE = st.binary(max_size=20)
STREAMS = st.lists(
    st.one_of(EVERYDAY, EVERYDAY, EVERYDAY, CONTROL, FRAGMENTS, CLOSE, ODD, LONG, NOISE), max_size=8
).map(b"".join)
CUTS = st.lists(st.one_of(st.integers(0, 40), st.integers(0, 400), st.integers(0, 200_000)), max_size=8)


class Recorder(BrokerProtocol):
    """Remembers its messages and pongs instead of handing them to a session."""

    def connectionMade(self) -> None:
        self.messages: list[tuple[bytes, bool | None]] = []
        super().connectionMade()

    def messages_received(self, payloads: list[bytes], is_binary: bool) -> None:
        self.messages += [(payload, is_binary) for payload in payloads]

    def onPong(self, payload: bytes) -> None:
        self.messages.append((payload, None))


class Reference(Recorder):
    """The same without the fast reader."""

    def _read(self, data: bytes) -> None:
        self._dataReceived(data)


def pieces(stream: bytes, cuts: list[int]) -> list[bytes]:
    ends = sorted(cut for cut in cuts if cut < len(stream))
    return [stream[start:end] for start, end in zip([0, *ends], [*ends, len(stream)], strict=True)]


class DifferentialTests(SynchronousTestCase):
    def run_through(self, kind: type[Recorder], stream: bytes, cuts: list[int]) -> tuple[Any, ...]:
        world = World(max_frame_bytes=MOST_BYTES)
        try:
            world.factory.protocol = kind  # type: ignore[assignment]
            connection: Connection = world.connect()
            connection.receive(request())
            connection.taken()
            for piece in pieces(stream, cuts):
                connection.receive(piece)
            # Autobahn refuses text that is no UTF-8 before its frame is complete.
            connection.receive(bytes(MOST_BYTES + 20))
            protocol = connection.protocol
            return protocol.messages, connection.frames(), protocol.state, connection.is_open
        finally:
            world.close()

    @given(STREAMS, CUTS)
    @examples(400)
    def test_same_messages_same_answers_same_close(self, stream: bytes, cuts: list[int]) -> None:
        for where in (cuts, []):
            expected = self.run_through(Reference, stream, where)
            self.assertEqual(self.run_through(Recorder, stream, where), expected)
