"""`python -m inference.wiring.courier FOLDER BYTES LEVEL`: brings what the service hands over to Kafka.

Started by the service, with a socket for parcels as its standard input; what becomes of them it tells on standard
output. It ends when the service has ended or died, once all that it was given is with Kafka or in the spool at FOLDER.
"""

import asyncio
import contextlib
import fcntl
import gc
import os
import signal
import socket
import sys
from functools import partial
from pathlib import Path

import uvloop

from flywheel_schemas.topics import ALL_TOPICS, PREDICTIONS
from inference.adapters import handover
from inference.adapters.courier import Courier
from inference.adapters.spool import Spool
from kafka_runtime import topics
from kafka_runtime.batches import BatchPublisher
from kafka_runtime.settings import KafkaSettings
from telemetry import logging

log = logging.get(__name__)
_DELIVERY_TIMEOUT_S = 5.0
_TOPICS_TIMEOUT_S = 5.0
_LOOK_S = 0.1


def command(folder: Path, limit_bytes: int, log_level: str) -> list[str]:
    """How this process is started."""
    return [sys.executable, "-m", __name__, str(folder), str(limit_bytes), log_level]


def main(folder: Path, limit_bytes: int) -> None:
    """Serve the socket until the other side ends."""
    for ends_with_the_service in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ends_with_the_service, signal.SIG_IGN)
    gc.freeze()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        uvloop.run(_serve(folder, limit_bytes, lock.fileno()))


async def _serve(folder: Path, limit_bytes: int, lock: int) -> None:
    await _alone(lock)
    kafka = KafkaSettings()
    batches = BatchPublisher(kafka, PREDICTIONS, delivery_timeout_s=_DELIVERY_TIMEOUT_S)
    prepare = partial(topics.ensure, kafka, ALL_TOPICS, timeout_s=_TOPICS_TIMEOUT_S)
    courier = Courier(batches, prepare, Spool(folder, limit_bytes), _tell)
    service, loop = socket.socket(fileno=sys.stdin.fileno()), asyncio.get_running_loop()

    def come() -> None:
        parcels = handover.handed_over(service)
        if parcels is None:
            loop.remove_reader(service)
            courier.end()
            return
        for parcel in parcels:
            courier.take(parcel)

    loop.add_reader(service, come)
    await courier.run()
    await batches.close(_DELIVERY_TIMEOUT_S)


def _tell(told: handover.Told) -> None:
    with contextlib.suppress(BrokenPipeError):  # the service has died; what it gave is brought all the same
        os.write(sys.stdout.fileno(), handover.told(told))


async def _alone(lock: int) -> None:
    """Wait for a predecessor, which may still bring what it had, to let go of the spool."""
    service, waits = os.getppid(), False
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not waits:
                log.warning("spool_in_use", effect="predictions wait until the process that uses it has ended")
            waits = True
            if os.getppid() != service:
                sys.exit("error: the service has died, and another one uses the same INFERENCE_SPOOL_DIR")
            await asyncio.sleep(_LOOK_S)
        else:
            return


if __name__ == "__main__":
    logging.configure("inference", sys.argv[3])
    main(Path(sys.argv[1]), int(sys.argv[2]))
