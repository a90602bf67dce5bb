"""Wishes to have feedback erased, in the lake."""

from datetime import datetime
from uuid import uuid4

from typing_extensions import override

from ingest.application.ports import Erasures, SourceAway
from lake.errors import LakeError
from lake.lake import Lake


class LakeErasures(Erasures):
    """Lays tombstones, which every reader of the lake honours."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    @override
    def ask(self, user_hash: str, now: datetime, asked_by: str) -> str:
        try:
            return self._lake.erasures.ask(user_hash, uuid4(), now, asked_by).erasure_id
        except LakeError as error:
            raise SourceAway(str(error)) from error
