"""What a process that died left undone, done at the next start."""

from telemetry import logging
from trainer.application.ports import Announcements, Datasets
from trainer.application.rollout import Rollout
from trainer.application.train import Train

_LOG = logging.get("trainer")


class Recover:
    """Brings registry, runs and announcements in line. Triggers come back by themselves: Kafka keeps them."""

    def __init__(self, datasets: Datasets, announcements: Announcements, rollout: Rollout, train: Train) -> None:
        self._datasets = datasets
        self._announcements = announcements
        self._rollout = rollout
        self._train = train

    def interrupted_runs(self) -> int:
        """Finish what this host was training when it died. Only at start: later its runs are alive."""
        found = 0
        for model in self._datasets.models():
            for run in self._train.interrupted(model):
                _LOG.warning("run_was_interrupted", model=model, run_id=run.run_id)
                self._train.resume(run)
                found += 1
        return found

    def announcements(self) -> int:
        """Show and tell every transition that the registry or the topic lacks; in how many models there were any."""
        latest = self._announcements.latest()
        models = self._datasets.models()
        return sum(self._rollout.finish(model, latest.get(model), check_topic=True) for model in models)
