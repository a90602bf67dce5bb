"""What the study's processes do: replays and retrainings, each kept under its name."""

from dataclasses import asdict
from typing import Any

from study import gates, replay
from study.keeping import kept
from study.outcomes import Arm, Size

GATE_CHUNK = 20


def one_replay(arm: Arm, seed: int, size: Size) -> dict[str, Any]:
    """A replay, or what it came to before."""
    key = f"{arm.name}-{seed}-{size.months}-{size.every}-{size.feedback_count}"
    return kept(key, lambda: replay.run(arm, seed, size).encode())


def ceiling(size: Size) -> dict[str, Any]:
    """All labels known, or what that came to before."""
    return kept(f"all-labels-{size.months}-{size.every}", lambda: replay.all_labels(size).encode())


def some_gates(first: int, size: Size) -> dict[str, Any]:
    """GATE_CHUNK retrainings without merit."""
    seeds = range(first, first + GATE_CHUNK)
    return kept(f"gate-{first}-{size.every}", lambda: {"verdicts": [asdict(gates.run(seed, size)) for seed in seeds]})
