"""What the processor is told by its environment."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from http_api import keys
from kafka_runtime.settings import KafkaSettings
from lake import LakeSettings

APP_ID = "flywheel-stream-processor"
READER_GROUP = "flywheel-stream-processor-reader"


class Settings(BaseSettings):
    """Read once at start; frozen. A variable of each field is its name in capitals, or the alias."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    lake: LakeSettings = Field(default_factory=LakeSettings)
    port: Annotated[int, Field(ge=1, le=65535, alias="PROCESSOR_PORT")] = 8004
    model_specs_dir: Annotated[Path | None, Field(alias="MODEL_SPECS_DIR")] = None
    feedback_token_key: Annotated[SecretStr | None, Field(alias="FEEDBACK_TOKEN_KEY")] = None
    api_keys_file: Annotated[Path | None, Field(alias="API_KEYS_FILE")] = None
    otlp_endpoint: Annotated[str | None, Field(alias="OTEL_EXPORTER_OTLP_ENDPOINT")] = None
    log_level: Annotated[str, Field(alias="LOG_LEVEL")] = "INFO"
    app_id: Annotated[str, Field(alias="PROCESSOR_APP_ID")] = APP_ID
    reader_group: Annotated[str, Field(alias="PROCESSOR_READER_GROUP")] = READER_GROUP
    data_dir: Annotated[Path | None, Field(alias="PROCESSOR_DATA_DIR")] = None
    flush_rows: Annotated[int, Field(ge=1, alias="PROCESSOR_FLUSH_ROWS")] = 50_000
    flush_bytes: Annotated[int, Field(ge=1, alias="PROCESSOR_FLUSH_BYTES")] = 64 * 1024 * 1024
    flush_age_s: Annotated[float, Field(gt=0, le=60, alias="PROCESSOR_FLUSH_AGE_S")] = 0.75
    give_up_s: Annotated[float, Field(gt=0, alias="PROCESSOR_GIVE_UP_S")] = 600.0
    session_timeout_s: Annotated[float, Field(ge=6, alias="PROCESSOR_SESSION_TIMEOUT_S")] = 10.0
    stuck_after_s: Annotated[float, Field(gt=0, alias="PROCESSOR_STUCK_AFTER_S")] = 120.0
    threshold_every_s: Annotated[float, Field(gt=0, alias="PROCESSOR_THRESHOLD_EVERY_S")] = 5.0

    @property
    def host(self) -> str:
        """Every interface with API keys, loopback without."""
        return keys.bind_host(self.api_keys_file)
