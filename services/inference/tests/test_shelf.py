import hashlib
import shutil
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
import yaml

from flywheel_schemas.tokens import TokenKeys
from inference.adapters.copies import DiskCopies
from inference.adapters.lightgbm_native import NativeBooster
from inference.application.answer import AnswerQuestions, Question
from inference.application.bring import World
from inference.application.ports import Answered, ModelRefused
from inference.application.served import Lineup, ServedModel
from inference.application.shelf import OnDemand, Shelf
from inference.domain.claims import Artifact, Claim

from .conftest import make_spec, train

Make = Callable[..., ServedModel]


def test_what_was_used_last_is_kept_and_what_serves_counts_against_the_limit(served: Make) -> None:
    versions = [served(version=str(number)) for number in (1, 2, 3)]
    each = max(version.booster.size_bytes for version in versions)
    serving = 0
    shelf = Shelf(2 * each, lambda: serving)
    shelf.put(versions[0])
    shelf.put(versions[1])
    assert shelf.find("flights", "1") is versions[0]
    shelf.put(versions[2])
    assert shelf.find("flights", "2") is None
    assert shelf.find("flights", "1", "another digest") is None
    assert shelf.bytes <= 2 * each
    serving = each
    shelf.trim()
    assert shelf.find("flights", "1") is None
    assert shelf.find("flights", "3") is versions[2]


class Shop:
    """A registry, a store and a trial of new models, all in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.opened = 0

    def stock(self, version: str) -> None:
        folder = self._folder / version
        train(make_spec(), folder, int(version))
        (folder / "spec.yaml").write_text(yaml.safe_dump(make_spec().model_dump(mode="json", exclude_none=True)))

    def all(self) -> list[Claim]:
        return []

    def find(self, model: str, version: str) -> Artifact:
        folder = self._folder / version
        if not folder.is_dir():
            raise ModelRefused("missing", f"{model} has no version {version}")
        digest = hashlib.sha256((folder / "model.txt").read_bytes()).hexdigest()
        return Artifact(model, version, str(folder), digest)

    def fetch(self, artifact_uri: str, dest: Path, expected_sha256: str | None = None) -> Path:
        shutil.copytree(artifact_uri, dest)
        return dest

    def open(self, model_file: Path) -> NativeBooster:
        self.opened += 1
        return NativeBooster(model_file)

    def swapped(self, model: str, seconds: float) -> None: ...

    def refused(self, model: str, kind: str) -> None: ...

    def answered(self, model: str, version: str, variant: str, rows: int, seconds: float) -> None:
        raise AssertionError("an answer that goes into no figures was counted")

    def offer(self, *answered: Answered) -> None:
        raise AssertionError("an answer that goes into no figures was recorded")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "shop")


def on_demand(shop: Shop, shelf: Shelf, tmp_path: Path, keys: TokenKeys) -> OnDemand:
    return OnDemand(World(shop, DiskCopies(tmp_path / "copies", shop), shop, shop, keys), shelf)


def test_a_version_is_loaded_once_however_many_ask_for_it(shop: Shop, tmp_path: Path, keys: TokenKeys) -> None:
    shop.stock("4")
    others = on_demand(shop, Shelf(10**9), tmp_path, keys)
    found: list[ServedModel] = []
    asking = [threading.Thread(target=lambda: found.append(others.get("flights", "4"))) for _ in range(4)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert len({id(served) for served in found}) == 1
    assert shop.opened == 1


def test_a_version_that_was_unloaded_is_loaded_again(shop: Shop, tmp_path: Path, keys: TokenKeys) -> None:
    shop.stock("4")
    others = on_demand(shop, Shelf(0), tmp_path, keys)
    first, second = others.get("flights", "4"), others.get("flights", "4")
    assert (first.version, second.version) == ("4", "4")
    assert shop.opened == 2


@pytest.mark.parametrize("version", ["9", "*", "../4", "", "٤"])
def test_what_is_no_version_is_missing(shop: Shop, tmp_path: Path, keys: TokenKeys, version: str) -> None:
    shop.stock("4")
    with pytest.raises(ModelRefused) as refused:
        on_demand(shop, Shelf(0), tmp_path, keys).get("flights", version)
    assert refused.value.kind == "missing"


def test_what_a_version_that_serves_nobody_answers_is_recorded_nowhere(
    served: Make, shop: Shop, keys: TokenKeys
) -> None:
    version = served(version="8")
    row = msgspec.convert({"carrier": "UA"}, version.schema.row_type)
    question = Question([row], "ada", "00-trace", datetime.now(UTC).timestamp())
    [answer] = AnswerQuestions(keys, shop, shop, shop).answer(Lineup(version, serves=False), question)
    assert (answer.model_version, answer.variant) == ("8", "none")
    assert (answer.feedback_token, answer.feedback_requested) == ("", False)
    assert answer.label in version.spec.classes
