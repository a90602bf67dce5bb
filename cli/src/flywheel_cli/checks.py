"""What `flywheel doctor` looks at: each check gives one finding, and none of them raises."""

import json
import shutil
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from flywheel_cli.environment import service_url

_TIMEOUT_S = 5
_LITTLE_BYTES, _TOO_LITTLE_BYTES = 5 * 1024**3, 1024**3
START = "`make up` starts what is not running"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `remedy` says what to do, where something is wrong or could be better."""

    name: str
    state: Literal["ok", "warning", "wrong"]
    detail: str
    remedy: str = ""


Check = Callable[[], Iterable[Finding]]


def examine(environment: Mapping[str, str]) -> list[Finding]:
    """Every finding, in a fixed order; the checks run side by side, each bounded to some seconds.

    `environment` is this process's: the settings of the libraries read the same.
    """
    checks: dict[str, Check] = {
        "kafka": kafka,
        "lake": lake,
        "offsets": offsets,
        "mlflow": partial(mlflow, environment),
    }
    checks |= {name: partial(service, name, environment) for name in SERVICES}
    checks |= {"disk": partial(disk, environment), "java": java}
    with ThreadPoolExecutor(max_workers=len(checks)) as pool:
        found = pool.map(_guarded, checks, checks.values())
        return [finding for findings in found for finding in findings]


def kafka() -> Iterable[Finding]:
    """Is the broker reachable, and are the topics as the services expect them?"""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    from kafka_runtime.settings import KafkaSettings

    settings = KafkaSettings()
    where = settings.bootstrap_servers
    try:
        metadata = AdminClient(settings.librdkafka()).list_topics(timeout=_TIMEOUT_S)
    except KafkaException as exc:
        remedy = f"{START}; KAFKA_BOOTSTRAP_SERVERS names another broker"
        return [Finding("kafka", "wrong", f"{where} does not answer ({exc.args[0].str()})", remedy)]
    counts = {name: len(topic.partitions) for name, topic in metadata.topics.items()}
    brokers = len(metadata.brokers)
    return [Finding("kafka", "ok", f"{where}, {brokers} broker{'s' * (brokers != 1)}"), _topics(counts, settings)]


def _topics(counts: Mapping[str, int], settings: Any) -> Finding:
    from flywheel_schemas.topics import ALL_TOPICS

    if missing := [topic.name for topic in ALL_TOPICS if topic.name not in counts]:
        return Finding(
            "topics", "wrong", f"missing: {', '.join(missing)}", "start a service, or `make up`: they are made"
        )
    busy = {topic.name: counts[topic.name] for topic in ALL_TOPICS if topic.high_volume}
    if other := {name: count for name, count in busy.items() if count != settings.partitions}:
        counted = ", ".join(f"{name} has {count}" for name, count in other.items())
        remedy = "set KAFKA_PARTITIONS to what the topics have: it is fixed for the life of a topic"
        return Finding("topics", "wrong", f"KAFKA_PARTITIONS is {settings.partitions}, but {counted}", remedy)
    return Finding("topics", "ok", f"{len(ALL_TOPICS)} topics, {settings.partitions} partitions for the busy ones")


def lake() -> Iterable[Finding]:
    """Can the bucket be written, and are the models in it readable?"""
    from lake.lake import Lake
    from lake.settings import LakeSettings

    settings = LakeSettings()
    place = settings.endpoint_url or ("AWS" if settings.is_s3 else "this machine")
    store = Lake(settings)
    try:
        key = f"_flywheel/doctor/{uuid.uuid4().hex}"
        store.objects.put_if_absent(key, b"probe")
        store.objects.delete(key)
    except Exception as exc:
        remedy = f"{START}; check S3_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the bucket of LAKE_URI"
        return [Finding("s3", "wrong", f"{settings.uri} at {place} cannot be written ({exc})", remedy)]
    models = store.models()
    names = f"models: {', '.join(models)}" if models else "no model yet; `flywheel model add` adds one"
    return [
        Finding("s3", "ok", f"{settings.bucket or settings.uri} at {place} can be written"),
        Finding("lake", "ok", f"{settings.uri}, {names}"),
    ]


def offsets() -> Iterable[Finding]:
    """Do the topics go on where the lake is? Nothing is said where one of them cannot be asked; others say that."""
    from flywheel_cli import lost_ends
    from kafka_runtime.errors import KafkaRuntimeError
    from kafka_runtime.settings import KafkaSettings
    from lake.errors import LakeError
    from lake.lake import Lake
    from lake.settings import LakeSettings

    try:
        lost = lost_ends.find(Lake(LakeSettings()), KafkaSettings())
    except (KafkaRuntimeError, LakeError):
        return []
    if not lost:
        return [Finding("offsets", "ok", "the topics go on where the lake is")]
    first = lost[0]
    detail = f"{first.topic.name}/{first.partition} ends at {first.end}, but the lake holds offset {first.known}"
    more = f", and {len(lost) - 1} more" if len(lost) > 1 else ""
    return [Finding("offsets", "wrong", detail + more, "`flywheel topics resume` lets them go on; see --help")]


def mlflow(environment: Mapping[str, str]) -> Iterable[Finding]:
    """Does the registry answer?"""
    url = environment.get("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000").rstrip("/")
    status, body = _get(f"{url}/health")
    if status == 200:
        return [Finding("mlflow", "ok", url)]
    return [Finding("mlflow", "wrong", f"{url} {_answer(status, body)}", f"{START}; MLFLOW_TRACKING_URI names another")]


def service(name: str, environment: Mapping[str, str]) -> Iterable[Finding]:
    """Is one of our services there, and does its /readyz say that it can do its job?"""
    variable = SERVICES[name]
    url = service_url(environment, variable)
    status, body = _get(f"{url}/readyz")
    if status == 200:
        return [Finding(name, "ok", url)]
    if status is None:
        return [Finding(name, "wrong", f"{url} {_answer(status, body)}", f"{START}; {variable}_PORT moves it")]
    return [Finding(name, "wrong", f"{url} is not ready: {_troubles(body)}", "mend what it waits for, or read its log")]


def disk(environment: Mapping[str, str]) -> Iterable[Finding]:
    """Is there room for data, models and logs?"""
    home = Path(environment.get("FLYWHEEL_HOME", ".flywheel")).resolve()
    existing = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    detail = f"{free / 1024**3:.1f} GiB free at {existing}"
    remedy = "make room: Kafka and S3 stop taking data on a full disk"
    if free >= _LITTLE_BYTES:
        return [Finding("disk", "ok", detail)]
    return [Finding("disk", "wrong" if free < _TOO_LITTLE_BYTES else "warning", detail, remedy)]


def java() -> Iterable[Finding]:
    """Can Apache Kafka run here, or does Tansu stand in?"""
    from flywheel_local import kafka as broker

    reason = broker.why_not(broker.default_jars())
    if reason is None:
        return [Finding("java", "ok", f"Java {broker.java_version()}: Apache Kafka runs here")]
    remedy = "install Java 17 and Maven for a Kafka that keeps its data; until then Tansu stands in"
    return [Finding("java", "warning", reason, remedy)]


# Name, and what its variables begin with.
SERVICES = {
    "ingest": "INGEST",
    "stream-processor": "PROCESSOR",
    "trainer": "TRAINER",
    "inference": "INFERENCE",
    "console": "CONSOLE",
}


def _guarded(name: str, check: Check) -> list[Finding]:
    """A check that breaks, for instance on a setting that is no setting, is itself a finding."""
    try:
        return list(check())
    except Exception as exc:
        return [Finding(name, "wrong", " ".join(str(exc).split()), "mend the setting that is named here")]


def _get(url: str) -> tuple[int | None, str]:
    """Status and body; None with the reason where nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - an address the user set
            return answer.status, answer.read(100_000).decode(errors="replace")
    except urllib.error.HTTPError as exc:
        return exc.code, exc.read(100_000).decode(errors="replace")
    except (OSError, ValueError) as exc:
        return None, str(getattr(exc, "reason", exc))


def _answer(status: int | None, body: str) -> str:
    return f"does not answer ({body})" if status is None else f"answers {status}"


def _troubles(body: str) -> str:
    """The checks of a /readyz that are not ok; the text itself when it is something else."""
    try:
        checks = json.loads(body)["checks"]
        return "; ".join(f"{name}: {said}" for name, said in checks.items() if said != "ok")
    except (ValueError, KeyError, TypeError, AttributeError):
        return body[:200] or "it says nothing"
