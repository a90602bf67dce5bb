"""From pinned dataset versions to a candidate with everything that is known of it; nothing is registered here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flywheel_schemas.events import GateReport
from flywheel_schemas.spec import ModelSpec
from registry import ModelVersion
from telemetry import metrics
from trainer.application import fitting
from trainer.application.fitting import Start, Trained
from trainer.application.judging import Judgement, Judging, Rival, nothing_new
from trainer.application.ports import Datasets, Learner, Search
from trainer.application.progress import InProgress
from trainer.application.rows import STREAM_ABOVE
from trainer.application.submission import Request, Submission
from trainer.domain import training_set as sets
from trainer.domain.fingerprint import training_set_hash
from trainer.domain.parameters import parameters
from trainer.domain.training_set import TrainingSet

_ROWS = metrics.gauge("flywheel_training_rows", "Rows of the last training set.", ("model",))


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where a training gets its data, its model and its judgement from."""

    datasets: Datasets
    learner: Learner
    judging: Judging
    search: Search
    num_threads: int


class Candidates:
    """Builds the set, trains and judges."""

    def __init__(self, workshop: Workshop, progress: InProgress) -> None:
        self._shop = workshop
        self._progress = progress

    def make(
        self, spec: ModelSpec, request: Request, versions: Mapping[str, int], champion: ModelVersion | None
    ) -> Submission | None:
        """The candidate; None where a person adds the very rows that the champion was trained on.

        Raises CannotTrain, and what the ports raise.
        """
        stage, model = self._progress.stage, spec.name
        known = self._known_events(champion)
        with stage(model, "reading"):
            sources = self._shop.datasets.sources(spec, versions)
        with stage(model, "building the training set"):
            training_set = sets.build(sources, spec, known)
            digest = training_set_hash(training_set.rows, spec)
            uri = self._shop.datasets.keep(model, digest, training_set.rows)
            self._shop.datasets.note_held(model, training_set.held)
            _ROWS.labels(model).set(training_set.rows.height)
        if champion and request.trigger is None and champion.training_set_hash == digest:
            return None
        rival = self._shop.judging.rival(spec, champion)
        start = _start(spec, champion, rival)
        with stage(model, "training"):
            trained = self._fit(spec, training_set, digest, start)
        with stage(model, "judging"):
            golden = self._shop.datasets.golden(spec)
            judgement = self._shop.judging.judge(spec, training_set, trained, rival, golden)
        gates = _verdicts(judgement, training_set, known if request.trigger else None)
        return Submission(
            spec,
            request,
            training_set,
            uri,
            digest,
            versions,
            trained,
            judgement,
            tuple(gates),
            champion,
            start,
        )

    def _fit(self, spec: ModelSpec, training_set: TrainingSet, digest: str, start: Start | None) -> Trained:
        chosen = parameters(spec, self._shop.num_threads)
        learner, search = self._shop.learner, self._shop.search
        if training_set.rows.height <= STREAM_ABOVE:
            return fitting.fit(learner, spec, training_set, chosen, start=start, search=search)
        with self._shop.datasets.stream(spec, digest) as rows:
            return fitting.fit_rows(learner, spec, rows, chosen, start=start, search=search)

    def _known_events(self, champion: ModelVersion | None) -> frozenset[str] | None:
        if champion is None:
            return None
        rows = self._shop.datasets.kept(champion.model, champion.training_set_hash)
        return frozenset() if rows is None else frozenset(rows["event_id"].drop_nulls().to_list())


def _start(spec: ModelSpec, champion: ModelVersion | None, rival: Rival) -> Start | None:
    """The champion to go on from, where the spec says so and it sees the same columns."""
    if spec.training.mode != "continue" or champion is None or rival.spec is None or not rival.text:
        return None
    return Start(champion.version, rival.text) if rival.spec.features == spec.features else None


def _verdicts(judgement: Judgement, training_set: TrainingSet, known: frozenset[str] | None) -> Sequence[GateReport]:
    if known is None:
        return judgement.gates
    return nothing_new(judgement.gates, training_set.holdout, known)
