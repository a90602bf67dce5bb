"""The environment of the ingest service, read once."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from flywheel_schemas.spec_model import Duration
from flywheel_schemas.tokens import TokenKeys
from kafka_runtime.settings import KafkaSettings
from lake.settings import LakeSettings


def _usable_key(key: SecretStr) -> SecretStr:
    TokenKeys(key.get_secret_value())
    return key


def _origins(text: object) -> object:
    return tuple(part.strip() for part in text.split(",") if part.strip()) if isinstance(text, str) else text


Positive = Annotated[Duration, Field(gt=timedelta(0))]
Port = Annotated[int, Field(ge=1, le=65535)]


class IngestSettings(BaseSettings):
    """What only this service reads. Durations are written like 90d, 5s or 1ms."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True, env_ignore_empty=True)

    port: Annotated[Port, Field(alias="INGEST_PORT")] = 8001
    model_specs_dir: Annotated[Path | None, Field(alias="MODEL_SPECS_DIR")] = None
    token_key: Annotated[SecretStr, Field(alias="FEEDBACK_TOKEN_KEY"), AfterValidator(_usable_key)]
    token_max_age: Annotated[Positive, Field(alias="FEEDBACK_TOKEN_MAX_AGE")] = timedelta(days=90)
    require_token: Annotated[bool, Field(alias="REQUIRE_FEEDBACK_TOKEN")] = False
    api_keys_file: Annotated[Path | None, Field(alias="API_KEYS_FILE")] = None
    cors_origins: Annotated[tuple[str, ...], NoDecode, Field(alias="CORS_ORIGINS"), BeforeValidator(_origins)] = ()
    delivery_timeout: Annotated[Positive, Field(alias="INGEST_DELIVERY_TIMEOUT")] = timedelta(seconds=5)
    linger: Annotated[Positive, Field(alias="INGEST_LINGER")] = timedelta(microseconds=1300)
    log_level: Annotated[str, Field(alias="LOG_LEVEL")] = "INFO"
    otlp_endpoint: Annotated[str | None, Field(alias="OTEL_EXPORTER_OTLP_ENDPOINT")] = None


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that the service is told from outside."""

    ingest: IngestSettings
    kafka: KafkaSettings
    lake: LakeSettings


def load() -> Settings:
    """Raises pydantic.ValidationError for what is missing or wrong."""
    return Settings(IngestSettings(), KafkaSettings(), LakeSettings())
