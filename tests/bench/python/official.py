"""The loop with the official client."""

import asyncio

from loop import arguments, run
from openai import AsyncOpenAI


async def main():
    items, database, url, at_once = arguments()
    async with AsyncOpenAI(base_url=url, api_key="none", max_retries=4) as client:

        async def ask(text):
            answer = await client.chat.completions.create(model="m", messages=[{"role": "user", "content": text}])
            return answer.choices[0].message.content

        await run(ask, at_once, items, database)


asyncio.run(main())
