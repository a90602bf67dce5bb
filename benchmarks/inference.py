"""bench.predict.*, bench.swap.*, bench.shadow.p99: inference against MLServer with the same model, and a bare hello.

Registers a model of its own in the MLflow it is given and publishes to its Kafka, so give it ones to throw away.
"""

import statistics
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks import ingest, mlserver, processes, replicas
from benchmarks.load import Load, Outcome, measure
from benchmarks.replicas import Replica, Versions
from benchmarks.results import Row

_CONNECTIONS, _ROUNDS, _SECONDS, _BROKER_WARMS_S = 32, 3, 3.0, 10.0
_SWAPS, _SETTLED_AFTER, _SWAP_ROUND_S = 200, 20, 15.0
_SHADOW_ROUNDS = 5


def run(env: Mapping[str, str]) -> list[Row]:
    """Seven rows, in about four minutes (the first time, MLServer is installed into `.flywheel/bench`)."""
    full = {**env, "FEEDBACK_TOKEN_KEY": env.get("FEEDBACK_TOKEN_KEY", "benchmark-benchmark")}
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        versions = Versions.register(full)
        ours = stack.enter_context(replicas.running(full, home / "ours"))
        versions.announce(versions.pair[0])
        processes.until(lambda: ours.serves(versions.pair[0]))
        addresses = {
            "inference": ours.predict,
            "mlserver": stack.enter_context(mlserver.running(home / "mlserver", versions.text)),
            "hello": stack.enter_context(ingest.reference("hello", full, home)),
        }
        # Every prediction goes to Kafka, and while the broker's virtual machine compiles it takes a core for itself.
        measure(Load(ours.predict, replicas.bodies(1), connections=_CONNECTIONS, seconds=_BROKER_WARMS_S))
        rows = [_predict(count, addresses) for count in (1, 100)]
        rows += [*_swaps(ours, versions), _shadow(ours, versions)]
        other = stack.enter_context(replicas.running(full, home / "other"))
        return [*rows, _agreement([ours, other], versions)]


def _predict(count: int, addresses: Mapping[str, str]) -> Row:
    bodies = {"inference": replicas.bodies(count), "mlserver": mlserver.bodies(count), "hello": ["{}"]}
    rounds: dict[str, list[Outcome]] = {name: [] for name in addresses}
    for _ in range(_ROUNDS):  # in turns, so that whatever else the machine does meets all alike
        for name, address in addresses.items():
            rounds[name].append(measure(Load(address, bodies[name], connections=_CONNECTIONS, seconds=_SECONDS)))
    rate = {name: statistics.median(each.per_second for each in found) for name, found in rounds.items()}
    p99 = {name: statistics.median(each.p99_ms for each in found) for name, found in rounds.items()}
    failed = sum(each.failed for each in rounds["inference"])
    return Row(
        f"bench.predict.{count}",
        value=round(rate["inference"]),
        unit="requests/s",
        reference=round(rate["mlserver"]),
        ratio=round(rate["inference"] / rate["mlserver"], 2),
        n=sum(each.requests for each in rounds["inference"]),
        note=(
            f"{count} rows, {_CONNECTIONS} connections; reference: MLServer {mlserver.VERSION} with the same model, in "
            f"its fastest form (no worker process, one OpenMP thread). {rate['inference'] / rate['hello']:.2f} of a "
            f"bare ASGI hello ({rate['hello']:.0f}/s). p99 {p99['inference']:.1f} ms against {p99['mlserver']:.1f}; "
            f"{failed} failed"
        ),
    )


def _swaps(ours: Replica, versions: Versions) -> list[Row]:
    load = Load(ours.predict, replicas.bodies(1), connections=_CONNECTIONS, seconds=_SWAP_ROUND_S)
    calm = [measure(load)]
    memory_mb: dict[int, float] = {}
    outcomes: list[Outcome] = []
    swaps = 0
    while swaps < _SWAPS:
        measuring = threading.Thread(target=lambda: outcomes.append(measure(load)))
        measuring.start()
        while measuring.is_alive() and swaps < _SWAPS:
            version = versions.pair[(swaps + 1) % 2]
            versions.announce(version)
            processes.until(partial(ours.serves, version))
            swaps += 1
            if swaps in (_SETTLED_AFTER, _SWAPS):
                memory_mb[swaps] = ours.memory_mb()
        measuring.join()
    calm.append(measure(load))
    p99 = statistics.median(each.p99_ms for each in outcomes)
    calm_p99 = statistics.mean(each.p99_ms for each in calm)
    calm_rate = statistics.mean(each.per_second for each in calm)
    requests = sum(each.requests for each in outcomes)
    return [
        Row(
            "bench.swap.failed",
            value=sum(each.failed for each in outcomes),
            unit="requests",
            n=requests,
            note=f"{swaps} swaps under full load of {_CONNECTIONS} connections",
        ),
        Row(
            "bench.swap.p99",
            value=round(p99, 2),
            unit="ms",
            reference=round(calm_p99, 2),
            ratio=round(p99 / calm_p99, 2),
            n=requests,
            note=f"reference: the same load without swaps, before and after ({calm_rate:.0f} requests/s)",
        ),
        Row(
            "bench.swap.memory",
            value=round(memory_mb[_SWAPS], 1),
            unit="MB",
            reference=round(memory_mb[_SETTLED_AFTER], 1),
            ratio=round(memory_mb[_SWAPS] / memory_mb[_SETTLED_AFTER], 3),
            n=_SWAPS,
            note=f"resident memory after swap {_SWAPS}; reference: after swap {_SETTLED_AFTER}; each swap loads anew",
        ),
    ]


def _shadow(ours: Replica, versions: Versions) -> Row:
    """What a challenger in the shadow costs those who are answered by the champion."""
    champion, challenger = versions.pair
    load = Load(ours.predict, replicas.bodies(1), connections=_CONNECTIONS, seconds=_SECONDS)
    found: dict[bool, list[Outcome]] = {False: [], True: []}
    for _ in range(_SHADOW_ROUNDS):
        for beside in (False, True):
            wanted = (champion, challenger if beside else None)
            versions.announce(*wanted)
            processes.until(partial(ours.serves, *wanted))
            found[beside].append(measure(load))
    p99 = {beside: statistics.median(each.p99_ms for each in rounds) for beside, rounds in found.items()}
    failed = sum(each.failed for rounds in found.values() for each in rounds)
    return Row(
        "bench.shadow.p99",
        value=round(p99[True], 2),
        unit="ms",
        reference=round(p99[False], 2),
        ratio=round(p99[True] / p99[False], 2),
        n=sum(each.requests for each in found[True]),
        note=f"{_CONNECTIONS} connections under full load; reference: without a challenger. {failed} failed",
    )


def _agreement(both: list[Replica], versions: Versions) -> Row:
    """How long after an event the last of two replicas serves the version it names."""
    took: list[float] = []
    load = Load(both[0].predict, replicas.bodies(1), connections=4, seconds=_SWAP_ROUND_S)
    measuring = threading.Thread(target=measure, args=(load,))
    measuring.start()
    while measuring.is_alive():
        version = versions.pair[(len(took) + 1) % 2]  # shadow rounds end with the first
        began = time.monotonic()
        versions.announce(version)
        for each in both:
            processes.until(partial(each.serves, version))
        took.append(time.monotonic() - began)
    measuring.join()
    return Row(
        "bench.swap.agreement",
        value=round(max(took), 2),
        unit="s",
        n=len(took),
        note=f"from the event until both of two replicas serve it, slowest; median {statistics.median(took):.2f} s",
    )
