"""Sends the numbers from 0 to COUNT: `python -m chaos.programs.send COUNT`."""

import asyncio
import sys

from wsmb.client import Client


async def main(count: int) -> None:
    """Done when all is confirmed."""
    async with Client() as client:
        for number in range(count):
            await client.post("jobs", number)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
