"""Prints the items that come, and acknowledges them: `python -m chaos.programs.receive`."""

import asyncio

from wsmb.client import Client


async def main() -> None:
    """Goes on for ever."""
    async with Client() as client:
        async for delivery in client.receive("jobs"):
            for item in delivery.data:
                print(item, flush=True)
            await delivery.ack()


if __name__ == "__main__":
    asyncio.run(main())
