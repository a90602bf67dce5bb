"""Where Kafka is, and how to be let in: environment variables `KAFKA_*`."""

import ssl
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from flywheel_schemas.topics import DEFAULT_CONTROL_PARTITIONS, DEFAULT_PARTITIONS


class KafkaSettings(BaseSettings):
    """Read once from `KAFKA_*`; frozen. `partitions` is the count of every high-volume topic, for ever."""

    model_config = SettingsConfigDict(env_prefix="KAFKA_", frozen=True, extra="ignore")

    bootstrap_servers: Annotated[str, Field(min_length=1)] = "127.0.0.1:9092"
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_ca_location: Path | None = None
    partitions: Annotated[int, Field(ge=1, le=1000)] = DEFAULT_PARTITIONS
    partitions_control: Annotated[int, Field(ge=1, le=1000)] = DEFAULT_CONTROL_PARTITIONS

    @model_validator(mode="after")
    def _sasl_is_complete(self) -> Self:
        if not self.security_protocol.startswith("SASL_"):
            return self
        named = {
            "KAFKA_SASL_MECHANISM": self.sasl_mechanism,
            "KAFKA_SASL_USERNAME": self.sasl_username,
            "KAFKA_SASL_PASSWORD": self.sasl_password,
        }
        if missing := [name for name, value in named.items() if value is None]:
            raise ValueError(f"KAFKA_SECURITY_PROTOCOL is {self.security_protocol}: set {', '.join(missing)} too")
        return self

    def librdkafka(self) -> dict[str, Any]:
        """Connection part of a confluent-kafka configuration."""
        config: dict[str, Any] = {
            "bootstrap.servers": self.bootstrap_servers,
            "security.protocol": self.security_protocol,
            # An outage should be felt for seconds after it ends, not for librdkafka's ten.
            "reconnect.backoff.ms": 100,
            "reconnect.backoff.max.ms": 2000,
            # Each client logs its own outage once; librdkafka's line per attempt would drown it.
            "log_level": 2,
        }
        if self.sasl_mechanism and self.sasl_password:
            config["sasl.mechanism"] = self.sasl_mechanism
            config["sasl.username"] = self.sasl_username
            config["sasl.password"] = self.sasl_password.get_secret_value()
        if self.ssl_ca_location:
            config["ssl.ca.location"] = str(self.ssl_ca_location)
        return config

    def aiokafka(self) -> dict[str, Any]:
        """Connection part of the keyword arguments of an aiokafka client."""
        config: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap_servers,
            "security_protocol": self.security_protocol,
        }
        if self.sasl_mechanism and self.sasl_password:
            config["sasl_mechanism"] = self.sasl_mechanism
            config["sasl_plain_username"] = self.sasl_username
            config["sasl_plain_password"] = self.sasl_password.get_secret_value()
        if self.security_protocol.endswith("SSL"):
            cafile = str(self.ssl_ca_location) if self.ssl_ca_location else None
            config["ssl_context"] = ssl.create_default_context(cafile=cafile)
        return config
