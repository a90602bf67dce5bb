"""A plain Faust agent that does nothing: what Faust's own way of reading a topic costs.

`python processor_reference.py APP_ID SECONDS` reads feedback-events from where the group APP_ID stands, and prints
how many events it saw and in how many seconds.
"""

import asyncio
import json
import os
import sys
import tempfile
import time

import faust


async def measure(app_id: str, seconds: float) -> None:
    """Read for `seconds` after the first event, or until nothing comes any more."""
    app = faust.App(
        app_id,
        broker=f"kafka://{os.environ['KAFKA_BOOTSTRAP_SERVERS']}",
        store="memory://",
        datadir=tempfile.mkdtemp(),
        web_enabled=False,
        autodiscover=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        worker_redirect_stdouts=False,
    )
    topic = app.topic("feedback-events", key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
    seen, first, last = 0, 0.0, 0.0

    @app.agent(topic)  # type: ignore[untyped-decorator] # Faust has no types
    async def nothing(stream: object) -> None:
        nonlocal seen, first, last
        async for _ in stream:  # type: ignore[attr-defined]
            last = time.perf_counter()
            first = first or last
            seen += 1

    await app.start()
    deadline = time.perf_counter() + 40
    while time.perf_counter() < deadline and (not first or time.perf_counter() - first < seconds):  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    print(json.dumps({"events": seen, "seconds": last - first}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(measure(sys.argv[1], float(sys.argv[2])))
