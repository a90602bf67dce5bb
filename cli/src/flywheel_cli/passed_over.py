"""What a spec asks for that this release reads and does not act on: said at once, never found out later."""

from flywheel_schemas.spec import ModelSpec


def passed_over(spec: ModelSpec) -> list[str]:
    """A sentence for each wish of `spec` that has no effect yet; empty when all of it has."""
    asked = {
        "retention: nothing is removed yet": bool(spec.retention.model_fields_set),
    }
    return [sentence for sentence, is_asked in asked.items() if is_asked]
