"""What each field of an event means. A name means the same wherever it appears, so it is explained once."""

from typing import Any

MEANING: dict[str, str] = {
    "event_id": "Idempotency key of the feedback: the same id again counts once, whatever it says.",
    "model": "Name of the model, as in its spec.",
    "kind": "What is told: a correction, a confirmation, a rating or an example.",
    "prediction_id": "The prediction that is meant.",
    "feedback_token": "Signed receipt of a prediction; it names the version that answered and what it said.",
    "features": "Input of the model by feature name; null where a value is unknown.",
    "label": "The answer, a class or a regression's number: of feedback, the right one; of a prediction, its own.",
    "rating": "Satisfaction from 1 (bad) to 5 (good). Never taken for a label.",
    "comment": "Free text for people.",
    "user_id": "Who gives the feedback, as the application knows them. Stored only as a keyed hash.",
    "user_hash": "Keyed hash that stands for the user.",
    "key_id": "Public id of the API key that posted it; absent where no keys are in use.",
    "source": "Where it comes from, such as an application's name.",
    "occurred_at": "When it happened, by the clock of whoever reports it.",
    "received_at": "When the server received it, by the server's clock.",
    "model_version": "Version in the registry, as text.",
    "variant": "Role of the version when it answered.",
    "predicted": "What the version had answered.",
    "audited": "Whether feedback was asked for by random draw, whatever the answer was.",
    "scores": "Probability of each class; absent for a regression.",
    "latency_ms": "Time that the answer took inside the service, in milliseconds.",
    "dataset_version": "Version of the model's Delta table.",
    "topic": "Kafka topic that the rows came from.",
    "partition": "Kafka partition that the rows came from.",
    "first_offset": "Offset of the first record that this flush settled.",
    "last_offset": "Offset of the last record that this flush settled; all before it are settled too.",
    "rows": "Rows that reached the table.",
    "duplicates": "Records dropped because their event_id was stored before.",
    "quarantined": "Records put aside as implausible.",
    "quality": "What the flush says of each version, audited and volunteered apart.",
    "n": "Answers with a known right label.",
    "confusion": "Predicted class to {right class: count}.",
    "rating_sum": "Sum of the ratings.",
    "rating_count": "How many ratings.",
    "trigger_id": "The crossing that led to this; the same crossing has the same id, however often it is announced.",
    "reason": "Why.",
    "observed": "The figure that crossed the threshold.",
    "threshold": "The threshold that was crossed.",
    "note": "Free text for people.",
    "column": "The feature that drifted, or `scores`.",
    "low": "Lower end of the interval of `observed`.",
    "high": "Upper end of the interval of `observed`.",
    "evidence_rows": "Rows behind `observed`: audited answers, or predictions.",
    "action": "What happened to the version.",
    "traffic_percent": "Share of requests that the version answers from now on.",
    "previous_version": "The version that answered before.",
    "champion": "The version that answers by default from now on.",
    "run_id": "MLflow run that trained the version.",
    "dataset_versions": "Version of each table that the training set was read from.",
    "training_set_hash": "SHA-256 of the training set.",
    "metrics": "Figures of the version on the holdout.",
    "gates": "Each gate's verdict with its figures.",
    "artifact_uri": "Folder that holds the model.",
    "champion_artifact_uri": "Folder of the champion's files, where another version is the one that changed.",
    "champion_artifact_sha256": "Digest of the champion's model.txt.",
    "artifact_sha256": "SHA-256 of the LightGBM text in that folder.",
    "who": "Who asked for it: the id of an API key, or the service that decided.",
    "sequence": "Number of the transition of its model, without gaps: a lower one is older news.",
    "triggered_at": "When the threshold was reached that led to the version which is promoted here.",
    "challenger": "The version on trial beside the champion, if any.",
    "challenger_state": "Whether the challenger answers aside (shadow) or for a share of the traffic (canary).",
    "challenger_traffic_percent": "Share of requests that the challenger answers.",
    "challenger_artifact_uri": "Folder of the challenger's files.",
    "challenger_artifact_sha256": "Digest of the challenger's model.txt.",
    "paused": "Whether the rollout waits for a person to resume it.",
    "replica": "Which process tells, by a name of its own.",
    "since": "Since when it counts.",
    "loaded": "Whether the challenger is in memory and may answer.",
    "problem": "Why the challenger does not answer.",
    "requests": "Requests that the challenger answered, or failed to.",
    "failed": "Of these, those that the champion had to answer instead.",
    "p99_ms": "99th percentile of the challenger's last answering times.",
    "champion_p99_ms": "The same of the champion, over the same time.",
    "shadowed": "Answers that the challenger gave aside.",
    "disagreed": "Of these, those with another label than the champion's.",
    "disagreement": "Champion's class to {challenger's class: count}.",
    "slices": "Feature and value to [answers aside, of which differ].",
    "at": "When it was decided.",
    "version": "The version that it is about.",
    "name": "Name of the gate.",
    "passed": "Whether the gate let the version through.",
    "figures": "The figures behind the verdict.",
}


def explain(schema: dict[str, Any]) -> None:
    """Give each property of a generated JSON Schema its description."""
    for name, described in schema.get("properties", {}).items():
        described.setdefault("description", MEANING[name])


def feedback_rules() -> list[dict[str, Any]]:
    """What each kind of feedback needs, as JSON Schema; the same as `events.missing_parts`."""
    prediction = [_present("prediction_id"), _present("feedback_token")]
    return [
        _when("correction", {"allOf": [_present("label"), {"anyOf": [*prediction, _present("features")]}]}),
        _when("confirmation", {"anyOf": prediction}),
        _when("example", {"allOf": [_present("features"), _present("label")]}),
        _when("rating", _present("rating")),
    ]


def names_a_model() -> dict[str, Any]:
    """Feedback from a client names its model, or has a token that does, as JSON Schema."""
    return {"anyOf": [_present("model"), _present("feedback_token")]}


def _present(name: str) -> dict[str, Any]:
    return {"required": [name], "properties": {name: {"not": {"type": "null"}}}}


def _when(kind: str, then: dict[str, Any]) -> dict[str, Any]:
    return {"if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]}, "then": then}
