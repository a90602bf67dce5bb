"""Copies on disk of what is served: a start needs neither registry, nor Kafka, nor the object store.

<folder>/<model>/<version>-<first 16 digits of sha256>/{model.txt,spec.yaml}
<folder>/<model>/serving.json      which of them served last
"""

import hashlib
import os
import shutil
import threading
from datetime import datetime
from pathlib import Path
from typing import Protocol

import msgspec

from inference.application.bring import MODEL_FILE, SPEC_FILE
from inference.application.ports import ModelRefused, SourceUnavailable
from inference.domain.claims import Artifact, Claim
from registry.errors import CorruptArtifact, RegistryError, RegistryUnavailable

_KEPT_PER_MODEL = 3


class Fetches(Protocol):
    """Copies an artifact's folder from where it is stored."""

    def fetch(self, artifact_uri: str, dest: Path, expected_sha256: str | None = None) -> Path:
        """As registry.artifacts.Artifacts.fetch."""


class _Noted(msgspec.Struct):
    version: str
    uri: str
    sha256: str
    at: datetime


class DiskCopies:
    """The folder of copies. For one process at a time: each replica has its own."""

    def __init__(self, folder: Path, artifacts: Fetches) -> None:
        self._folder = folder
        self._artifacts = artifacts
        self._arriving: dict[Path, threading.Lock] = {}
        self._lock = threading.Lock()

    def bring(self, artifact: Artifact) -> Path:
        """The artifact's folder here, fetched if there is no sound copy yet."""
        place = self._place(artifact)
        with self._alone(place):
            if not _is_sound(place, artifact.sha256):
                self._fetch(artifact, place)
        return place

    def _alone(self, place: Path) -> threading.Lock:
        with self._lock:
            return self._arriving.setdefault(place, threading.Lock())

    def _fetch(self, artifact: Artifact, place: Path) -> None:
        arriving = place.with_name(f".{place.name}.arriving")
        shutil.rmtree(arriving, ignore_errors=True)
        shutil.rmtree(place, ignore_errors=True)
        try:
            self._artifacts.fetch(artifact.uri, arriving, artifact.sha256)
        except RegistryUnavailable as exc:
            raise SourceUnavailable(str(exc)) from exc
        except CorruptArtifact as exc:
            raise ModelRefused("corrupt", str(exc)) from exc
        except RegistryError as exc:
            raise ModelRefused("missing", str(exc)) from exc
        arriving.replace(place)

    def last_served(self) -> list[Claim]:
        """What served last, of each model whose note can be read."""
        claims = []
        for note in sorted(self._folder.glob("*/serving.json")):
            try:
                noted = msgspec.json.decode(note.read_bytes(), type=_Noted)
            except (msgspec.DecodeError, OSError):
                continue
            artifact = Artifact(note.parent.name, noted.version, noted.uri, noted.sha256)
            if _is_sound(self._place(artifact), noted.sha256):
                claims.append(Claim(artifact.model, artifact.version, noted.at, artifact))
        return claims

    def remember(self, claim: Claim) -> None:
        """Note what serves, and remove all but the latest copies of the model."""
        if claim.artifact is None:
            return
        folder = self._folder / claim.model
        noted = _Noted(claim.version, claim.artifact.uri, claim.artifact.sha256, claim.at)
        arriving = folder / ".serving.json.arriving"
        arriving.write_bytes(msgspec.json.encode(noted))
        arriving.replace(folder / "serving.json")
        place = self._place(claim.artifact)
        os.utime(place)
        copies = sorted((path for path in folder.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime_ns)
        for old in copies[:-_KEPT_PER_MODEL]:
            shutil.rmtree(old, ignore_errors=True)

    def find(self, model: str, version: str) -> Artifact | None:
        """A version that has a copy here; its uri is that copy's own."""
        for place in (self._folder / model).glob(f"{version}-*"):
            if (place / MODEL_FILE).is_file():
                return Artifact(model, version, place.absolute().as_uri(), _digest(place / MODEL_FILE))
        return None

    def _place(self, artifact: Artifact) -> Path:
        return self._folder / artifact.model / f"{artifact.version}-{artifact.sha256[:16]}"


def _is_sound(place: Path, sha256: str) -> bool:
    try:
        return (place / SPEC_FILE).is_file() and _digest(place / MODEL_FILE) == sha256
    except OSError:
        return False


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
