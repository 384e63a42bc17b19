"""The three faces of the Python client, used in one way: all that has to be waited for is awaited."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Coroutine
from typing import Any, Protocol

from twisted.internet.defer import Deferred, DeferredQueue
from twisted.internet.ssl import Certificate, optionsForClientTLS

from wsmb.client import BlockingClient, Client, TwistedClient


class Inbox(Protocol):
    """What comes on a channel."""

    async def next(self) -> Any:
        """The next delivery. Raises the error after which there is none."""

    async def rest(self) -> list[Any]:
        """What else comes, once the client is closed."""

    async def stop(self) -> None:
        """Leave the channel."""


class Face(Protocol):
    """One kind of client."""

    def tls(self, authority: str) -> Any:
        """What trusts the authority in this file, and no others."""

    async def connect(self, url: str, **options: Any) -> Any:
        """A client that is connected, or on the way: its `send` and `ping` give what `done` waits for."""

    async def done(self, result: Any) -> Any:
        """What it gives in the end."""

    async def close(self, client: Any) -> None:
        """Close it at once."""

    def receive(self, client: Any, channel: str, **options: Any) -> Inbox:
        """Receive."""


class AsyncioFace:
    """wsmb.client.Client."""

    def tls(self, authority: str) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=authority)

    async def connect(self, url: str, **options: Any) -> Client:
        client = Client(url, **options)
        await client.connect()
        return client

    async def done(self, result: Awaitable[Any]) -> Any:
        return await result

    async def close(self, client: Client) -> None:
        await client.close()

    def receive(self, client: Client, channel: str, **options: Any) -> Inbox:
        return _AsyncioInbox(client, channel, options)


class _AsyncioInbox:
    def __init__(self, client: Client, channel: str, options: dict[str, Any]) -> None:
        self._deliveries = client.receive(channel, **options)

    async def next(self) -> Any:
        return await anext(self._deliveries)

    async def rest(self) -> list[Any]:
        return [delivery async for delivery in self._deliveries]

    async def stop(self) -> None:
        await self._deliveries.aclose()


class BlockingFace:
    """wsmb.client.BlockingClient: nothing is ever awaited."""

    def tls(self, authority: str) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=authority)

    async def connect(self, url: str, **options: Any) -> BlockingClient:
        client = BlockingClient(url, **options)
        client.connect()
        return client

    async def done(self, result: Any) -> Any:
        return result

    async def close(self, client: BlockingClient) -> None:
        client.close()

    def receive(self, client: BlockingClient, channel: str, **options: Any) -> Inbox:
        return _BlockingInbox(client, channel, options)


class _BlockingInbox:
    def __init__(self, client: BlockingClient, channel: str, options: dict[str, Any]) -> None:
        self._deliveries = client.receive(channel, **options)

    async def next(self) -> Any:
        return next(self._deliveries)

    async def rest(self) -> list[Any]:
        return list(self._deliveries)

    async def stop(self) -> None:
        self._deliveries.close()


class TwistedFace:
    """wsmb.client.TwistedClient."""

    def tls(self, authority: str) -> Any:
        with open(authority) as file:
            return optionsForClientTLS("127.0.0.1", Certificate.loadPEM(file.read()))

    async def connect(self, url: str, **options: Any) -> TwistedClient:
        client = TwistedClient(url, **options)
        client.ended.addErrback(lambda _: None)
        client.startService()
        try:
            await client.when_connected()
        except BaseException:
            await client.stopService()
            raise
        return client

    async def done(self, result: Deferred[Any]) -> Any:
        return await result

    async def close(self, client: TwistedClient) -> None:
        await client.close()

    def receive(self, client: TwistedClient, channel: str, **options: Any) -> Inbox:
        return _TwistedInbox(client, channel, options)


class _TwistedInbox:
    def __init__(self, client: TwistedClient, channel: str, options: dict[str, Any]) -> None:
        self._queue: DeferredQueue[Any] = DeferredQueue()
        self._receiving = client.receive(channel, self._queue.put, **options)
        self._receiving.ended.addErrback(self._queue.put)

    async def next(self) -> Any:
        return await self._queue.get()

    async def rest(self) -> list[Any]:
        await self._receiving.ended
        return list(self._queue.pending)

    async def stop(self) -> None:
        self._receiving.stop()


def run_blocking(coroutine: Coroutine[Any, Any, None]) -> None:
    """Carry out what never waits for a loop."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits for a loop")
