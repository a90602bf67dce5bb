"""LightGBM's parameters for a spec: the spec's own, and those that make training repeatable."""

from flywheel_schemas.spec import ModelSpec
from trainer.domain.errors import CannotTrain

SEED = 20_130_101
EARLY_STOPPING_ROUNDS = 50
Parameters = dict[str, str | int | float | bool]

_OBJECTIVES: dict[str, Parameters] = {
    "binary": {"objective": "binary", "metric": "binary_logloss"},
    "multiclass": {"objective": "multiclass", "metric": "multi_logloss"},
    "regression": {"objective": "regression", "metric": "l2"},
}
# https://lightgbm.readthedocs.io/en/stable/Parameters.html#deterministic
_REPEATABLE: Parameters = {"deterministic": True, "force_row_wise": True, "seed": SEED}
# LightGBM's names for what `training.rounds` and the holdout decide; it would take them from the parameters instead.
_DECIDED_ELSEWHERE = frozenset(
    {
        *("num_iterations", "num_iteration", "n_iter", "num_tree", "num_trees", "num_round", "num_rounds", "nrounds"),
        *("num_boost_round", "n_estimators", "max_iter"),
        *("early_stopping_round", "early_stopping_rounds", "early_stopping", "n_iter_no_change"),
    }
)


def parameters(spec: ModelSpec, num_threads: int) -> Parameters:
    """Everything that LightGBM is told. What makes training repeatable stands above what the spec says.

    Raises CannotTrain for a parameter that decides the rounds.
    """
    if decided := sorted(_DECIDED_ELSEWHERE.intersection(spec.training.params)):
        raise CannotTrain(
            f"training.params sets {', '.join(decided)}; set training.rounds, early stopping does the rest"
        )
    classes: Parameters = {"num_class": len(spec.classes)} if spec.task == "multiclass" else {}
    fixed: Parameters = {**_REPEATABLE, "num_threads": num_threads, "verbosity": -1}
    defaults: Parameters = {"learning_rate": 0.05, "num_leaves": 31}
    return {**_OBJECTIVES[spec.task], **classes, **defaults, **_monotone(spec), **spec.training.params, **fixed}


def _monotone(spec: ModelSpec) -> Parameters:
    signs = {"increasing": 1, "decreasing": -1, None: 0}
    each = [signs[feature.monotone] for feature in spec.features for _ in feature.columns]
    return {"monotone_constraints": ",".join(map(str, each))} if any(each) else {}
