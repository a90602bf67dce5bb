"""What can stop a training.

TrainerError
├── CannotTrain        the data or the spec do not allow a model: the trigger ends as rejected
├── NoSuchModel        no spec, or nothing registered, under this name
├── NoSuchEvent        no such event was ever kept apart
├── NotAllowed         the rollout does not permit what was asked for
└── TryAgain           something outside does not answer: the same again may work
"""


class TrainerError(Exception):
    """The root of what this service raises on purpose."""


class CannotTrain(TrainerError):
    """No model can be made from this data; trying again changes nothing."""


class NoSuchModel(TrainerError):
    """Nobody has described this model."""

    def __init__(self, model: str) -> None:
        super().__init__(f"there is no model {model}; add it with `flywheel model add SPEC.yaml --base FILE`")
        self.model = model


class NoSuchEvent(TrainerError):
    """The quarantine does not know this event."""

    def __init__(self, model: str, event_id: str) -> None:
        super().__init__(f"the quarantine of {model} holds no event {event_id}")


class NotAllowed(TrainerError):
    """A promotion or rollback that the model's state forbids."""


class TryAgain(TrainerError):
    """Something outside does not answer now."""

    def __init__(self, message: str, retry_after_s: float = 2.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
