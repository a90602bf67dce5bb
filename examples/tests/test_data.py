from datetime import timedelta
from pathlib import Path

import polars as pl

from features import FeatureSchema
from flights import data
from flywheel_schemas.spec import load_spec

SPEC = Path(data.__file__).with_name("flights.yaml")


def test_every_flight_is_one_that_the_model_takes():
    spec = load_spec(SPEC)
    rows = data.flights().sample(3000, seed=1).select(data.FEATURES).to_dicts()
    instances = [{name: value for name, value in row.items() if value is not None} for row in rows]
    schema = FeatureSchema(spec)
    assert [problem for instance in instances for problem in schema.violations(instance)] == []
    assert spec.feature_names == data.FEATURES


def test_the_spec_knows_every_carrier_and_airport_of_the_year():
    schema = FeatureSchema(load_spec(SPEC))
    for feature in schema.features:
        if feature.values:
            assert set(data.flights()[feature.name].unique()) <= set(feature.values)


def test_base_ends_before_the_replay_begins_and_nothing_is_left_out():
    whole = data.flights()
    assert data.base()["occurred_at"].max() < data.replayed(10)["scheduled_at"].min()
    assert (
        data.base().height + data.replayed(10).height
        == whole.height - whole.filter((pl.col("month") <= 2) & pl.col("label").is_null()).height
    )


def test_weather_is_that_of_the_hour_before_the_flight():
    flight = data.flights().filter(pl.col("temperature").is_not_null()).row(0, named=True)
    before = flight["scheduled_at"].replace(minute=0) - timedelta(hours=1)
    hour = (pl.col("origin") == flight["origin"]) & (pl.col("time_hour") == f"{before:%Y-%m-%dT%H:%M:%SZ}")
    measured = data.table("weather").filter(hour)
    assert measured["temp"].item() == flight["temperature"]


def test_no_flight_lands_before_it_leaves():
    landed = data.flights().filter(pl.col("landed_at").is_not_null())
    assert (landed["landed_at"] > landed["scheduled_at"]).all()
    assert landed["label"].null_count() == 0


def test_a_cancelled_flight_has_no_label():
    ended = data.flights().filter(pl.col("landed_at").is_null())
    assert ended["label"].null_count() == ended.height > 8000
