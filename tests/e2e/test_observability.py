"""One trace from a request to the model that learned from it, and data behind every panel, of real services."""

import json
import os
import random
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploy.observability.dashboards import DASHBOARDS
from flywheel_local.stack import Stack
from tests.collecting import Collected, Collector, collecting
from tests.debian import PROMETHEUS
from tests.http import http
from tests.waiting import comes_true, until

MODEL = "observed"
ROOT = Path(__file__).parents[2]
THRESHOLD = 60
SPEC = f"""
name: {MODEL}
task: binary
label: {{name: late, values: [on_time, late], positive: late}}
features:
  - {{name: distance, type: number, range: [0, 10], required: true}}
  - {{name: hour, type: number, range: [0, 24]}}
feedback: {{audit_percent: 100}}
retrain: {{feedback_count: {THRESHOLD}, quality: {{below: 0.1}}}}
training: {{rounds: 20, params: {{num_leaves: 4, min_data_in_leaf: 5}}}}
gates: {{min_gain: -1, max_slice_loss: 1.0, max_latency: 5s}}
"""


def cause() -> str:
    return f"00-{random.getrandbits(128):032x}-{random.getrandbits(64):016x}-01"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Stack]:
    """A stack of its own: where traces are recorded, no request takes the express lane, which other tests are about."""
    traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}
    # The swap shall be the event's doing, and not that of a look at the registry in the moment before it came.
    given = {**traced, "TRAINER_MEASURE_EVERY_S": "1", "INFERENCE_REGISTRY_POLL_S": "600"}
    with Stack(tmp_path_factory.mktemp("observed"), given=given).while_in_use() as stack:
        stack.start()
        yield stack


class People:
    """Ask, and say what would have been right."""

    def __init__(self, env: dict[str, str]) -> None:
        self._http = httpx.Client(timeout=60)
        self.ingest, self.inference = env["INGEST_URL"], env["INFERENCE_URL"]
        self._random = random.Random(5)

    def ask(self, rows: int, traceparent: str) -> list[dict[str, Any]]:
        instances = [
            {"distance": self._random.uniform(0, 10), "hour": self._random.uniform(0, 24)} for _ in range(rows)
        ]
        url = f"{self.inference}/v1/models/{MODEL}/predict"
        reply = self._http.post(url, json={"instances": instances}, headers={"traceparent": traceparent})
        assert reply.status_code == 200, reply.text
        answers = reply.json()["predictions"]
        return [self._word(answer, row) for answer, row in zip(answers, instances, strict=True)]

    def say(self, word: dict[str, Any], traceparent: str) -> str:
        reply = self._http.post(f"{self.ingest}/v1/feedback", json=word, headers={"traceparent": traceparent})
        assert reply.status_code == 202, reply.text
        return str(reply.json()["event_id"])

    def say_together(self, words: list[dict[str, Any]]) -> None:
        reply = self._http.post(f"{self.ingest}/v1/feedback/batch", json=words)
        assert reply.status_code == 202, reply.text

    def is_stored(self, event_id: str) -> bool:
        reply = self._http.get(f"{self.ingest}/v1/feedback/{event_id}")
        return reply.status_code == 200 and reply.json()["status"] == "stored"

    @staticmethod
    def _word(answer: dict[str, Any], row: dict[str, float]) -> dict[str, Any]:
        label = "late" if row["distance"] > 5 else "on_time"
        kind = "confirmation" if answer["label"] == label else "correction"
        common = {"event_id": str(uuid.uuid4()), "feedback_token": answer["feedback_token"], "model": MODEL}
        return common | {"kind": kind, "label": label}


@pytest.fixture(scope="module")
def people(observed: Stack, tmp_path_factory: pytest.TempPathFactory) -> People:
    folder, numbers = tmp_path_factory.mktemp("observed"), np.random.default_rng(3)
    distance, hour = numbers.uniform(0, 10, 800), numbers.uniform(0, 24, 800)
    late = np.where((distance > 5) != (numbers.random(800) < 0.1), "late", "on_time")
    pl.DataFrame({"distance": distance, "hour": hour, "late": late}).write_parquet(folder / "base.parquet")
    (folder / "spec.yaml").write_text(SPEC)
    command = [sys.executable, "-m", "flywheel_cli", "model", "add", str(folder / "spec.yaml")]
    command += ["--base", str(folder / "base.parquet"), "--json"]
    env = {**os.environ, "FLYWHEEL_HOME": str(observed.home), **observed.env}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = People(observed.env)
    url = f"{found.inference}/v1/models/{MODEL}"
    until(lambda: http.get(url).json().get("champion") == "1", 60, "version 1 to serve")
    return found


@pytest.fixture(scope="module")
def loop(people: People) -> tuple[str, list[str], str]:
    """Trace ids of: the word that reached the threshold, words said at once, a request for predictions."""
    asked, at_once, last = cause(), [cause() for _ in range(12)], cause()
    words = people.ask(THRESHOLD, asked)
    first, rest, final = words[:12], words[12:-1], words[-1]
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(people.say, first, at_once))
    rating = {"kind": "rating", "rating": 4, "model": MODEL, "feedback_token": first[0]["feedback_token"]}
    people.say_together([*rest, *({**rating, "rating": stars} for stars in (3, 4, 5))])
    until(lambda: people.is_stored(rest[-1]["event_id"]), 30, "the batch in the lake")
    people.say(final, last)
    return trace_of(last), [trace_of(each) for each in at_once], trace_of(asked)


def is_the_swap(span: Collected) -> bool:
    """To the new version, that is: what was told before of its registration settles the old one once more."""
    return span.name == "swap model" and span.attributes["flywheel.model_version"] == "2"


def trace_of(traceparent: str) -> str:
    return traceparent.split("-")[1]


def test_one_trace_leads_from_a_word_to_the_version_that_learned_from_it(
    loop: tuple[str, list[str], str], collector: Collector
) -> None:
    def way() -> list[Collected]:
        """From the swap up. A span is sent when it ends, so those above come later."""
        by_id = {span.span_id: span for span in collector.of_trace(loop[0])}
        above = next((span for span in by_id.values() if is_the_swap(span)), None)
        found = []
        while above is not None:
            found.append(above)
            above = by_id.get(above.parent_id)
        return found

    comes_true(lambda: way() and way()[-1].name == "POST /v1/feedback", 90)
    assert [f"{span.service}: {span.name}" for span in reversed(way())] == [
        "ingest: POST /v1/feedback",
        "ingest: send feedback-events",
        "stream-processor: process feedback-events",
        "stream-processor: send dataset-committed",
        "stream-processor: process dataset-committed",
        "stream-processor: send threshold-reached",
        "trainer: process threshold-reached",
        "trainer: training rolling out",
        "trainer: send model-updated",
        "inference: process model-updated",
        "inference: swap model",
    ]
    spans = collector.of_trace(loop[0])
    by_id = {span.span_id: span for span in spans}
    assert {span.kind for span in spans if span.name.startswith("send ")} == {"PRODUCER"}
    assert {span.kind for span in spans if span.name.startswith("process ")} == {"CONSUMER"}
    request = next(span for span in spans if span.name == "POST /v1/feedback")
    assert request.kind == "SERVER"
    assert request.attributes["http.route"] == "/v1/feedback"
    assert request.attributes["http.response.status_code"] == 202
    append = next(span for span in spans if span.name == "append to lake")
    assert by_id[append.parent_id].name == "process feedback-events"
    assert append.attributes["flywheel.rows"] == 1
    process = next(span for span in spans if span.name == "process threshold-reached")
    assert process.attributes["messaging.consumer.group.name"] == "flywheel-trainer"
    assert "messaging.kafka.offset" in process.attributes
    assert any(span.name == "training registering" for span in spans)


def test_words_that_are_stored_together_are_linked_by_the_flush_that_stores_them(
    loop: tuple[str, list[str], str], collector: Collector
) -> None:
    def joined() -> list[Collected]:
        return [
            span for span in collector.named("process feedback-events") if {span.trace_id, *span.links} & set(loop[1])
        ]

    def told() -> set[str]:
        return {trace for span in joined() for trace in (span.trace_id, *span.links)}

    until(lambda: set(loop[1]) <= told(), 30, "every word in a flush's span")
    assert any(span.links for span in joined())


def test_a_request_for_predictions_is_a_span_by_the_conventions(
    loop: tuple[str, list[str], str], collector: Collector
) -> None:
    until(lambda: collector.of_trace(loop[2]), 30, "the request's span")
    span = next(span for span in collector.of_trace(loop[2]) if span.service == "inference")
    assert (span.name, span.kind) == ("POST /v1/models/{model}/predict", "SERVER")
    assert span.attributes["http.response.status_code"] == 200


def test_logs_are_json_with_the_traces_of_what_they_tell_of(loop: tuple[str, list[str], str], observed: Stack) -> None:
    def lines(service: str) -> list[dict[str, Any]]:
        text = observed.log(service).read_text()
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    def told(service: str, event: str) -> list[dict[str, Any]]:
        return [line for line in lines(service) if line["event"] == event and line.get("trace_id") == loop[0]]

    for service, event in (
        ("stream-processor", "flush_done"),
        ("stream-processor", "threshold_reached"),
        ("trainer", "trigger_done"),
        ("inference", "model_swapped"),
    ):
        until(lambda service=service, event=event: told(service, event), 60, f"{event} of {service}")


def exposed(observed: Stack) -> dict[str, list[Any]]:
    """Our metric families by service."""
    urls = {service.name: service.url for service in observed.services()}
    texts = {name: http.get(f"{url}/metrics").text for name, url in urls.items()}
    return {
        name: [each for each in text_string_to_metric_families(text) if each.name.startswith("flywheel_")]
        for name, text in texts.items()
    }


def test_the_documented_table_of_metrics_is_what_the_services_expose(loop: Any, observed: Stack) -> None:
    page = (ROOT / "docs/observability.md").read_text().split("<!-- metrics: begin -->")[1].split("<!--")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| `")]
    documented = {row[0].strip("`"): row[1:] for row in rows}
    found: dict[str, set[str]] = {}
    for service, families in exposed(observed).items():
        for family in families:
            name = family.name + ("_total" if family.type == "counter" else "")
            assert name in documented, f"{name} is not in docs/observability.md"
            kind, labels, _, what = documented[name]
            assert (family.type, family.documentation) == (kind, what), name
            known = set() if labels == "-" else set(labels.split(", "))
            for sample in family.samples:
                assert set(sample.labels) - {"le"} == known, f"{name} has the labels {sorted(sample.labels)}"
            found.setdefault(name, set()).add(service)
    everyone = set(exposed(observed))
    for name, row in documented.items():
        services = everyone if row[2] == "every service" else set(row[2].split(", "))
        assert found.get(name) == services, name


@pytest.fixture(scope="module")
def prometheus(loop: Any, observed: Stack) -> Iterator[str]:
    if PROMETHEUS.executable() is None:
        pytest.skip(PROMETHEUS.how)
    yield observed.start_prometheus(scrape_every="1s")


def test_every_panel_of_every_dashboard_finds_data(loop: Any, people: People, observed: Stack, prometheus: str) -> None:
    wanted = {
        (dashboard.uid, panel.title, legend): asked(query)
        for dashboard in DASHBOARDS
        for panel in dashboard.panels
        for legend, query in panel.queries.items()
    }

    pages = [f"{service.url}/openapi.json" for service in observed.services()]

    def empty() -> list[tuple[str, str, str]]:
        for word in people.ask(2, cause()):
            people.say(word, cause())
        for page in pages:
            http.get(page)
        return [key for key, query in wanted.items() if not answer(prometheus, query)]

    assert comes_true(lambda: not empty(), 150, every_s=1.0), empty()


def test_prometheus_scrapes_every_service_and_evaluates_every_rule(observed: Stack, prometheus: str) -> None:
    names = {service.name for service in observed.services()}
    until(lambda: {each["metric"]["job"] for each in answer(prometheus, "up == 1")} == names, 30, "every service up")
    groups = http.get(f"{prometheus}/api/v1/rules").json()["data"]["groups"]
    broken = [rule["name"] for group in groups for rule in group["rules"] if rule["health"] == "err"]
    assert len(groups) == 4
    assert broken == []


def asked(query: str) -> str:
    """As Grafana asks, with every model chosen."""
    return re.sub(r"\$model", ".*", query.replace("$__rate_interval", "30s"))


def answer(url: str, query: str) -> list[dict[str, Any]]:
    reply = http.get(f"{url}/api/v1/query", params={"query": query}, timeout=30).json()
    assert reply["status"] == "success", (query, reply)
    return [each for each in reply["data"]["result"] if each["value"][1] != "NaN"]
