"""What can go wrong with the registry.

RegistryError
├── RegistryUnavailable   the server or the object store does not answer: try again after `retry_after_s`
├── UnknownModel          no registered model of that name
├── UnknownVersion        the model has no such version
└── CorruptArtifact       what was fetched is not what was registered
"""


class RegistryError(Exception):
    """The registry refused what was asked of it; the text says why and what to do."""


class RegistryUnavailable(RegistryError):
    """The registry or its object store cannot be reached now."""

    def __init__(self, where: str, why: str, retry_after_s: float = 2.0) -> None:
        super().__init__(f"{where} does not answer ({why}); check that it runs, then try again")
        self.where = where
        self.retry_after_s = retry_after_s


class UnknownModel(RegistryError):
    """No registered model has this name."""

    def __init__(self, model: str) -> None:
        super().__init__(f"the registry has no model named {model}; see `flywheel model list`")
        self.model = model


class UnknownVersion(RegistryError):
    """The model has no version of this number."""

    def __init__(self, model: str, version: str) -> None:
        super().__init__(f"model {model} has no version {version}; see `flywheel model show {model}`")
        self.model = model
        self.version = version


class CorruptArtifact(RegistryError):
    """A file's digest differs from the registered one."""

    def __init__(self, uri: str, expected: str, found: str) -> None:
        super().__init__(f"{uri} was changed after it was registered: sha256 {found}, registered {expected}")
        self.uri = uri
