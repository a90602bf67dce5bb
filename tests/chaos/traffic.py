"""What is sent: feedback, predictions, and records that no reader should choke on."""

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

MODEL = "chaos"
SPEC = f"""\
name: {MODEL}
task: binary
label: {{name: outcome, values: [bad, good], positive: good}}
features:
  - {{name: size, type: number, range: [-10, 10], required: true}}
  - {{name: weight, type: number}}
  - {{name: colour, type: category, values: [red, green, blue]}}
feedback: {{audit_percent: 20}}
retrain: {{feedback_count: 800}}
training: {{rounds: 20}}
gates: {{max_slice_loss: 1.0, max_latency: 1000ms, min_gain: -1.0}}
"""


def base_csv(rng: random.Random, rows: int = 400) -> str:
    """A base dataset from which something can be learned."""
    lines = ["size,weight,colour,outcome"]
    for _ in range(rows):
        size, weight = rng.uniform(-10, 10), rng.gauss(0, 1)
        lines.append(f"{size:.3f},{weight:.3f},{rng.choice(['red', 'green', 'blue'])},{_outcome(rng, size)}")
    return "\n".join(lines) + "\n"


def features(rng: random.Random) -> dict[str, Any]:
    """An instance that fits the spec."""
    found: dict[str, Any] = {"size": round(rng.uniform(-10, 10), 3)}
    if rng.random() < 0.8:
        found["weight"] = round(rng.gauss(0, 1), 3)
    if rng.random() < 0.8:
        found["colour"] = rng.choice(["red", "green", "blue"])
    return found


def user(number: int) -> str:
    """One of those who give feedback."""
    return f"user-{number % 200}"


def feedback(rng: random.Random, event_id: str) -> dict[str, Any]:
    """Feedback as a client posts it, of any kind that needs no token."""
    body: dict[str, Any] = {"event_id": event_id, "model": MODEL, "user_id": user(rng.randrange(200))}
    instance = features(rng)
    label = _outcome(rng, instance["size"])
    match rng.randrange(4):
        case 0:
            return body | {"kind": "example", "features": instance, "label": label}
        case 1:
            return body | {"kind": "correction", "features": instance, "label": label, "comment": "Grüße, 世界"}
        case 2:
            return body | {"kind": "correction", "prediction_id": _uuid(rng), "label": label}
        case _:
            return body | {"kind": "rating", "rating": rng.randint(1, 5), "prediction_id": _uuid(rng)}


def prediction(rng: random.Random, prediction_id: str) -> bytes:
    """A prediction as inference publishes it."""
    score = rng.random()
    return json.dumps(
        {
            "prediction_id": prediction_id,
            "model": MODEL,
            "model_version": "1",
            "variant": "champion",
            "features": features(rng),
            "label": "good" if score > 0.5 else "bad",
            "scores": {"good": score, "bad": 1 - score},
            "audited": False,
            "occurred_at": datetime.now(UTC).isoformat(),
            "latency_ms": 0.1,
        }
    ).encode()


def poison(rng: random.Random, key: str) -> bytes:
    """A record that ingest would never write; `key` is its event_id where it has one."""
    make: Callable[[random.Random, str], bytes] = rng.choice(_POISON)
    return make(rng, key)


def _event(rng: random.Random, key: str, **changes: Any) -> bytes:
    now = datetime.now(UTC).isoformat()
    body = feedback(rng, key) | {"source": "chaos", "occurred_at": now, "received_at": now}
    return json.dumps(body | changes).encode()


_POISON: tuple[Callable[[random.Random, str], bytes], ...] = (
    lambda rng, key: b"",
    lambda rng, key: b"\xff\xfe\x00" + key.encode(),
    lambda rng, key: _event(rng, key)[:-1] + b'"\xc3\x28": 1}',
    lambda rng, key: _event(rng, key)[: rng.randrange(1, 60)],
    lambda rng, key: _event(rng, key) + _event(rng, key),
    lambda rng, key: b"[" * 5_000,
    lambda rng, key: b"null",
    lambda rng, key: json.dumps({"event_id": key}).encode(),
    lambda rng, key: _event(rng, key, comment="x" * 300_000),
    lambda rng, key: _event(rng, key, model="nobody-knows-it"),
    lambda rng, key: _event(rng, key, kind="praise"),
    lambda rng, key: _event(rng, key, kind="example", label="good", features={"size": float("nan")}),
    # These can be read, but do not fit the spec.
    lambda rng, key: _event(rng, key, kind="example", label="good", features={"size": 99}),
    lambda rng, key: _event(rng, key, kind="example", label="good", features={"size": 1, "colour": "mauve"}),
    lambda rng, key: _event(rng, key, kind="example", label="ugly", features={"size": 1}),
    lambda rng, key: _event(rng, key, kind="example", label="good", features={"length": 1}),
)


def _outcome(rng: random.Random, size: float) -> str:
    return "good" if size + rng.gauss(0, 3) > 0 else "bad"


def _uuid(rng: random.Random) -> str:
    digits = f"{rng.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


new_id = _uuid
