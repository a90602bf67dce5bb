"""The console's settings, read once."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class ConsoleSettings(BaseSettings):
    """Where the other services are, and the port to listen on."""

    model_config = SettingsConfigDict(frozen=True)

    port: int = Field(8000, validation_alias="CONSOLE_PORT", ge=0, le=65535)
    ingest_url: str = Field("http://127.0.0.1:8001", validation_alias="INGEST_URL")
    inference_url: str = Field("http://127.0.0.1:8002", validation_alias="INFERENCE_URL")
    trainer_url: str = Field("http://127.0.0.1:8003", validation_alias="TRAINER_URL")
    processor_url: str = Field("http://127.0.0.1:8004", validation_alias="PROCESSOR_URL")
    api_key: SecretStr | None = Field(None, validation_alias="CONSOLE_API_KEY")
    api_keys_file: Path | None = Field(None, validation_alias="API_KEYS_FILE")
