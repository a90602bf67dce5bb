import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flywheel_schemas.events import ChallengerState, ModelAction, ModelUpdated
from flywheel_schemas.spec import FeedbackPolicy, dump_spec
from flywheel_schemas.tokens import TokenKeys
from inference.adapters.copies import DiskCopies
from inference.adapters.lightgbm_native import NativeBooster
from inference.application.ask import Asker
from inference.application.bring import World, bring
from inference.application.catalogue import Catalogue, NotServed, UnknownModel
from inference.application.keep import Heard, Keeper
from inference.application.ports import Booster, ModelRefused, SourceUnavailable
from inference.application.shelf import Shelf
from inference.domain.claims import Artifact, Claim
from inference.domain.pins import Pins
from registry.errors import CorruptArtifact, RegistryUnavailable

from .conftest import make_spec, train

NOW = datetime(2026, 11, 24, tzinfo=UTC)


class Shop:
    """Registry, object store and spec folder in one: real files, switched off at will."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.up = True
        self.champions: list[Claim] = []
        self.swapped_to: list[str] = []
        self.refusals: list[str] = []

    def make(self, version: str) -> Artifact:
        place = self.folder / version
        train(make_spec(), place, int(version))
        (place / "spec.yaml").write_text(dump_spec(make_spec()))
        digest = hashlib.sha256((place / "model.txt").read_bytes()).hexdigest()
        return Artifact("flights", version, str(place), digest)

    def all(self) -> list[Claim]:
        if not self.up:
            raise SourceUnavailable("the registry is down")
        return self.champions

    def find(self, model: str, version: str) -> Artifact:
        raise ModelRefused("missing", f"there is no version {version}")

    def known(self) -> dict[str, str]:
        return {"flights": "binary", "trips": "regression"}

    def fetch(self, artifact_uri: str, dest: Path, expected_sha256: str | None = None) -> Path:
        if not self.up:
            raise RegistryUnavailable("s3", "down")
        text = (Path(artifact_uri) / "model.txt").read_bytes()
        if hashlib.sha256(text).hexdigest() != expected_sha256:
            raise CorruptArtifact(artifact_uri, str(expected_sha256), "another")
        dest.mkdir(parents=True)
        for name in ("model.txt", "spec.yaml"):
            (dest / name).write_bytes((Path(artifact_uri) / name).read_bytes())
        return dest

    def open(self, model_file: Path) -> Booster:
        return NativeBooster(model_file)

    def swapped(self, model: str, seconds: float) -> None: ...

    def refused(self, model: str, kind: str) -> None:
        self.refusals.append(kind)

    def answered(self, model: str, version: str, variant: str, rows: int, seconds: float) -> None: ...


class House:
    def __init__(self, tmp_path: Path, pins: Pins | None = None) -> None:
        self.shop, self.catalogue = Shop(tmp_path / "shop"), Catalogue()
        self.pins = pins or {}
        self._copies = tmp_path / "copies"
        self._running: list[tuple[Keeper | Asker, threading.Thread]] = []

    def keeper(self) -> Keeper:
        self.close()
        shop, copies = self.shop, DiskCopies(self._copies, self.shop)
        world = World(shop, copies, shop, shop, TokenKeys("a key for tests only"))
        self.catalogue = Catalogue(self.pins)
        keeper = Keeper(self.catalogue, world, Shelf(10**9, self.catalogue.serving_bytes), retry_s=0.05)
        asker = Asker(shop, shop, self.catalogue, keeper.hear, every_s=0.05)
        for works in (keeper, asker):
            thread = threading.Thread(target=works.run, daemon=True)
            thread.start()
            self._running.append((works, thread))
        return keeper

    def close(self) -> None:
        for works, thread in self._running:
            works.stop()
            thread.join(5.0)
            assert not thread.is_alive()
        self._running.clear()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.close()


def promoted(artifact: Artifact, minutes: int = 0) -> ModelUpdated:
    return ModelUpdated(
        model="flights",
        model_version=artifact.version,
        action=ModelAction.PROMOTED,
        traffic_percent=100.0,
        run_id="r",
        training_set_hash="h",
        artifact_uri=artifact.uri,
        artifact_sha256=artifact.sha256,
        occurred_at=NOW + timedelta(minutes=minutes),
    )


def until(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.005)


def serves(house: House, version: str) -> Callable[[], bool]:
    def check() -> bool:
        lineup = house.catalogue.now("flights")
        return lineup is not None and lineup.champion.version == version

    return check


def test_the_registry_gives_the_first_champion_and_events_the_next(house: House) -> None:
    one, two = house.shop.make("1"), house.shop.make("2")
    house.shop.champions = [Claim("flights", "1", NOW, one)]
    keeper = house.keeper()
    until(serves(house, "1"))
    keeper.hear(Heard(promoted(two, 1), live=True))
    until(serves(house, "2"))
    time.sleep(0.2)  # the registry repeats version 1 several times meanwhile
    assert serves(house, "2")()


def test_a_champion_that_no_event_told_of_is_found_by_asking_again(house: House) -> None:
    one, two = house.shop.make("1"), house.shop.make("2")
    house.shop.champions = [Claim("flights", "1", NOW, one)]
    house.keeper()
    until(serves(house, "1"))
    house.shop.champions = [Claim("flights", "2", NOW, two)]
    until(serves(house, "2"))


def test_of_many_events_only_the_last_version_of_a_model_is_loaded(house: House) -> None:
    artifacts = [house.shop.make(str(number)) for number in range(1, 5)]
    keeper = house.keeper()
    for minute, artifact in enumerate(artifacts):
        keeper.hear(Heard(promoted(artifact, minute), live=False))
    until(serves(house, "4"))


def test_versions_that_have_one_spec_read_it_once(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    world = World(shop, DiskCopies(tmp_path / "copies", shop), shop, shop, TokenKeys("a key for tests only"))
    artifacts = [shop.make(version) for version in ("1", "2", "3")]
    other = make_spec().model_copy(update={"feedback": FeedbackPolicy(audit_percent=7.0)})
    (shop.folder / "3" / "spec.yaml").write_text(dump_spec(other))
    first, second, third = (bring(world, artifact, NOW).spec for artifact in artifacts)
    assert first is second
    assert third == other


def test_the_version_before_is_kept_so_a_rollback_needs_neither_store_nor_disk(house: House, tmp_path: Path) -> None:
    one, two = house.shop.make("1"), house.shop.make("2")
    keeper = house.keeper()
    for minute, artifact in enumerate((one, two)):
        keeper.hear(Heard(promoted(artifact, minute), live=True))
        until(serves(house, artifact.version))
    for file in (*tmp_path.glob("shop/**/model.txt"), *tmp_path.glob("copies/**/model.txt")):
        file.unlink()
    keeper.hear(Heard(promoted(one, 2), live=True))
    until(serves(house, "1"))
    assert house.shop.refusals == []


def test_a_damaged_version_is_refused_and_the_old_one_serves_on(house: House) -> None:
    one, two = house.shop.make("1"), house.shop.make("2")
    keeper = house.keeper()
    keeper.hear(Heard(promoted(one), live=True))
    until(serves(house, "1"))
    damaged = Path(two.uri) / "model.txt"
    damaged.write_text(damaged.read_text().replace("tree", "eert", 1))
    keeper.hear(Heard(promoted(two, 1), live=True))
    until(lambda: house.shop.refusals == ["corrupt"])
    assert serves(house, "1")()
    status = house.catalogue.status("flights")
    assert (status.wanted, status.serving) == ("2", "1")
    assert "corrupt" in str(house.catalogue.unready())
    assert house.catalogue.unserved() is None
    keeper.hear(Heard(promoted(one, 2), live=True))
    until(lambda: house.catalogue.unready() is None)


def test_a_version_that_cannot_be_fetched_now_is_fetched_once_the_store_is_back(house: House) -> None:
    one = house.shop.make("1")
    house.shop.up = False
    keeper = house.keeper()
    keeper.hear(Heard(promoted(one), live=True))
    until(lambda: "unavailable" in house.shop.refusals)
    assert "no version serves" in str(house.catalogue.unready())
    house.shop.up = True
    until(serves(house, "1"))


def test_a_start_with_everything_away_serves_the_copy_on_disk(house: House) -> None:
    one, two = house.shop.make("1"), house.shop.make("2")
    keeper = house.keeper()
    for minute, artifact in enumerate((one, two)):
        keeper.hear(Heard(promoted(artifact, minute), live=True))
        until(serves(house, artifact.version))
    house.shop.up = False
    house.keeper()
    until(serves(house, "2"))
    until(lambda: house.catalogue.unready() is None)


def test_a_start_with_everything_away_and_no_copy_says_why_it_is_not_ready(house: House) -> None:
    house.shop.up = False
    house.keeper()
    until(lambda: "the registry is down" in str(house.catalogue.unready()))


def test_after_a_restart_the_registry_outranks_the_copy_and_a_younger_event_outranks_the_registry(house: House) -> None:
    one, two = house.shop.make("1"), house.shop.make("2")
    keeper = house.keeper()
    keeper.hear(Heard(promoted(two, 5), live=True))
    until(serves(house, "2"))
    house.shop.champions = [Claim("flights", "1", NOW, one)]
    later = house.keeper()
    until(serves(house, "1"))
    later.hear(Heard(promoted(two, 5), live=False))
    until(serves(house, "2"))


def test_a_model_without_a_version_is_known_but_not_served_and_another_is_unknown(house: House) -> None:
    house.keeper()
    until(lambda: house.catalogue.models() == ["flights", "trips"] and house.catalogue.unready() is None)
    with pytest.raises(NotServed, match="promoted"):
        house.catalogue.serving("trips")
    with pytest.raises(UnknownModel):
        house.catalogue.serving("trains")


def test_only_the_latest_copies_are_kept_and_an_older_one_can_serve_again_without_the_store(
    house: House, tmp_path: Path
) -> None:
    keeper = house.keeper()
    artifacts = [house.shop.make(str(number)) for number in range(1, 6)]
    for minute, artifact in enumerate(artifacts):
        keeper.hear(Heard(promoted(artifact, minute), live=True))
        until(serves(house, artifact.version))
    until(lambda: len([path for path in (tmp_path / "copies/flights").iterdir() if path.is_dir()]) == 3)
    house.shop.up = False
    back = promoted(artifacts[4], 9).model_copy(update={"action": ModelAction.ROLLED_BACK, "champion": "4"})
    keeper.hear(Heard(back, live=True))
    until(serves(house, "4"))


def on_trial(champion: Artifact, challenger: Artifact, percent: float, sequence: int) -> ModelUpdated:
    state = ChallengerState.CANARY if percent else ChallengerState.SHADOW
    return promoted(champion, sequence).model_copy(
        update={
            "model_version": challenger.version,
            "action": ModelAction(state.value),
            "champion": champion.version,
            "champion_artifact_uri": champion.uri,
            "champion_artifact_sha256": champion.sha256,
            "challenger": challenger.version,
            "challenger_state": state,
            "challenger_traffic_percent": percent,
            "challenger_artifact_uri": challenger.uri,
            "challenger_artifact_sha256": challenger.sha256,
            "artifact_uri": challenger.uri,
            "artifact_sha256": challenger.sha256,
            "sequence": sequence,
        }
    )


def trial(house: House, version: str, percent: float) -> Callable[[], bool]:
    def check() -> bool:
        now = house.catalogue.now("flights")
        return (
            now is not None
            and now.trial is not None
            and (now.trial.challenger.version, now.trial.percent) == (version, percent)
        )

    return check


def test_a_challenger_is_loaded_before_it_gets_traffic_and_becomes_champion_without_loading_again(house: House) -> None:
    one, two = house.shop.make("1"), house.shop.make("2")
    keeper = house.keeper()
    keeper.hear(Heard(on_trial(one, two, 0.0, 1), live=True))
    until(trial(house, "2", 0.0))
    now = house.catalogue.now("flights")
    assert now is not None and now.trial is not None
    assert (now.champion.version, now.trial.challenger.variant) == ("1", "shadow")
    booster, former = now.trial.challenger.booster, now.champion.booster
    keeper.hear(Heard(on_trial(one, two, 25.0, 2), live=True))
    until(trial(house, "2", 25.0))
    keeper.hear(Heard(promoted(two, 3).model_copy(update={"sequence": 3}), live=True))
    until(serves(house, "2"))
    now = house.catalogue.now("flights")
    assert now is not None and now.trial is None
    assert now.champion.booster is booster
    assert now.champion.variant == "champion"
    house.shop.up = False
    (house.shop.folder / "1" / "model.txt").unlink()
    keeper.hear(Heard(promoted(one, 4).model_copy(update={"sequence": 4}), live=True))
    until(serves(house, "1"))
    now = house.catalogue.now("flights")
    assert now is not None and now.champion.booster is former


def test_a_challenger_that_cannot_be_loaded_gets_no_traffic_and_the_trainer_is_told_why(house: House) -> None:
    one, two = house.shop.make("1"), house.shop.make("2")
    (Path(two.uri) / "model.txt").write_text("no model")
    keeper = house.keeper()
    keeper.hear(Heard(on_trial(one, two, 25.0, 1), live=True))
    until(lambda: bool(house.catalogue.watches()))
    [(champion, watch)] = house.catalogue.watches()
    health = watch.tell(champion, "here", NOW)
    assert (health.champion, health.model_version, health.loaded) == ("1", "2", False)
    assert "corrupt" in str(health.problem)
    status = house.catalogue.status("flights")
    assert status.trial is not None and status.trial.state == "refused"
    assert house.catalogue.unready() is None


def test_news_of_an_earlier_transition_changes_nothing_however_late_it_comes(house: House) -> None:
    one, two = house.shop.make("1"), house.shop.make("2")
    keeper = house.keeper()
    keeper.hear(Heard(promoted(two, 9).model_copy(update={"sequence": 7}), live=True))
    until(serves(house, "2"))
    house.shop.champions = [Claim("flights", "1", NOW + timedelta(days=1), one, sequence=6)]
    keeper.hear(Heard(on_trial(one, two, 25.0, 6), live=True))
    time.sleep(0.2)  # the registry repeats itself several times meanwhile
    assert serves(house, "2")()
    house.shop.champions = [Claim("flights", "1", NOW, one, sequence=8)]
    until(serves(house, "1"))
