"""The loop that everybody writes first: one request after the other with the openai package."""

from __future__ import annotations

from job import Job, run, turns
from openai import OpenAI


def judge(job: Job) -> int:
    client = OpenAI(base_url=job.url, api_key="none")
    replies = [
        client.chat.completions.create(
            model=job.model, messages=turns(item), temperature=0, max_tokens=job.max_tokens or 256
        )
        for item in job.items
    ]
    return sum(bool(reply.choices[0].message.content) for reply in replies)


run(judge)
