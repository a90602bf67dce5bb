"""What was seen of a model a moment ago: for whoever shows it, and decides nothing by it."""

from datetime import timedelta

from http_api.recent import Recent
from trainer.application.observing import Observer
from trainer.domain.drifting import Drifted
from trainer.domain.live import LiveQuality


class Lately:
    """Looks shared by all who ask (an Observer)."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._qualities: Recent[list[LiveQuality]] = Recent()
        self._drifts: Recent[Drifted | None] = Recent()

    def quality(self, model: str, window: timedelta) -> list[LiveQuality]:
        """Live quality of each version that answered in the window. Raises NoSuchModel."""
        return self._qualities.get((model, window), lambda: self._observer.quality(model, window))

    def drift(self, model: str, window: timedelta) -> Drifted | None:
        """Drift from the champion's training set. Raises NoSuchModel."""
        return self._drifts.get((model, window), lambda: self._observer.drift(model, window))
