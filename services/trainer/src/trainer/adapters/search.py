"""Search for parameters by Optuna's tree-structured Parzen estimator (Bergstra et al. 2011), seeded."""

from collections.abc import Callable

from flywheel_schemas.spec import ModelSpec
from telemetry import logging
from trainer.domain.parameters import SEED, Parameters

_LOG = logging.get("trainer")
# Name: lowest, highest, and what the first trial takes. All but feature_fraction on a logarithmic scale.
_INTEGERS = {"num_leaves": (4, 128, 31), "min_data_in_leaf": (5, 500, 20)}
_NUMBERS = {"learning_rate": (0.01, 0.3, 0.05), "lambda_l2": (1e-3, 100.0, 1e-3), "feature_fraction": (0.3, 1.0, 1.0)}


def search(parameters: Parameters, spec: ModelSpec, loss: Callable[[Parameters], float]) -> Parameters:
    """The best of `training.search_trials` trials. What the spec's `params` set stays as it is.

    The first trial is LightGBM's usual values, so that no search does worse than none where it was tried.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    integers = {name: ends for name, ends in _INTEGERS.items() if name not in spec.training.params}
    numbers = {name: ends for name, ends in _NUMBERS.items() if name not in spec.training.params}
    if not integers and not numbers:
        return parameters

    def trial(asked: optuna.Trial) -> float:
        drawn: Parameters = {}
        for name, (lowest, highest, _) in integers.items():
            drawn[name] = asked.suggest_int(name, lowest, highest, log=True)
        for name, (low, high, _) in numbers.items():
            drawn[name] = asked.suggest_float(name, low, high, log=name != "feature_fraction")
        return loss({**parameters, **drawn})

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=SEED))
    study.enqueue_trial({name: usual for name, (_, _, usual) in {**integers, **numbers}.items()})
    study.optimize(trial, n_trials=spec.training.search_trials)
    _LOG.info("parameters_searched", model=spec.name, trials=len(study.trials), loss=study.best_value)
    return {**parameters, **study.best_params}
