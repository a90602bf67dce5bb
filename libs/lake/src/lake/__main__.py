"""`python -m lake BUCKET…` makes the lake's bucket, and the buckets named, where they are missing."""

import sys

from botocore.exceptions import BotoCoreError, ClientError

from lake.settings import LakeSettings


def main(others: list[str]) -> int:
    """Safe to run again; 1 when the store does not answer."""
    settings = LakeSettings()
    client = settings.boto3_client()
    try:
        present = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
        for name in {settings.bucket, *others} - present:
            client.create_bucket(Bucket=name)
    except (BotoCoreError, ClientError) as error:
        print(f"error: {settings.endpoint_url or 'S3'} does not answer: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
