import asyncio

import pytest

from console.adapters.sampled import Sampled
from console.application.ports import Away


def test_who_asks_gets_the_last_value_and_waits_for_the_first_only():
    looks = 0

    async def look() -> int:
        nonlocal looks
        looks += 1
        return looks

    async def story() -> list[int]:
        sampled = Sampled(look, every_s=3600.0)
        running = asyncio.create_task(sampled.run())
        found = [await sampled(), await sampled()]
        running.cancel()
        return found

    assert asyncio.run(story()) == [1, 1]


def test_what_is_away_is_said_until_it_answers_again():
    answers: list[int | Away] = [Away("Kafka does not answer"), 7]

    async def look() -> int:
        answer = answers.pop(0)
        if isinstance(answer, Away):
            raise answer
        return answer

    async def story() -> int:
        sampled = Sampled(look, every_s=0.05)
        running = asyncio.create_task(sampled.run())
        with pytest.raises(Away):
            await sampled()
        await asyncio.sleep(0.2)
        found = await sampled()
        running.cancel()
        return found

    assert asyncio.run(story()) == 7
