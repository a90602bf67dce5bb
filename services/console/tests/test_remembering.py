import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from console.adapters import remembering
from console.adapters.remembering import Remembering
from console.application.ports import NotThere


class Counting:
    def __init__(self) -> None:
        self.asked = 0
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def get(self, service: str, path: str, key: str | None) -> Any:
        await self.go_on.wait()
        self.asked += 1
        if path == "/nothing":
            raise NotThere(path)
        return self.asked, key

    async def post(self, service: str, path: str, body: Mapping[str, Any], key: str | None) -> Any:
        return None

    async def delete(self, service: str, path: str, key: str | None) -> Any:
        return None


def test_a_slow_answer_is_waited_for_once_and_then_renewed_behind_the_old_one(monkeypatch):
    monkeypatch.setattr(remembering, "_FRESH_S", 0.0)

    async def story() -> None:
        services = Counting()
        remembered = Remembering(services)
        assert await remembered.get("trainer", "/runs", None) == (1, None)
        services.go_on.clear()
        assert await asyncio.wait_for(remembered.get("trainer", "/runs", None), 5) == (1, None)
        services.go_on.set()
        await asyncio.sleep(0.05)
        assert (await remembered.get("trainer", "/runs", None))[0] >= 2

    asyncio.run(story())


def test_an_answer_is_kept_for_the_key_that_asked_and_until_somebody_acts():
    async def story() -> None:
        remembered = Remembering(Counting())
        assert await remembered.get("trainer", "/runs", "a") == (1, "a")
        assert await remembered.get("trainer", "/runs", "a") == (1, "a")
        assert await remembered.get("trainer", "/runs", "b") == (2, "b")
        await remembered.post("trainer", "/retrain", {}, "a")
        assert await remembered.get("trainer", "/runs", "a") == (3, "a")

    asyncio.run(story())


def test_what_is_not_there_is_said_each_time():
    async def story() -> None:
        remembered = Remembering(Counting())
        for _ in range(2):
            with pytest.raises(NotThere):
                await remembered.get("trainer", "/nothing", None)

    asyncio.run(story())
