"""Connections with the channel in their URL, for tests without a network."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support import RecordingPeer, parse_frames
from tests.test_proof import Bench
from wsmb.broker import Broker
from wsmb.errors import CloseCode
from wsmb.frames import Bundle
from wsmb.settings import KeepData
from wsmb.topic_query import Topic
from wsmb.topic_session import SILENT_BEATS, TopicSession

TIME = "2026-11-22T21:00:00.000Z"


class TextClient(RecordingPeer):
    """One such connection. What it has got is proved when the test says `pong`."""

    def __init__(
        self, broker: Broker, channel: str = "c", *, is_receiver: bool = False, user: str = "qa"
    ) -> None:
        super().__init__(user)
        self.got: list[bytes] = []
        self.proved: list[bytes] = []
        self.open_pings: list[tuple[bytes, int]] = []
        self.session = TopicSession(self, broker, lambda: TIME, user, Topic(channel, is_receiver))

    def send(self, *texts: str | bytes) -> None:
        self.session.frames_received([text.encode() if isinstance(text, str) else text for text in texts])

    def take(self) -> list[bytes]:
        """The new texts."""
        pieces, self.frames = self.frames, []
        before = len(self.got)
        stream = b"".join(piece.seal() if isinstance(piece, Bundle) else piece for piece in pieces)
        for first, payload in parse_frames(stream):
            if first == 0x89:
                self.open_pings.append((payload, len(self.got)))
            elif first == 0x81:
                self.got.append(payload)
            else:
                raise AssertionError(f"neither text nor ping: {first:#x}")
        return self.got[before:]

    def pong(self) -> bool:
        """Answer the oldest ping with an empty pong, if there is one."""
        self.take()
        if not self.open_pings:
            return False
        self.proved = self.got[: self.open_pings.pop(0)[1]]
        self.session.pong(b"")
        return True

    def end(self, code: CloseCode = CloseCode.STOPPING) -> None:
        """The connection ends."""
        self.take()
        self.ended = code
        self.session.closed()


class TopicCase(SynchronousTestCase):
    def bench(self, keep_data: KeepData = KeepData.NEVER, **channel: Any) -> Bench:
        return Bench(keep_data=keep_data, **channel)

    def text_client(self, bench: Bench, **options: Any) -> TextClient:
        """One that has just come."""
        return TextClient(bench.broker, **options)

    def listener(self, bench: Bench, **options: Any) -> TextClient:
        """One that has been here for a while."""
        client = TextClient(bench.broker, **options)
        bench.beats(SILENT_BEATS)
        return client

    def publish(self, bench: Bench, *texts: str | bytes) -> None:
        """Connect, send and leave."""
        client = TextClient(bench.broker)
        client.send(*texts)
        client.end()
        bench.settle()
