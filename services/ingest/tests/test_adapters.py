import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from flywheel_schemas.events import ModelUpdated
from flywheel_schemas.spec import parse_spec
from flywheel_schemas.topics import FEEDBACK_EVENTS, MODEL_UPDATED
from ingest.adapters.broker_watch import BrokerWatch
from ingest.adapters.champions import FollowedChampions
from ingest.adapters.kafka_publishing import Envelope, KafkaPublishing
from ingest.adapters.model_specs import SpecBook
from ingest.adapters.stored_events import LakeEvents
from ingest.application.ports import Accepted, BrokerAway, Crowded, Sighting, Unconfirmed
from kafka_runtime import cloud_events
from kafka_runtime.errors import BrokerUnavailable, PartitionCountChanged
from kafka_runtime.record import Record
from kafka_runtime.settings import KafkaSettings
from lake.lake import Lake
from lake.settings import LakeSettings

from .conftest import DELAYS, EVENT_ID, FLIGHTS

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def lake(folder: Path) -> Lake:
    return Lake(LakeSettings(LAKE_URI=folder.as_uri()))


async def until(condition) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - conditions of several kinds, none of which could set an event
            await asyncio.sleep(0.005)


def test_the_headers_are_those_of_every_other_publisher():
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    ours = Envelope(FEEDBACK_EVENTS, "/flywheel/ingest").shared(NOW, trace)
    named = dict(cloud_events.headers(FEEDBACK_EVENTS, EVENT_ID, "/flywheel/ingest", NOW, trace))
    assert dict(ours) | {"ce_id": EVENT_ID.encode()} == named


class TestBatches:
    class Kafka:
        """Stands for BatchPublisher: acknowledges what `let` allows, but for the positions in `failing`."""

        def __init__(self) -> None:
            self.let, self.failing, self.sent = asyncio.Event(), {}, []

        async def publish_all(self, records):
            self.sent.extend(records)
            await self.let.wait()
            return self.failing

    class Watch:
        trouble = None

        def failed(self, reason: str) -> None:
            self.trouble = reason

    @pytest.fixture
    def kafka(self):
        return self.Kafka()

    @pytest.fixture
    def publishing(self, kafka):
        self.watch = self.Watch()
        return KafkaPublishing(None, kafka, FEEDBACK_EVENTS, "/flywheel/ingest", self.watch)

    def events(self, count: int) -> list[Accepted]:
        return [Accepted(f"{number:036d}", "delays", b"{}") for number in range(count)]

    async def test_what_was_not_acknowledged_is_named_by_its_id(self, publishing, kafka):
        kafka.let.set()
        kafka.failing = {1: BrokerUnavailable("feedback-events", 1.0)}
        events = self.events(3)
        failed = await publishing.publish_all(events, NOW, "")
        assert {each: type(why) for each, why in failed.items()} == {events[1].event_id: Unconfirmed}
        assert "Kafka is unavailable" in self.watch.trouble
        assert [key.decode() for key, _, _ in kafka.sent] == [event.event_id for event in events]
        assert all(dict(headers)["ce_id"] == key for key, _, headers in kafka.sent)

    async def test_where_kafka_cannot_be_reached_nothing_was_sent(self, publishing, kafka):
        async def away(_):
            raise BrokerUnavailable("feedback-events", 1.0)

        kafka.publish_all = away
        failed = await publishing.publish_all(self.events(2), NOW, "")
        assert [type(why) for why in failed.values()] == [BrokerAway, BrokerAway]

    async def test_beyond_what_it_holds_a_batch_is_refused_until_others_are_through(self, publishing, kafka):
        waiting = asyncio.create_task(publishing.publish_all(self.events(99_000), NOW, ""))
        await asyncio.sleep(0)
        failed = await publishing.publish_all(self.events(1_001), NOW, "")
        assert {type(why) for why in failed.values()} == {Crowded}
        assert len(kafka.sent) == 99_000
        kafka.let.set()
        assert await waiting == {}
        assert await publishing.publish_all(self.events(1_001), NOW, "") == {}


class TestBrokerWatch:
    @pytest.fixture
    async def watched(self, monkeypatch):
        monkeypatch.setattr("ingest.adapters.broker_watch._PROBE_EVERY_S", 0.01)
        self.error: Exception | None = BrokerUnavailable("feedback-events", 1.0)
        self.probes = 0

        def probe() -> None:
            self.probes += 1
            if self.error is not None:
                raise self.error

        watch = BrokerWatch(probe)
        task = asyncio.create_task(watch.run())
        yield watch
        task.cancel()

    async def test_nothing_is_written_before_kafka_answered_for_the_first_time(self, watched):
        assert watched.trouble is not None
        await until(lambda: self.probes >= 2)
        assert "Kafka is unavailable" in watched.trouble
        self.error = None
        await until(lambda: watched.trouble is None)

    async def test_a_failed_delivery_is_trouble_until_kafka_answers_again(self, watched):
        self.error = None
        await until(lambda: watched.trouble is None)
        probes = self.probes
        self.error = BrokerUnavailable("feedback-events", 1.0)
        watched.failed("timed out")
        assert watched.trouble == "timed out"
        await until(lambda: self.probes >= probes + 2)
        self.error = None
        await until(lambda: watched.trouble is None)

    async def test_without_trouble_nobody_is_asked(self, watched):
        self.error = None
        await until(lambda: watched.trouble is None)
        probes = self.probes
        await asyncio.sleep(0.05)
        assert self.probes == probes

    async def test_a_changed_partition_count_is_told_with_its_remedy(self, watched):
        self.error = PartitionCountChanged("feedback-events", 3, 6)
        await until(lambda: "KAFKA_PARTITIONS=3" in (watched.trouble or ""))


class TestSpecBook:
    async def test_specs_of_the_lake_come_in_without_a_restart(self, lake):
        book = SpecBook(lake, {})
        await book.look_now()
        assert book.names() == []
        lake.specs.put(parse_spec(FLIGHTS))
        await book.look_now()
        assert book.names() == ["flights"]
        assert book.get("flights").classes == {"on_time", "late"}

    async def test_the_lakes_spec_goes_before_the_shipped_one(self, lake):
        book = SpecBook(lake, {"flights": parse_spec(FLIGHTS), "delays": parse_spec(DELAYS)})
        lake.specs.put(parse_spec(FLIGHTS.replace("UA, AA, B6", "UA, ZZ")))
        await book.look_now()
        assert book.names() == ["delays", "flights"]
        assert book.get("flights").spec.features[0].values == ("UA", "ZZ")

    async def test_a_spec_that_is_edited_is_followed_and_a_broken_edit_is_not(self, lake, folder, capsys):
        book = SpecBook(lake, {})
        lake.specs.put(parse_spec(FLIGHTS))
        await book.look_now()
        lake.specs.put(parse_spec(FLIGHTS.replace("6000", "7000")))
        await book.look_now()
        assert book.get("flights").spec.features[1].range == (0, 7000)
        lake.objects.put("flights/spec.yaml", b"name: flights\ntask: guess\n")
        await book.look_now()
        assert book.get("flights").spec.features[1].range == (0, 7000)
        assert "spec_refused" in capsys.readouterr().err

    async def test_with_the_lake_away_what_is_known_stays_known(self, folder):
        settings = LakeSettings(
            LAKE_URI="s3://nowhere/lake",
            S3_ENDPOINT_URL="http://127.0.0.1:9",
            AWS_ACCESS_KEY_ID="x",
            AWS_SECRET_ACCESS_KEY="x",
        )
        book = SpecBook(Lake(settings), {"flights": parse_spec(FLIGHTS)})
        async with asyncio.timeout(20):
            await book.look_now()
        assert book.names() == ["flights"]

    async def test_many_who_ask_at_once_share_one_look(self, lake):
        book = SpecBook(lake, {})
        looks = []
        book._look = lambda: looks.append(1)
        await asyncio.gather(*(book.look_now() for _ in range(20)))
        assert len(looks) == 1


class TestTrainedInto:
    def put_version(self, lake: Lake, folder: Path, version: str, ids: list[str], feedback_version: int) -> None:
        digest = f"set-{version}"
        told = {
            "version": version,
            "training_set_hash": digest,
            "dataset_versions": {"feedback": feedback_version},
            "registered_at": "2026-11-24T12:00:00Z",
        }
        sets = folder / "flights" / "_flywheel" / "training_sets"
        sets.mkdir(parents=True, exist_ok=True)
        pl.DataFrame({"event_id": ids, "weight": [1.0] * len(ids)}).write_parquet(sets / f"{digest}.parquet")
        lake.objects.put(f"flights/_flywheel/versions/{version}.json", json.dumps(told).encode())

    def event(self, dataset_version: int | None = 4) -> Sighting:
        return Sighting(EVENT_ID, "flights", "stored", NOW, dataset_version)

    def test_versions_whose_set_holds_the_event_are_named_in_their_order(self, lake, folder):
        self.put_version(lake, folder, "2", ["other"], 9)
        self.put_version(lake, folder, "9", ["other", EVENT_ID], 9)
        self.put_version(lake, folder, "10", [EVENT_ID], 9)
        assert LakeEvents(lake).trained_into(self.event()) == ["9", "10"]

    def test_a_set_from_before_the_event_is_not_even_opened(self, lake, folder):
        self.put_version(lake, folder, "2", [EVENT_ID], 3)
        (folder / "flights/_flywheel/training_sets/set-2.parquet").unlink()
        assert LakeEvents(lake).trained_into(self.event(dataset_version=4)) == []

    def test_an_event_whose_dataset_version_is_forgotten_is_looked_for_everywhere(self, lake, folder):
        self.put_version(lake, folder, "2", [EVENT_ID], 3)
        assert LakeEvents(lake).trained_into(self.event(dataset_version=None)) == ["2"]

    def test_versions_that_are_registered_later_are_seen(self, lake, folder):
        events = LakeEvents(lake)
        assert events.trained_into(self.event()) == []
        self.put_version(lake, folder, "2", [EVENT_ID], 9)
        assert events.trained_into(self.event()) == ["2"]


class TestChampions:
    def record(self, **changes) -> Record:
        told = {
            "model": "flights",
            "model_version": "7",
            "action": "promoted",
            "traffic_percent": 100.0,
            "run_id": "r",
            "training_set_hash": "h",
            "artifact_uri": "s3://x",
            "artifact_sha256": "0",
            "occurred_at": "2026-11-24T12:00:00Z",
            **changes,
        }
        event = ModelUpdated.parse(json.dumps(told).encode())
        return Record(MODEL_UPDATED.name, 0, 0, b"flights", event.encode())

    def test_the_champion_is_the_one_that_the_latest_transition_names(self):
        champions = FollowedChampions(KafkaSettings())
        assert champions.of("flights") is None
        champions.take(self.record())
        assert champions.of("flights") == "7"
        champions.take(self.record(model_version="8", action="registered", champion="7"))
        assert champions.of("flights") == "7"
        champions.take(self.record(model_version="8", action="rolled_back", champion="6"))
        assert champions.of("flights") == "6"

    def test_a_model_that_is_removed_has_none(self):
        champions = FollowedChampions(KafkaSettings())
        champions.take(self.record())
        champions.take(Record(MODEL_UPDATED.name, 0, 1, b"flights", None))
        assert champions.of("flights") is None
