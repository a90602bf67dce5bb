"""MLflow's record of a training: what went in, what came out, and the candidate among the registered models."""

import json
import tempfile
from pathlib import Path
from typing import Any

from registry import Candidate, ModelVersion, Registry
from registry.packaging import dataset_input, library_versions, write_model_folder
from registry.runs import Run
from trainer.adapters import plots
from trainer.adapters.models import TRAINING_FILE
from trainer.application import fitting
from trainer.application.submission import Submission

EXAMPLE_ROWS = 5


class MlflowLedger:
    """Logs a submission in as few requests as it takes, then registers it."""

    def __init__(self, registry: Registry, git_commit: str) -> None:
        self._registry = registry
        self._git_commit = git_commit

    def version_of(self, run: Run) -> ModelVersion | None:
        """The version that the run has already led to."""
        return next((found for found in self._registry.versions(run.model) if found.run_id == run.run_id), None)

    def register(self, run: Run, submission: Submission) -> ModelVersion:
        """Parameters, metrics, dataset inputs, gate report and pictures into the run; the model into the registry."""
        metrics = _metrics(submission)
        self._registry.run_store.log(
            run.run_id, params=_parameters(submission), metrics=metrics, inputs=[_training_input(submission)]
        )
        self._registry.run_store.upload(run, _artifacts(submission))
        trained = submission.trained
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            example = _example(submission)
            digest = write_model_folder(folder, submission.spec, trained.served.text, example, run.run_id)
            record = fitting.record(trained, submission.digest, library_versions(), submission.start)
            (folder / TRAINING_FILE).write_text(json.dumps(record, sort_keys=True), encoding="utf-8")
            return self._registry.register(self._candidate(run, submission, folder, digest, metrics))

    def _candidate(
        self, run: Run, submission: Submission, folder: Path, digest: str, metrics: dict[str, float]
    ) -> Candidate:
        return Candidate(
            model=run.model,
            run_id=run.run_id,
            folder=folder,
            artifact_sha256=digest,
            trigger_id=submission.request.trigger_id,
            training_set_hash=submission.digest,
            dataset_versions=submission.versions,
            metrics=metrics,
            gates=submission.gates,
            git_commit=self._git_commit,
            reason=submission.request.reason,
            judged_against=submission.champion.version if submission.champion else None,
        )


def _parameters(submission: Submission) -> dict[str, Any]:
    training_set, trained = submission.training_set, submission.trained
    told = {f"lightgbm.{name}": value for name, value in trained.parameters.items()}
    return {
        **told,
        "rounds": trained.served.rounds,
        "rounds_at_most": submission.spec.training.rounds,
        "holdout": submission.spec.training.holdout,
        "weights": submission.spec.training.weights,
        "mode": "continue" if submission.start else "full",
        "continues": submission.start.version if submission.start else "none",
        "calibration": str(trained.calibration) if trained.calibration else "none",
        "weights_note": training_set.notes.get("weights", ""),
        "training_set_hash": submission.digest,
        "training_set_uri": submission.training_set_uri,
        "judged_against": submission.champion.version if submission.champion else "none",
        **{f"library.{name}": version for name, version in library_versions().items()},
    }


def _metrics(submission: Submission) -> dict[str, float]:
    training_set = submission.training_set
    counts = {name: float(note) for name, note in training_set.notes.items() if isinstance(note, int | float)}
    rows = training_set.rows
    return {
        **submission.judgement.metrics,
        **counts,
        "rows": float(rows.height),
        "rows_from_feedback": float((rows["_origin"] == "feedback").sum()),
        "holdout_rows": float(training_set.holdout.height),
        "rounds": float(submission.trained.served.rounds),
    }


def _training_input(submission: Submission) -> dict[str, Any]:
    spec = submission.spec
    columns = {feature.name: "string" if feature.is_text else "double" for feature in spec.features}
    label = "double" if spec.task == "regression" else "string"
    versions = ", ".join(f"{kind} {version}" for kind, version in sorted(submission.versions.items()))
    name = f"{spec.name} ({versions})"
    return dataset_input(
        name,
        submission.digest,
        submission.training_set_uri,
        {**columns, "label": label, "_weight": "double"},
        "training",
    )


def _artifacts(submission: Submission) -> dict[str, bytes]:
    """The gates judged the model before its refit: it is kept beside their report."""
    trained, judgement = submission.trained, submission.judgement
    report = {
        "judged": "the model before the refit: judged_model.txt",
        "served": "the refit on all rows, with as many rounds: the registered model",
        "rounds": trained.served.rounds,
        "gates": [gate.model_dump(mode="json") for gate in submission.gates],
        "metrics": dict(judgement.metrics),
        "training_set": {
            **submission.training_set.notes,
            "hash": submission.digest,
            "rows": submission.training_set.rows.height,
        },
    }
    gains = dict(trained.served.gains)
    pictures = plots.draw(submission.spec, judgement.targets, judgement.answers, judgement.weights, judgement.shap)
    return {
        "gates/report.json": _json(report),
        "gates/judged_model.txt": trained.judged.text.encode(),
        "importances.json": _json({"gain": gains, "shap": dict(judgement.shap)}),
        **{f"plots/{name}": content for name, content in pictures.items()},
    }


def _example(submission: Submission) -> list[dict[str, Any]]:
    rows = submission.training_set.rows.select(submission.spec.feature_names).tail(EXAMPLE_ROWS)
    return rows.to_dicts()


def _json(content: Any) -> bytes:
    return json.dumps(content, indent=2, sort_keys=True).encode()
