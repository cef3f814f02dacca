"""The loop with aiohttp."""

import asyncio
import sys

import aiohttp
from loop import run


async def main():
    url, connector = f"{sys.argv[3]}/chat/completions", aiohttp.TCPConnector(limit=int(sys.argv[4]))
    async with aiohttp.ClientSession(connector=connector, raise_for_status=True) as session:

        async def ask(text):
            body = {"model": "m", "messages": [{"role": "user", "content": text}]}
            async with session.post(url, json=body) as response:
                return (await response.json())["choices"][0]["message"]["content"]

        await run(ask)


asyncio.run(main())
