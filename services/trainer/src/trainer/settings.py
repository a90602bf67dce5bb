"""The trainer's settings, read once from the environment."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from kafka_runtime.settings import KafkaSettings
from lake import LakeSettings
from registry import RegistrySettings
from trainer.adapters.webhooks import secret_bytes


class TrainerSettings(BaseSettings):
    """Frozen. `threads` is part of what makes a model reproducible: LightGBM writes it into the model."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    port: Annotated[int, Field(alias="TRAINER_PORT", ge=0, le=65535)] = 8003
    specs_dir: Annotated[Path | None, Field(alias="MODEL_SPECS_DIR")] = None
    api_keys_file: Annotated[Path | None, Field(alias="API_KEYS_FILE")] = None
    otlp_endpoint: Annotated[str | None, Field(alias="OTEL_EXPORTER_OTLP_ENDPOINT")] = None
    git_commit: Annotated[str, Field(alias="FLYWHEEL_GIT_COMMIT")] = ""
    threads: Annotated[int, Field(alias="TRAINER_THREADS", ge=1, le=256)] = 2
    dask_scheduler_address: Annotated[str | None, Field(alias="DASK_SCHEDULER_ADDRESS")] = None
    recover_every_s: Annotated[float, Field(alias="TRAINER_RECOVER_EVERY_S", ge=1.0)] = 30.0
    watch_every_s: Annotated[float, Field(alias="TRAINER_WATCH_EVERY_S", ge=0.1)] = 30.0
    measure_every_s: Annotated[float, Field(alias="TRAINER_MEASURE_EVERY_S", ge=0.1)] = 30.0
    erase_every_s: Annotated[float, Field(alias="TRAINER_ERASE_EVERY_S", gt=0)] = 10.0
    webhook_urls: Annotated[tuple[str, ...], NoDecode, Field(alias="WEBHOOK_URLS")] = ()
    webhook_secret: Annotated[SecretStr | None, Field(alias="WEBHOOK_SECRET")] = None
    upkeep_every_s: Annotated[float, Field(alias="TRAINER_UPKEEP_EVERY_S", ge=1.0)] = 60.0
    log_level: Annotated[str, Field(alias="LOG_LEVEL")] = "INFO"

    @field_validator("webhook_urls", mode="before")
    @classmethod
    def _addresses(cls, given: object) -> object:
        if not isinstance(given, str):
            return given
        found = tuple(part.strip() for part in given.split(",") if part.strip())
        if wrong := [url for url in found if not url.startswith(("https://", "http://"))]:
            raise ValueError(f"{wrong[0]} is no address; WEBHOOK_URLS are http(s) addresses with commas between them")
        return found

    @model_validator(mode="after")
    def _signed(self) -> Self:
        if self.webhook_urls and self.webhook_secret is None:
            raise ValueError("WEBHOOK_URLS needs WEBHOOK_SECRET, with which receivers verify what they get")
        if self.webhook_secret is not None:
            secret_bytes(self.webhook_secret.get_secret_value())
        return self

    @field_validator("specs_dir")
    @classmethod
    def _is_a_folder(cls, folder: Path | None) -> Path | None:
        if folder is not None and not folder.is_dir():
            raise ValueError(f"{folder} is not a folder; point MODEL_SPECS_DIR at the folder of the specs that ship")
        return folder


class Settings:
    """Everything that the trainer is told, part by part."""

    def __init__(self) -> None:
        """Raises pydantic.ValidationError that names the wrong variable."""
        self.trainer = TrainerSettings()
        self.kafka = KafkaSettings()
        self.lake = LakeSettings()
        self.registry = RegistrySettings()
