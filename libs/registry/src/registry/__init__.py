"""MLflow as Flywheel's registry: which version of a model there is, which one serves, and what a run showed.

The registry is the truth of every version's state; Kafka events are notifications of it. Reads and writes go
through MLflow's public REST API, so a service that only needs to know what serves need not load MLflow.
"""

from registry.client import Registry
from registry.errors import RegistryError, RegistryUnavailable, UnknownModel, UnknownVersion
from registry.settings import RegistrySettings
from registry.versions import Candidate, ModelVersion, VersionState

__all__ = [
    "Candidate",
    "ModelVersion",
    "Registry",
    "RegistryError",
    "RegistrySettings",
    "RegistryUnavailable",
    "UnknownModel",
    "UnknownVersion",
    "VersionState",
]
