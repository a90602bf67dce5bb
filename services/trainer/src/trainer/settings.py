"""The trainer's settings, read once from the environment."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from kafka_runtime.settings import KafkaSettings
from lake import LakeSettings
from registry import RegistrySettings


class TrainerSettings(BaseSettings):
    """Frozen. `threads` is part of what makes a model reproducible: LightGBM writes it into the model."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    port: Annotated[int, Field(alias="TRAINER_PORT", ge=0, le=65535)] = 8003
    specs_dir: Annotated[Path | None, Field(alias="MODEL_SPECS_DIR")] = None
    api_keys_file: Annotated[Path | None, Field(alias="API_KEYS_FILE")] = None
    otlp_endpoint: Annotated[str | None, Field(alias="OTEL_EXPORTER_OTLP_ENDPOINT")] = None
    git_commit: Annotated[str, Field(alias="FLYWHEEL_GIT_COMMIT")] = ""
    threads: Annotated[int, Field(alias="TRAINER_THREADS", ge=1, le=256)] = 2
    recover_every_s: Annotated[float, Field(alias="TRAINER_RECOVER_EVERY_S", ge=1.0)] = 30.0
    watch_every_s: Annotated[float, Field(alias="TRAINER_WATCH_EVERY_S", ge=0.1)] = 30.0
    erase_every_s: Annotated[float, Field(alias="TRAINER_ERASE_EVERY_S", gt=0)] = 10.0
    log_level: Annotated[str, Field(alias="LOG_LEVEL")] = "INFO"

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
