"""Load, damage, recovery, account: one round for each fault, on a stack of its own."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from benchmarks.results import Row
from flywheel_local.stack import Stack
from tests.chaos import lookups, traffic
from tests.chaos.faults import FAULTS, Fault, Scene
from tests.chaos.load import Ledgers, Load, Rates
from tests.chaos.reconcile import Account, reconcile
from tests.waiting import comes_true, until

_TOPICS = ("feedback-events", "predictions")
_QUIET_S = 1.5


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how hard. `warm_up_s` is the load before each strike."""

    faults: tuple[str, ...]
    repeats: int = 3
    warm_up_s: float = 3.0
    recovery_timeout_s: float = 180.0
    rates: Rates = field(default_factory=Rates)
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one fault led to. The accounts cover everything sent since the first round."""

    fault: str
    recovery_s: float
    feedback: Account
    predictions: Account
    erased: Account
    triggers: Account | None = None

    @property
    def accounts(self) -> dict[str, Account]:
        """The accounts by what they are about."""
        always = {"feedback": self.feedback, "predictions": self.predictions, "erased": self.erased}
        return always | ({"triggers": self.triggers} if self.triggers else {})

    @property
    def balanced(self) -> bool:
        """Whether nothing was lost, doubled or invented so far."""
        return all(account.balanced for account in self.accounts.values())

    def rows(self) -> list[Row]:
        """The outcome as results: `chaos.<fault>.lost | doubled | recovery`."""
        accounts = list(self.accounts.values())
        n = sum(account.acknowledged for account in accounts)
        note = "; ".join(f"{name}: {account.in_words()}" for name, account in self.accounts.items())
        invented = sum(len(account.invented) for account in accounts)
        return [
            Row(f"chaos.{self.fault}.lost", sum(len(a.lost) for a in accounts), "events", n=n, note=note),
            Row(
                f"chaos.{self.fault}.doubled",
                sum(len(a.doubled) for a in accounts),
                "events",
                n=n,
                note=f"{invented:,} events found that nobody sent",
            ),
            Row(
                f"chaos.{self.fault}.recovery", round(self.recovery_s, 2), "s", note="until all that lay there is kept"
            ),
        ]


class Harness:
    """Runs a plan on `stack`, whose servers and services live already; `model` is served if inference is asked."""

    def __init__(
        self, stack: Stack, plan: Plan, *, ask_inference: bool, say: Callable[[str], None] = lambda _: None
    ) -> None:
        self._stack = stack
        self._plan = plan
        self._say = say
        self._trains = ask_inference
        self._ledgers = Ledgers()
        self.load = Load(stack.env, self._ledgers, plan.seed, plan.rates, ask_inference)

    @property
    def duplicates_sent(self) -> int:
        """How many acknowledged events were sent again."""
        return self._ledgers.feedback.duplicates + self._ledgers.predictions.duplicates

    def outcomes(self) -> Iterable[Outcome]:
        """One outcome after each fault of the plan, in its order."""
        for number, name in enumerate(self._plan.faults):
            yield self._round(FAULTS[name], random.Random(f"{self._plan.seed}-{number}-{name}"))

    def _round(self, fault: Fault, rng: random.Random) -> Outcome:
        self._say(f"{fault.name}: load")
        with self.load:
            time.sleep(self._plan.warm_up_s)
            self._say(f"{fault.name}: damage")
            injured = fault.strike(Scene(self._stack, rng, self._plan.repeats))
            self._say(f"{fault.name}: recovery")
            self._wait_until_settled(f"recovery after {fault.name}")
            recovery_s = time.monotonic() - injured
        self._say(f"{fault.name}: account")
        self._wait_until_drained()
        triggers = self.account_of_triggers() if self._trains else None
        return Outcome(
            fault.name,
            recovery_s,
            feedback=self.account_of_feedback(),
            predictions=self.account_of_predictions(),
            erased=self.account_of_erased(),
            triggers=triggers,
        )

    def _wait_until_settled(self, what: str) -> None:
        """Until the processor has settled all that lies in Kafka now."""
        marks = {topic: lookups.ends(self._stack.env, topic) for topic in _TOPICS}

        def settled() -> bool:
            done = {topic: lookups.committed(self._stack.env, topic) for topic in _TOPICS}
            return all(done[t].get(p, 0) >= end for t, ends in marks.items() for p, end in ends.items())

        until(settled, self._plan.recovery_timeout_s, what)

    def _wait_until_drained(self) -> None:
        """Until the processor has settled everything and nothing new has come for a while (inference has a spool)."""
        seen: dict[str, dict[int, int]] = {}
        while (now := {topic: lookups.ends(self._stack.env, topic) for topic in _TOPICS}) != seen:
            self._wait_until_settled("the topics to be drained")
            seen = now
            time.sleep(_QUIET_S)

    def account_of_feedback(self) -> Account:
        """Feedback through ingest and records straight into the topic, poison among them."""
        env, ledgers = self._stack.env, (self._ledgers.feedback, self._ledgers.poison)
        quarantined = lookups.rows_by_id(env, traffic.MODEL, "quarantine", "event_id")
        predictions = lookups.keys_in(env, "predictions")
        places = {
            "dataset": lookups.rows_by_id(env, traffic.MODEL, "feedback", "event_id"),
            "quarantine": Counter({id: count for id, count in quarantined.items() if id not in predictions}),
            "dead letters": lookups.dead_letters_by_key(env, "feedback-events"),
        }
        acknowledged = set[str]().union(*(ledger.acknowledged() for ledger in ledgers))
        return reconcile(acknowledged, set[str]().union(*(ledger.sent() for ledger in ledgers)), places)

    def account_of_predictions(self) -> Account:
        """What Kafka acknowledged to us, and what inference published."""
        env, ledger = self._stack.env, self._ledgers.predictions
        published = lookups.keys_in(env, "predictions")
        quarantined = lookups.rows_by_id(env, traffic.MODEL, "quarantine", "event_id")
        places = {
            "dataset": lookups.rows_by_id(env, traffic.MODEL, "predictions", "prediction_id"),
            "quarantine": Counter({id: count for id, count in quarantined.items() if id in published}),
            "dead letters": lookups.dead_letters_by_key(env, "predictions"),
        }
        return reconcile(published | ledger.acknowledged(), published | ledger.sent(), places)

    def account_of_erased(self) -> Account:
        """What users asked to have forgotten: each row of it that is still there was not theirs to keep."""
        left = lookups.rows_that_were_erased(self._stack.env, traffic.MODEL, "feedback")
        return reconcile(set(), set(), {"dataset": left})

    def account_of_triggers(self) -> Account:
        """Every trigger of the lake's log ends in exactly one finished training, and in one version at most.

        Waits for trainings that are still to come as long as one ends within the recovery's time.
        """
        env = self._stack.env

        def account() -> Account:
            logged = lookups.triggers(env, traffic.MODEL)
            outcomes = lookups.outcomes_by_trigger(env, traffic.MODEL)
            versions = Counter(
                {id: n - 1 for id, n in lookups.versions_by_trigger(env, traffic.MODEL).items() if n > 1}
            )
            return reconcile(logged, logged, {"outcomes": outcomes, "versions too many": versions})

        def fewer_lost(than: Account) -> bool:
            return comes_true(lambda: account().lost < than.lost, self._plan.recovery_timeout_s, every_s=1.0)

        found = account()
        while found.lost and fewer_lost(found):
            found = account()
        return found
