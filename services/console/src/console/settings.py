"""The console's settings, read once."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


def _without_slash(url: str) -> str:
    return url.rstrip("/")


Url = Annotated[str, AfterValidator(_without_slash)]


class ConsoleSettings(BaseSettings):
    """Where the other services are, and the port to listen on."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    port: Annotated[int, Field(alias="CONSOLE_PORT", ge=0, le=65535)] = 8000
    ingest_url: Annotated[Url, Field(alias="INGEST_URL")] = "http://127.0.0.1:8001"
    inference_url: Annotated[Url, Field(alias="INFERENCE_URL")] = "http://127.0.0.1:8002"
    trainer_url: Annotated[Url, Field(alias="TRAINER_URL")] = "http://127.0.0.1:8003"
    processor_url: Annotated[Url, Field(alias="PROCESSOR_URL")] = "http://127.0.0.1:8004"
    specs_dir: Annotated[Path | None, Field(alias="MODEL_SPECS_DIR")] = None
    api_keys_file: Annotated[Path | None, Field(alias="API_KEYS_FILE")] = None
    otlp_endpoint: Annotated[str | None, Field(alias="OTEL_EXPORTER_OTLP_ENDPOINT")] = None
