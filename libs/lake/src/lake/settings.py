"""Where the lake is, and how to be let in."""

from typing import Annotated, Any, Self
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from pyarrow import fs
from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


def _without_slash(uri: str) -> str:
    if not uri.startswith(("s3://", "file:///")):
        raise ValueError("LAKE_URI is s3://bucket/prefix, or file:///folder")
    return uri.rstrip("/")


class LakeSettings(BaseSettings):
    """Read once from LAKE_URI, S3_ENDPOINT_URL and AWS_*; frozen. Without an endpoint it is AWS's own S3."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    uri: Annotated[str, Field(alias="LAKE_URI"), AfterValidator(_without_slash)] = "s3://flywheel/lake"
    endpoint_url: Annotated[str | None, Field(alias="S3_ENDPOINT_URL")] = None
    access_key_id: Annotated[str | None, Field(alias="AWS_ACCESS_KEY_ID")] = None
    secret_access_key: Annotated[SecretStr | None, Field(alias="AWS_SECRET_ACCESS_KEY")] = None
    region: Annotated[str, Field(alias="AWS_REGION")] = "us-east-1"

    @model_validator(mode="after")
    def _keys_come_in_pairs(self) -> Self:
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ValueError("set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or neither")
        return self

    @property
    def is_s3(self) -> bool:
        """Whether the lake is in S3; else it is a folder."""
        return self.uri.startswith("s3://")

    @property
    def bucket(self) -> str:
        """The bucket's name; empty for a folder."""
        return urlsplit(self.uri).netloc

    @property
    def prefix(self) -> str:
        """The path below the bucket without slashes at its ends; for a folder, its path."""
        path = urlsplit(self.uri).path
        return path.strip("/") if self.is_s3 else path

    def storage_options(self) -> dict[str, str]:
        """What deltalake and Polars need to reach the lake.

        Retries are kept short: whoever calls knows better how long to wait than a client that hides an outage.
        """
        if not self.is_s3:
            return {}
        options = {
            "aws_region": self.region,
            "aws_conditional_put": "etag",
            "timeout": "30s",
            "connect_timeout": "3s",
            "max_retries": "3",
            "retry_timeout": "10s",
        }
        if self.endpoint_url:
            options["aws_endpoint_url"] = self.endpoint_url
            options["aws_allow_http"] = str(self.endpoint_url.startswith("http://")).lower()
        if self.access_key_id and self.secret_access_key:
            options["aws_access_key_id"] = self.access_key_id
            options["aws_secret_access_key"] = self.secret_access_key.get_secret_value()
        return options

    def file_system(self) -> tuple[Any, str]:
        """pyarrow's file system for the store, and the path of `uri` in it."""
        if not self.is_s3:
            return fs.LocalFileSystem(), self.prefix
        secret = self.secret_access_key
        files = fs.S3FileSystem(
            access_key=self.access_key_id,
            secret_key=secret.get_secret_value() if secret else None,
            endpoint_override=self.endpoint_url,
            region=self.region,
            connect_timeout=3,
            request_timeout=30,
        )
        return files, f"{self.bucket}/{self.prefix}".rstrip("/")

    def boto3_client(self) -> Any:
        """A new S3 client with short time-outs; safe to share among threads."""
        secret = self.secret_access_key
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=secret.get_secret_value() if secret else None,
            region_name=self.region,
            config=Config(
                connect_timeout=3,
                read_timeout=30,
                retries={"max_attempts": 3, "mode": "standard"},
                s3={"addressing_style": "path"},
                max_pool_connections=16,
            ),
        )
