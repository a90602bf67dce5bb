from pathlib import Path

import pytest
from pydantic import ValidationError

from registry.artifacts import Artifacts, sha256
from registry.errors import CorruptArtifact, RegistryError
from registry.settings import RegistrySettings


def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts(RegistrySettings(model_artifacts_uri=f"file://{tmp_path}/artifact-store"))


def test_what_was_put_is_fetched_byte_for_byte(tmp_path: Path) -> None:
    store, uri = artifacts(tmp_path), f"file://{tmp_path}/model"
    store.put_all(uri, {"model.txt": b"tree\n", "spec.yaml": b"name: x\n", "plots/roc.png": b"\x89PNG"})
    folder = store.fetch(uri, tmp_path / "copy", sha256(b"tree\n"))
    assert (folder / "model.txt").read_bytes() == b"tree\n"
    assert (folder / "spec.yaml").read_bytes() == b"name: x\n"


def test_a_changed_model_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    store, uri = artifacts(tmp_path), f"file://{tmp_path}/model"
    store.put_all(uri, {"model.txt": b"tampered", "spec.yaml": b"name: x\n"})
    with pytest.raises(CorruptArtifact, match=r"model\.txt was changed"):
        store.fetch(uri, tmp_path / "copy", sha256(b"tree\n"))
    assert not (tmp_path / "copy").exists()


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"model\.txt does not exist"):
        artifacts(tmp_path).fetch(f"file://{tmp_path}/none", tmp_path / "copy")


def test_an_address_that_mlflow_proxies_lies_under_the_artifact_root(tmp_path: Path) -> None:
    resolved = artifacts(tmp_path).resolve("mlflow-artifacts:/7/models/m-1/artifacts")
    assert resolved == f"file://{tmp_path}/artifact-store/7/models/m-1/artifacts"


def test_an_address_that_nobody_can_read_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="MODEL_ARTIFACTS_URI"):
        artifacts(tmp_path).resolve("dbfs:/models/m-1")


@pytest.mark.parametrize("uri", ["gs://bucket", "relative/folder"])
def test_a_root_that_cannot_be_used_fails_at_start(uri: str) -> None:
    with pytest.raises(ValidationError, match="MODEL_ARTIFACTS_URI"):
        RegistrySettings(model_artifacts_uri=uri)
