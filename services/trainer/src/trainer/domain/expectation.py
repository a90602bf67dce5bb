"""What the base data lead one to expect of a row: the answers of its neighbours among the base rows.

Two rows are neighbours in as far as the trees of a random forest put them into the same leaves (Lin and Jeon, Random
forests and adaptive nearest neighbors, 2006), so distances need no scale and categories are no trouble.
"""

import numpy as np
from sklearn.ensemble import RandomForestClassifier

_TREES, _LEAF, _DRAWN = 30, 25, 10_000
FEWEST_BASE_ROWS = 500


def expected(base: np.ndarray, answers: np.ndarray, rows: np.ndarray, classes: int) -> np.ndarray:
    """P(each class) of shape (rows, classes): the shares among each row's neighbours. Deterministic.

    `base` and `rows` are feature matrices (NaN for what is missing), `answers` the base rows' class indices.
    """
    forest = RandomForestClassifier(
        _TREES, min_samples_leaf=_LEAF, max_samples=min(len(base), _DRAWN), random_state=0, n_jobs=1
    )
    forest.fit(base, answers)
    found = np.zeros((len(rows), classes))
    found[:, forest.classes_] = forest.predict_proba(rows)
    return found
