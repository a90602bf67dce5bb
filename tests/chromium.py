"""The browser that tests drive: the system's Chromium. `python -m tests.chromium` installs it where it may."""

import os
import shutil
import subprocess

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
HOW = "Chromium is not installed, so the browser tests are skipped; on Debian and Ubuntu: apt install chromium"


def executable() -> str | None:
    """The browser's path: CHROMIUM if set, else the first that is installed."""
    return os.environ.get("CHROMIUM") or next((found for name in NAMES if (found := shutil.which(name))), None)


def main() -> None:
    """Install Debian's package where this user may; else say how. Never fails: the tests skip themselves."""
    if executable() is not None:
        return
    if shutil.which("apt-get") and os.geteuid() == 0:
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], env=quiet, check=False)
        subprocess.run(
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium", "fonts-dejavu-core"],
            env=quiet,
            stdout=subprocess.DEVNULL,
            check=False,
        )
    if executable() is None:
        print(HOW)  # noqa: T201 - a line for whoever ran `make test`


if __name__ == "__main__":
    main()
