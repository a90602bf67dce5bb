import gc
import math
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from inference.adapters.lightgbm_native import NativeBooster
from inference.adapters.trial import TrialRun
from inference.application.ports import ModelRefused

from .conftest import make_spec, train

ROWS = np.array([[0.0, 100.0, 5.0], [2.0, math.nan, 23.0], [math.nan, 6000.0, math.nan]])


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_it_gives_what_lightgbm_gives_bit_for_bit(task: str, tmp_path: Path) -> None:
    spec = make_spec(task)
    reference = train(spec, tmp_path)
    booster = NativeBooster(tmp_path / "model.txt")
    expected = np.asarray(reference.predict(ROWS)).reshape(len(ROWS), -1)
    assert booster.feature_names == spec.feature_names
    assert booster.outputs == expected.shape[1]
    assert booster.predict(ROWS).tobytes() == expected.tobytes()
    assert np.array([booster.predict_one(row) for row in ROWS.tolist()]).tobytes() == expected.tobytes()
    contributions = np.asarray(reference.predict(ROWS, pred_contrib=True)).reshape(len(ROWS), booster.outputs, 4)
    assert np.array_equal(booster.contributions(ROWS), contributions)


def test_threads_do_not_disturb_each_other(tmp_path: Path) -> None:
    train(make_spec(), tmp_path)
    booster = NativeBooster(tmp_path / "model.txt")
    rows = np.random.default_rng(1).uniform(0, 100, (200, 3)).tolist()
    expected = [booster.predict_one(row) for row in rows]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: [booster.predict_one(row) for row in rows], range(20))) == [expected] * 20


def test_it_is_freed_with_its_last_reference(tmp_path: Path) -> None:
    train(make_spec(), tmp_path)
    booster = NativeBooster(tmp_path / "model.txt")
    booster.predict_one(ROWS[0].tolist())
    alive = weakref.ref(booster)
    del booster
    gc.collect()
    assert alive() is None


def test_a_row_of_the_wrong_length_is_an_error_not_a_crash(tmp_path: Path) -> None:
    train(make_spec(), tmp_path)
    booster = NativeBooster(tmp_path / "model.txt")
    with pytest.raises(ValueError, match="size"):
        booster.predict_one([1.0])
    with pytest.raises(ValueError, match="3 columns"):
        booster.predict(np.zeros((2, 2)))


def test_files_that_crash_lightgbm_are_refused_and_the_next_good_one_is_opened(tmp_path: Path) -> None:
    train(make_spec(), tmp_path)
    good = tmp_path / "model.txt"
    text = good.read_text()
    bad = {"half": text[: len(text) // 2], "words": "no model", "empty": ""}
    trial = TrialRun()
    try:
        for name, content in bad.items():
            (tmp_path / name).write_text(content)
            with pytest.raises(ModelRefused) as refusal:
                trial.open(tmp_path / name)
            assert refusal.value.kind == "crashed"
            assert trial.open(good).outputs == 1
    finally:
        trial.close()
