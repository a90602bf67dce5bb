"""Where the registry and its artifacts are, read once from the environment."""

from typing import Annotated

from pydantic import AfterValidator, SecretStr, StringConstraints
from pydantic_settings import BaseSettings, SettingsConfigDict


def _without_slash(uri: str) -> str:
    return uri.rstrip("/")


def _artifact_root(uri: str) -> str:
    if not uri.startswith(("s3://", "file:///")):
        raise ValueError("MODEL_ARTIFACTS_URI is a folder such as s3://mlflow or file:///var/lib/flywheel/models")
    return uri


HttpUri = Annotated[str, StringConstraints(pattern=r"^https?://"), AfterValidator(_without_slash)]
ArtifactRoot = Annotated[str, AfterValidator(_artifact_root), AfterValidator(_without_slash)]


class RegistrySettings(BaseSettings):
    """MLflow's address, and the object store that holds what it registers.

    `model_artifacts_uri` is where runs and models of Flywheel keep their files: experiments are made with it, so
    artifact addresses are `s3://…` even on a server that proxies artifacts, and serving can read them without MLflow.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", protected_namespaces=())

    mlflow_tracking_uri: HttpUri = "http://127.0.0.1:5000"
    mlflow_tracking_username: str | None = None
    mlflow_tracking_password: SecretStr | None = None
    mlflow_tracking_token: SecretStr | None = None
    model_artifacts_uri: ArtifactRoot = "s3://mlflow"
    s3_endpoint_url: HttpUri | None = None
    aws_access_key_id: str | None = None
    aws_secret_access_key: SecretStr | None = None
    aws_region: str = "us-east-1"
