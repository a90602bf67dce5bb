"""`python -m stream_processor`: run until a signal, or until going on would do harm."""

import asyncio
import gc
import os
import signal
import sys
from typing import Any

import uvloop
from pydantic import ValidationError

from flywheel_schemas.spec import SpecError
from http_api.server import CannotListenError
from kafka_runtime import topics
from kafka_runtime.backoff import delay_s
from kafka_runtime.errors import BrokerUnavailable, PartitionCountChanged
from lake import Fatal as LakeFatal
from lake import Retryable as LakeRetryable
from stream_processor import wiring
from stream_processor.entrypoints import library_logs
from stream_processor.settings import Settings
from telemetry import logging, tracing

_LOG = logging.get("stream_processor")
_STOP_S = 20.0


async def run(settings: Settings, wraps: wiring.Wraps = wiring.Wraps()) -> int:  # noqa: B008 - frozen
    """Build, start, and stop at SIGTERM, SIGINT or a failure; the exit code."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        processor = wiring.build(settings, wraps)
    except CannotListenError as exc:
        print(f"error: {exc}", file=sys.stderr)  # noqa: T201 - read by whoever started it
        return 2
    serving = asyncio.create_task(processor.http.run_until(stop))
    try:
        return await _work(processor, stop)
    finally:
        stop.set()
        await serving


async def _work(processor: wiring.Processor, stop: asyncio.Event) -> int:
    if not await _ready_to_start(processor, stop):
        return 0 if stop.is_set() else 1
    stopped = asyncio.create_task(stop.wait())
    starting = asyncio.create_task(processor.app.start())
    _LOG.info("started", port=processor.settings.port)
    gc.collect()
    gc.freeze()
    # Batches make many short-lived objects: collecting often would only find that they still live.
    gc.set_threshold(50_000, 20, 20)
    ends: set[asyncio.Future[Any]] = {stopped, processor.failure, asyncio.create_task(_faust_crash(processor))}
    await asyncio.wait({*ends, starting}, return_when=asyncio.FIRST_COMPLETED)
    if starting.done() and starting.exception() is None:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    reason = _reason(processor, starting)
    if reason is not None:
        _LOG.error("stopping_after_failure", error=type(reason).__name__, detail=str(reason), exc_info=reason)
    await _shut_down(processor)
    return 0 if reason is None else 1


def _reason(processor: wiring.Processor, starting: "asyncio.Task[None]") -> BaseException | None:
    if processor.failure.done():
        return processor.failure.result()
    if starting.done() and not starting.cancelled() and (failed := starting.exception()):
        return failed
    crash: BaseException | None = processor.app.crash_reason
    return crash


async def _faust_crash(processor: wiring.Processor) -> None:
    # Faust tells nobody that it crashed; it only stops.
    while not processor.app.crashed:  # noqa: ASYNC110
        await asyncio.sleep(0.5)


async def _ready_to_start(processor: wiring.Processor, stop: asyncio.Event) -> bool:
    """Whether topics and specs are there; waits as long as Kafka or the lake is away."""
    attempt = 0
    while not stop.is_set():
        try:
            await asyncio.to_thread(topics.ensure, processor.settings.kafka)
            await asyncio.to_thread(processor.specs.reload)
        except (PartitionCountChanged, SpecError, LakeFatal) as exc:
            _LOG.error("cannot_start", error=type(exc).__name__, detail=str(exc))
            return False
        except (BrokerUnavailable, LakeRetryable) as exc:
            attempt += 1
            processor.watch.trouble("start")(str(exc))
            _LOG.warning("waiting_to_start", detail=str(exc))
            await asyncio.wait({asyncio.create_task(stop.wait())}, timeout=delay_s(attempt))
        else:
            processor.watch.trouble("start")(None)
            return True
    return False


async def _shut_down(processor: wiring.Processor) -> None:
    processor.stopping.set()
    try:
        async with asyncio.timeout(_STOP_S):
            await asyncio.gather(*(reader.stop() for reader in processor.readers))
            await processor.app.stop()
    except TimeoutError:
        _LOG.warning("stopping_took_too_long", seconds=_STOP_S)
    await asyncio.to_thread(processor.publisher.flush, 5.0)
    _LOG.info("stopped")


def main() -> int:
    """Read the environment and run; 2 for wrong settings."""
    try:
        settings = Settings()
    except ValidationError as exc:
        for error in exc.errors():
            print(f"error: {'.'.join(map(str, error['loc']))}: {error['msg']}", file=sys.stderr)  # noqa: T201
        return 2
    logging.configure("stream-processor", settings.log_level)
    library_logs.calm()
    tracing.configure("stream-processor", settings.otlp_endpoint)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code = runner.run(run(settings))
        sys.stderr.flush()
        # Threads that still wait for an object store must not hold up the end, nor run during teardown.
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
