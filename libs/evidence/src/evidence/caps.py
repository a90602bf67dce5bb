"""No single person's word weighs more than a share of everything."""

import numpy as np

from evidence.cells import Floats


def weight_limit(per_user: Floats, share: float, others: float) -> float:
    """The largest c with c = share x (others + sum of min(weight, c)).

    Where too few users and too little else are there for any such c (two users cannot each have 2 %), the
    weight of the largest user that need not be lowered, so that all above it count alike.
    """
    weights = np.sort(per_user)[::-1]
    for lowered in range(len(weights)):
        rest = others + float(weights[lowered:].sum())
        if lowered * share >= 1.0:
            return float(weights[lowered])
        limit = share * rest / (1.0 - lowered * share)
        if weights[lowered] <= limit:
            return limit if lowered else float(weights[0])
    remaining = 1.0 - len(weights) * share
    return share * others / remaining if remaining > 0.0 and others > 0.0 else float(weights[-1])
