"""What a data scientist loads from the registry answers what inference answers."""

from datetime import UTC, datetime, timedelta
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from flywheel_schemas.spec import ModelSpec
from lake import schema
from registry.runs import Outcome
from tests.integration.inference_bench import Replica
from trainer.settings import Settings

START = datetime(2026, 1, 1, tzinfo=UTC)
N = 3000


def told_more(spec: ModelSpec) -> ModelSpec:
    """The spec with a timestamp that becomes hour and weekday, clipped numbers, and fitted probabilities."""
    told = spec.model_dump(mode="json", exclude_none=True)
    told["features"] = [
        {"name": "carrier", "type": "category", "values": ["UA", "AA", "B6"], "unseen": "missing"},
        {"name": "distance", "type": "number", "clip": [1, 9], "missing": 5.0},
        {"name": "leaves_at", "type": "timestamp", "derive": ["hour", "weekday"], "required": True},
    ]
    told["training"] |= {"calibrate": True}
    return ModelSpec.model_validate(told)


def instances(random: np.random.Generator, n: int) -> list[dict[str, Any]]:
    return [
        {
            "carrier": str(random.choice(["UA", "AA", "B6"])),
            "distance": None if random.random() < 0.1 else float(random.random() * 12),
            "leaves_at": (START + timedelta(minutes=int(random.integers(0, 60 * 24 * 14)))).isoformat(),
        }
        for _ in range(n)
    ]


def test_pyfunc_answers_as_inference_does_with_calibration_and_derived_features(
    lab: Any, replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, random = told_more(lab.world.spec), np.random.default_rng(11)
    lab.world.lake.specs.put(spec)
    rows = instances(random, N)
    late = [(datetime.fromisoformat(row["leaves_at"]).hour > 12) != (random.random() < 0.2) for row in rows]
    columns = {name: [row[name] for row in rows] for name in spec.feature_names}
    columns |= {
        "label": np.where(late, "late", "on_time"),
        "occurred_at": [START + timedelta(minutes=i) for i in range(N)],
    }
    lab.world.lake.table(lab.model, "base").replace(pa.table(columns).cast(schema.base(spec)))
    assert lab.add() is Outcome.PROMOTED
    replica.ready(lab.model)
    asked = [*instances(random, 60), {"carrier": "ZZ", "distance": -5.0, "leaves_at": "2026-02-01T23:59:59+02:00"}]
    answered = replica.predict(lab.model, *asked).raise_for_status().json()["predictions"]

    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", str(Settings().registry.s3_endpoint_url))
    mlflow.set_tracking_uri(Settings().registry.mlflow_tracking_uri)
    loaded = mlflow.pyfunc.load_model(f"models:/{lab.model}@champion")
    found = loaded.predict(pd.DataFrame(asked))
    assert found["label"].tolist() == [each["label"] for each in answered]
    for name in spec.classes:
        assert found[f"score_{name}"].tolist() == [each["scores"][name] for each in answered]
    record = lab.trainer.reproduce(lab.model, "1")
    assert record.identical
