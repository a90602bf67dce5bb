"""What a spec asks for that this release reads and does not act on: said at once, never found out later."""

from flywheel_schemas.spec import ModelSpec


def passed_over(spec: ModelSpec) -> list[str]:
    """A sentence for each wish of `spec` that has no effect yet; empty when all of it has."""
    training = spec.training
    asked = {
        "training.mode: every training starts from nothing": training.mode != "full",
        "training.search_trials: parameters are those of the spec": training.search_trials > 0,
        "feedback.max_share_per_key: feedback does not carry the key yet": "max_share_per_key"
        in spec.feedback.model_fields_set,
        "retention: nothing is removed yet": bool(spec.retention.model_fields_set),
    }
    return [sentence for sentence, is_asked in asked.items() if is_asked]
