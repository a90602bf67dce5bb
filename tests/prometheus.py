"""The Prometheus that tests use: the system's. `python -m tests.prometheus` installs it where it may."""

import os
import shutil
import subprocess

HOW = "Prometheus is not installed, so what asks it is skipped; on Debian and Ubuntu: apt install prometheus"


def server() -> str | None:
    """The path of `prometheus`, or None."""
    return shutil.which("prometheus")


def promtool() -> str | None:
    """The path of `promtool`, which comes with it, or None."""
    return shutil.which("promtool")


def main() -> None:
    """Install Debian's package where this user may; else say how. Never fails: the tests skip themselves."""
    if server() is None and shutil.which("apt-get") and os.geteuid() == 0:
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], env=quiet, check=False)
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "prometheus"]
        subprocess.run(install, env=quiet, stdout=subprocess.DEVNULL, check=False)
    if server() is None:
        print(HOW)  # noqa: T201 - a line for whoever ran `make test`


if __name__ == "__main__":
    main()
