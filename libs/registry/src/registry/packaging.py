"""The folder that becomes an MLflow model, and the dataset inputs of a run.

MLflow is loaded here, and only when these functions run: it takes seconds and 150 MB.
"""

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from flywheel_schemas.spec import ModelSpec, dump_spec
from registry.artifacts import MODEL_FILE, SPEC_FILE, sha256

LOADER_MODULE = "features.pyfunc"
_REQUIREMENTS = ("lightgbm", "msgspec", "numpy", "pandas", "pyarrow", "pydantic", "pyyaml")


def write_model_folder(
    folder: Path, spec: ModelSpec, model_text: str, example: Sequence[Mapping[str, Any]], run_id: str
) -> str:
    """Fill `folder` with a complete MLflow model, and return the digest of its model.txt.

    It loads as `mlflow.pyfunc` (raw features in, label and scores out, through `features.pyfunc`) and as
    `mlflow.lightgbm` (the booster). `example` holds a few raw instances.
    """
    from mlflow import pyfunc
    from mlflow.models import Model
    from mlflow.version import VERSION

    folder.mkdir(parents=True, exist_ok=True)
    content = model_text.encode()
    (folder / MODEL_FILE).write_bytes(content)
    (folder / SPEC_FILE).write_text(dump_spec(spec), encoding="utf-8")
    _write_environment(folder, VERSION)
    model = Model(
        run_id=run_id, signature=_signature(spec), saved_input_example_info=_write_example(folder, spec, example)
    )
    environment = {"conda": "conda.yaml", "virtualenv": "python_env.yaml"}
    pyfunc.add_to_model(model, loader_module=LOADER_MODULE, env=environment)
    model.add_flavor("lightgbm", lgb_version=version("lightgbm"), data=MODEL_FILE, model_class="lightgbm.basic.Booster")
    model.save(str(folder / "MLmodel"))
    return sha256(content)


def dataset_input(name: str, digest: str, uri: str, columns: Mapping[str, str], context: str) -> dict[str, Any]:
    """One dataset of a run in MLflow's own form, without reading the data.

    `columns` maps each column to MLflow's type, such as `string` or `double`. MLflow keeps 36 characters of `digest`.
    """
    from mlflow.data.http_dataset_source import HTTPDatasetSource
    from mlflow.data.meta_dataset import MetaDataset
    from mlflow.types.schema import ColSpec, Schema

    schema = Schema([ColSpec(kind, column) for column, kind in columns.items()])
    described = MetaDataset(HTTPDatasetSource(url=uri), name=name, digest=digest[:36], schema=schema).to_dict()
    dataset = {**described, "source_type": "s3" if uri.startswith("s3://") else "local"}
    dataset["source"] = json.dumps({"uri": uri})
    return {"dataset": dataset, "tags": [{"key": "mlflow.data.context", "value": context}]}


def warm_up() -> None:
    """Load MLflow now, so that the first training need not wait for it."""
    import mlflow.pyfunc  # noqa: F401 - for its side effect: it is loaded


def library_versions() -> dict[str, str]:
    """Versions of the libraries that shape a trained model."""
    return {name: _version(name) for name in ("lightgbm", "numpy", "polars", "pyarrow", "scikit-learn")}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _signature(spec: ModelSpec) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, Schema

    inputs = [
        ColSpec("string" if feature.is_text else "double", feature.name, required=feature.required)
        for feature in spec.features
    ]
    label = ColSpec("double" if spec.task == "regression" else "string", "label")
    scores = [ColSpec("double", f"score_{name}") for name in spec.classes]
    return ModelSignature(inputs=Schema(inputs), outputs=Schema([label, *scores]))


def _write_example(folder: Path, spec: ModelSpec, example: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    if not example:
        return None
    names = list(spec.feature_names)
    table = {"columns": names, "data": [[row.get(name) for name in names] for row in example]}
    (folder / "input_example.json").write_text(json.dumps(table), encoding="utf-8")
    serving = json.dumps({"dataframe_split": table})
    (folder / "serving_input_example.json").write_text(serving, encoding="utf-8")
    return {
        "artifact_path": "input_example.json",
        "type": "dataframe",
        "pandas_orient": "split",
        "serving_input_path": "serving_input_example.json",
    }


def _write_environment(folder: Path, mlflow_version: str) -> None:
    pins = [f"mlflow=={mlflow_version}", *(f"{name}=={_version(name)}" for name in _REQUIREMENTS)]
    (folder / "requirements.txt").write_text("\n".join(pins) + "\n", encoding="utf-8")
    python = _python()
    conda = [
        "name: mlflow-env",
        "channels: [conda-forge]",
        "dependencies:",
        f"  - python={python}",
        "  - pip",
        "  - pip:",
    ]
    (folder / "conda.yaml").write_text("\n".join([*conda, *(f"    - {pin}" for pin in pins)]) + "\n", encoding="utf-8")
    virtualenv = [f"python: {python}", "build_dependencies: [pip]", "dependencies: [-r requirements.txt]"]
    (folder / "python_env.yaml").write_text("\n".join(virtualenv) + "\n", encoding="utf-8")


def _python() -> str:
    import platform

    return platform.python_version()
