"""How far each user's word is to be believed, by how well their answers fit what the base data lead one to expect.

One wrong answer says little where labels are noisy; a user whose answers contradict the expectation again and again
says a lot. Two kinds of users are told apart by expectation maximisation: those who say what they saw, and those who
say something else (Dawid and Skene 1979; Raykar et al. 2010, where a classifier stands for the unknown truth).
"""

from dataclasses import dataclass

import numpy as np

_ROUNDS = 20
_PRIOR_LIARS, _PRIOR_USERS = 0.5, 50.0
# Answers of one user resemble each other (one airport, one storm), so each counts for less than if independent.
_TEMPER = 0.5
_LARGEST_STEP = 2.0
# Where more users than this seem to lie, it is the world that has changed since the base data, not they.
_MOST_LIARS = 1.0 / 3.0


@dataclass(frozen=True, slots=True)
class Words:
    """Parallel arrays of n answers. `expected` is P(each class) of shape (n, k) before anybody spoke, `said` the index
    of the class that was given, `user` a number per user (-1: nobody known), `cell` a number for each way of being
    asked (audited or volunteered, and what was predicted): within one, people speak up alike."""

    expected: np.ndarray
    said: np.ndarray
    user: np.ndarray
    cell: np.ndarray


def doubt(words: Words) -> np.ndarray:
    """Per answer the probability that its user says something else than the truth; 0 for unknown users.

    People speak up more about wrong answers, so within each cell the expectation is first shifted to the share of
    labels that is (by present belief) true there (Saerens et al. 2002). Where a third of the users and
    more contradict the expectation, nobody is doubted: then it is out of date. The order of rows is no matter.
    """
    known = words.user >= 0
    believed = np.zeros(len(words.said))
    if not known.any() or words.expected.shape[1] < 2:
        return believed
    users = int(words.user.max()) + 1
    share = _PRIOR_LIARS / _PRIOR_USERS
    for _ in range(_ROUNDS):
        chance = _shifted(words, believed)
        step = np.clip(_TEMPER * _log_odds(chance, words.expected.shape[1]), -_LARGEST_STEP, _LARGEST_STEP)
        evidence = np.bincount(words.user[known], weights=step[known], minlength=users)
        per_user = 1.0 / (1.0 + np.exp(np.clip(evidence + np.log((1.0 - share) / share), -50.0, 50.0)))
        spoke = np.bincount(words.user[known], minlength=users) > 0
        share = float((per_user[spoke].sum() + _PRIOR_LIARS) / (spoke.sum() + _PRIOR_USERS))
        share = min(max(share, 1e-4), 0.45)
        believed = np.where(known, per_user[np.maximum(words.user, 0)], 0.0)
    seem_to_lie = float((per_user[spoke] > 0.5).mean())
    return believed if seem_to_lie <= _MOST_LIARS else np.zeros(len(words.said))


def factors(doubts: np.ndarray) -> np.ndarray:
    """The weight of an answer that is false with probability `doubts`: 1 - 2d, and 0 where it is more likely false.

    With it the expected loss points where the loss on true labels does (Natarajan et al. 2013).
    """
    return np.maximum(0.0, 1.0 - 2.0 * doubts)


def _log_odds(chance: np.ndarray, classes: int) -> np.ndarray:
    """log P(said | truthful) / P(said | untruthful); the untruthful name any other class than the true one alike."""
    return np.asarray(np.log(chance) - np.log((1.0 - chance) / (classes - 1)))


def _shifted(words: Words, believed: np.ndarray) -> np.ndarray:
    """P(said) per answer, with each cell's expectation moved to the labels that are true in it."""
    n, k = words.expected.shape
    chances = np.clip(words.expected, 1e-6, 1.0)
    # Each user counts once, or a burst of one user's answers would become the expectation itself.
    known = words.user >= 0
    spoken = np.bincount(words.user[known])
    votes = np.ones(len(known))
    votes[known] = 1.0 / spoken[words.user[known]]
    truth = np.repeat((believed / (k - 1))[:, None], k, axis=1)
    truth[np.arange(n), words.said] = 1.0 - believed
    for cell in np.unique(words.cell):
        inside = words.cell == cell
        wanted = np.average(truth[inside], axis=0, weights=votes[inside])
        ratio = np.ones(k)
        for _ in range(10):
            moved = chances[inside] * ratio
            moved /= moved.sum(axis=1, keepdims=True)
            ratio *= (wanted + 1e-6) / (np.average(moved, axis=0, weights=votes[inside]) + 1e-6)
        moved = chances[inside] * ratio
        chances[inside] = moved / moved.sum(axis=1, keepdims=True)
    return np.asarray(np.clip(chances[np.arange(n), words.said], 1e-4, 1.0 - 1e-4))
