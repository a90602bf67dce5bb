"""Inference's settings, read once from the environment."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from flywheel_schemas.tokens import TokenKeys
from inference.domain.pins import parse_pins
from kafka_runtime.settings import KafkaSettings
from lake.settings import LakeSettings
from registry import RegistrySettings


def _pins(text: object) -> object:
    return parse_pins(text) if isinstance(text, str) else text


class InferenceSettings(BaseSettings):
    """Its own variables. FEEDBACK_TOKEN_KEY must be the same as ingest's."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True, env_ignore_empty=True)

    port: Annotated[int, Field(alias="INFERENCE_PORT", ge=0, le=65535)] = 8002
    grpc_port: Annotated[int, Field(alias="INFERENCE_GRPC_PORT", ge=0, le=65535)] = 8081
    grpc_connection_age_s: Annotated[float, Field(alias="INFERENCE_GRPC_CONNECTION_AGE_S", ge=0.1)] = 8.0
    feedback_token_key: Annotated[SecretStr, Field(alias="FEEDBACK_TOKEN_KEY")]
    api_keys_file: Annotated[Path | None, Field(alias="API_KEYS_FILE")] = None
    specs_dir: Annotated[Path | None, Field(alias="MODEL_SPECS_DIR")] = None
    log_level: Annotated[str, Field(alias="LOG_LEVEL")] = "INFO"
    otlp_endpoint: Annotated[str | None, Field(alias="OTEL_EXPORTER_OTLP_ENDPOINT")] = None
    cache_dir: Annotated[Path, Field(alias="INFERENCE_CACHE_DIR")] = Path(".flywheel/inference/models")
    spool_dir: Annotated[Path, Field(alias="INFERENCE_SPOOL_DIR")] = Path(".flywheel/inference/spool")
    spool_max_bytes: Annotated[int, Field(alias="INFERENCE_SPOOL_MAX_BYTES", ge=1024)] = 256 * 1024 * 1024
    queue_rows: Annotated[int, Field(alias="INFERENCE_QUEUE_ROWS", ge=10_000)] = 100_000
    max_concurrent: Annotated[int, Field(alias="INFERENCE_MAX_CONCURRENT", ge=1)] = 512
    max_pending_bytes: Annotated[int, Field(alias="INFERENCE_MAX_PENDING_BYTES", ge=1024)] = 4 * 1024 * 1024
    memory_bytes: Annotated[int, Field(alias="INFERENCE_MEMORY_BYTES", ge=0)] = 512 * 1024 * 1024
    threads: Annotated[int, Field(alias="INFERENCE_THREADS", ge=1, le=64)] = 2
    shadow_rows_per_s: Annotated[int, Field(alias="INFERENCE_SHADOW_ROWS_PER_S", ge=10)] = 500
    model_pin: Annotated[dict[str, str], NoDecode, Field(alias="MODEL_PIN"), BeforeValidator(_pins)] = {}
    registry_poll_s: Annotated[float, Field(alias="INFERENCE_REGISTRY_POLL_S", gt=0.0)] = 30.0

    @model_validator(mode="after")
    def _key_is_long_enough(self) -> Self:
        TokenKeys(self.feedback_token_key.get_secret_value())
        return self


class Settings:
    """Everything that inference reads from the environment. Raises pydantic.ValidationError."""

    def __init__(self) -> None:
        self.own = InferenceSettings()
        self.kafka = KafkaSettings()
        self.lake = LakeSettings()
        self.registry = RegistrySettings()
