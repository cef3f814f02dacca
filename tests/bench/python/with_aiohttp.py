"""The loop with aiohttp."""

import asyncio

import aiohttp
from loop import arguments, run


async def main():
    items, database, url, at_once = arguments()
    connector = aiohttp.TCPConnector(limit=at_once)
    async with aiohttp.ClientSession(connector=connector, raise_for_status=True) as session:

        async def ask(text):
            body = {"model": "m", "messages": [{"role": "user", "content": text}]}
            async with session.post(f"{url}/chat/completions", json=body) as response:
                return (await response.json())["choices"][0]["message"]["content"]

        await run(ask, at_once, items, database)


asyncio.run(main())
