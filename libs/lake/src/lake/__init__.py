"""The lake: one Delta table per model and purpose, appended to exactly once, and small objects beside them."""

from lake.errors import Fatal, LakeError, Poison, Retryable
from lake.lake import Lake
from lake.settings import LakeSettings
from lake.table import LakeTable

__all__ = ["Fatal", "Lake", "LakeError", "LakeSettings", "LakeTable", "Poison", "Retryable"]
