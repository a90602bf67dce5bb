from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd

from features import Answers, FeatureSchema, pyfunc
from flywheel_schemas.spec import FeatureSpec, LabelSpec, ModelSpec, dump_spec


def test_a_saved_model_takes_raw_features_and_gives_labels_and_scores(tmp_path: Path) -> None:
    spec = ModelSpec(
        name="toy",
        task="binary",
        label=LabelSpec(name="y", values=("no", "yes"), positive="yes"),
        features=(
            FeatureSpec(name="colour", type="category", values=("red", "blue")),
            FeatureSpec(name="size", type="number"),
        ),
    )
    schema, answers = FeatureSchema(spec), Answers(spec)
    colours, sizes = ["red", "blue"] * 100, [float(i % 7) for i in range(200)]
    matrix = schema.matrix({"colour": colours, "size": sizes})
    targets = answers.targets(["yes" if c == "blue" else "no" for c in colours])
    data = lightgbm.Dataset(matrix, targets, feature_name=list(spec.feature_names), categorical_feature=[0])
    booster = lightgbm.train({"objective": "binary", "verbosity": -1, "min_data_per_group": 1}, data, 20)
    booster.save_model(tmp_path / pyfunc.MODEL_FILE)
    (tmp_path / pyfunc.SPEC_FILE).write_text(dump_spec(spec))

    frame = pd.DataFrame({"size": [1.0, np.nan, 3.0], "colour": ["red", "blue", None]}, index=[7, 8, 9])
    answer = pyfunc._load_pyfunc(str(tmp_path)).predict(frame)

    assert list(answer.columns) == ["label", "score_no", "score_yes"]
    assert answer.index.tolist() == [7, 8, 9]
    assert answer["label"].tolist()[:2] == ["no", "yes"]
    assert np.allclose(answer["score_no"] + answer["score_yes"], 1.0)
