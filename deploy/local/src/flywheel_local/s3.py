"""SeaweedFS (`weed mini`) as the S3 of one machine, on loopback, with one key pair."""

import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flywheel_local.errors import InstallFailed


@dataclass(frozen=True, slots=True)
class S3:
    """`inner_ports(n)` gives ports for SeaweedFS's parts among themselves; a part takes port + 10000 too."""

    home: Path
    port: int
    inner_ports: Callable[[int], list[int]]
    access_key: str
    secret_key: str
    buckets: Sequence[str]
    patience_s: float = 15

    @property
    def name(self) -> str:
        """Name of the process."""
        return "s3"

    @property
    def ports(self) -> Mapping[str, int]:
        """The port that clients use."""
        return {"S3_PORT": self.port}

    @property
    def endpoint(self) -> str:
        """Address for clients."""
        return f"http://127.0.0.1:{self.port}"

    def prepare(self) -> None:
        """Writes who may use it."""
        self._data.mkdir(parents=True, exist_ok=True)
        # It would remember the flags of its last start, and prefer them where none is given.
        (self._data / "mini.options").unlink(missing_ok=True)
        credentials = [{"accessKey": self.access_key, "secretKey": self.secret_key}]
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        identity = {"name": "flywheel", "credentials": credentials, "actions": actions}
        self._access.touch(mode=0o600)
        self._access.write_text(json.dumps({"identities": [identity]}))

    def command(self) -> list[str]:
        """The command line: everything that this stack does not use is off."""
        master, volume, filer, admin, s3_grpc = self.inner_ports(5)
        return [
            _binary(),
            "mini",
            f"-dir={self._data}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            f"-s3.port={self.port}",
            f"-s3.port.grpc={s3_grpc}",
            f"-s3.config={self._access}",
            f"-master.port={master}",
            f"-volume.port={volume}",
            f"-filer.port={filer}",
            f"-admin.port={admin}",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-s3.iam=false",
            "-webdav=false",
            "-admin.ui=false",
            "-master.telemetry=false",
        ]

    def environment(self) -> Mapping[str, str]:
        """Nothing of its own."""
        return {}

    def problem(self) -> str | None:
        """Makes the buckets and stores a probe in the first: an S3 that lists but cannot store is not ready."""
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError

        config = Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=5)
        client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
            config=config,
        )
        try:
            present = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
            for bucket in self.buckets:
                if bucket not in present:
                    client.create_bucket(Bucket=bucket)
            client.put_object(Bucket=self.buckets[0], Key=".flywheel-probe", Body=b"ready")
            client.delete_object(Bucket=self.buckets[0], Key=".flywheel-probe")
        except (BotoCoreError, ClientError) as exc:
            return f"{self.endpoint} does not store yet ({exc})"
        return None

    @property
    def _data(self) -> Path:
        return self.home / "s3" / "data"

    @property
    def _access(self) -> Path:
        return self.home / "s3" / "access.json"


def _binary() -> str:
    beside_python = Path(sys.executable).with_name("weed")
    found = str(beside_python) if beside_python.exists() else shutil.which("weed")
    if found is None:
        raise InstallFailed("SeaweedFS (`weed`) is not installed: `make setup` installs it.")
    return found
