from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import ValidationError

from inference.adapters.champions import RegistryChampions
from inference.application.keep import Heard
from inference.domain.claims import Claim
from inference.domain.pins import parse_pins
from inference.settings import InferenceSettings

from .test_keep import NOW, House, promoted, serves, until


def test_a_pin_names_a_version_or_an_alias_of_each_model() -> None:
    assert parse_pins("flights:challenger, trips:7,") == {"flights": "challenger", "trips": "7"}
    assert parse_pins("") == {}


@pytest.mark.parametrize("text", ["flights", "flights:", ":7", "flights:1,flights:2"])
def test_a_pin_that_says_nothing_stops_the_start(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEEDBACK_TOKEN_KEY", "a key for tests only")
    monkeypatch.setenv("MODEL_PIN", text)
    with pytest.raises(ValidationError, match="pin"):
        InferenceSettings()


class Shelf:
    """A registry with one champion (7) and one challenger (8), of one model."""

    def models(self) -> list[str]:
        return ["flights"]

    def aliased(self, model: str, alias: str) -> Any:
        number = {"champion": "7", "challenger": "8"}.get(alias)
        return None if number is None else self.version(model, number)

    def champion(self, model: str) -> Any:
        return self.aliased(model, "champion")

    def challenger(self, model: str) -> Any:
        return None

    def rollout_sequence(self, model: str) -> int | None:
        return 3

    def version(self, model: str, version: str) -> Any:
        return SimpleNamespace(
            model=model, version=version, artifact_uri="s3://m", artifact_sha256="0", created_at=NOW, history=()
        )


@pytest.mark.parametrize(("pins", "version"), [({}, "7"), ({"flights": "challenger"}, "8"), ({"flights": "5"}, "5")])
def test_the_registry_is_asked_for_what_the_pin_stands_for(pins: dict[str, str], version: str) -> None:
    [claim] = RegistryChampions(cast(Any, Shelf()), pins).all()
    assert claim.version == version
    assert claim.contender is None


def test_a_pinned_replica_ignores_promotions_and_serves_its_own_version(tmp_path: Path) -> None:
    house = House(tmp_path, {"flights": "1"})
    one, two = house.shop.make("1"), house.shop.make("2")
    house.shop.champions = [Claim("flights", "1", NOW, one)]
    keeper = house.keeper()
    until(serves(house, "1"))
    keeper.hear(Heard(promoted(two, 5), live=True))
    house.shop.champions = [Claim("flights", "1", NOW, one)]
    until(lambda: not keeper.behind)
    assert serves(house, "1")()
    house.close()


def test_a_pinned_start_without_a_registry_takes_no_other_copy_from_disk(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.shop.champions = [Claim("flights", "1", NOW, house.shop.make("1"))]
    house.keeper()
    until(serves(house, "1"))
    house.shop.up = False
    house.pins = {"flights": "2"}
    house.keeper()
    until(lambda: "down" in str(house.catalogue.unready()))
    assert house.catalogue.now("flights") is None
    house.close()
