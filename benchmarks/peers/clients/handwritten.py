"""What a good programmer writes by hand: asyncio, the openai package, a semaphore."""

from __future__ import annotations

import asyncio

from job import Job, run, turns
from openai import AsyncOpenAI


async def judge_all(job: Job) -> int:
    gate = asyncio.Semaphore(job.in_flight or 64)
    async with AsyncOpenAI(base_url=job.url, api_key="none") as client:

        async def one(item: dict[str, str]) -> bool:
            async with gate:
                reply = await client.chat.completions.create(
                    model=job.model,
                    messages=turns(item),
                    temperature=0,
                    max_tokens=job.max_tokens or 256,
                )
            return bool(reply.choices[0].message.content)

        return sum(await asyncio.gather(*map(one, job.items)))


run(lambda job: asyncio.run(judge_all(job)))
