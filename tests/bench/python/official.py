"""The loop with the official client."""

import asyncio
import sys

from loop import run
from openai import AsyncOpenAI


async def main():
    async with AsyncOpenAI(base_url=sys.argv[3], api_key="none", max_retries=4) as client:

        async def ask(text):
            answer = await client.chat.completions.create(model="m", messages=[{"role": "user", "content": text}])
            return answer.choices[0].message.content

        await run(ask)


asyncio.run(main())
