"""Programs that some tests drive, from the system. `python -m tests.debian` installs what is missing, where it may."""

import os
import shutil
import subprocess
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Program:
    """`names` are its executables, the first that is found being the one; `packages` are Debian's."""

    title: str
    names: tuple[str, ...]
    packages: tuple[str, ...]
    variable: str | None = None

    def executable(self) -> str | None:
        """Its path: what the environment variable says, else the first that is installed."""
        said = os.environ.get(self.variable) if self.variable else None
        return said or next((found for name in self.names if (found := shutil.which(name))), None)

    @property
    def how(self) -> str:
        """What to tell whoever lacks it."""
        return (
            f"{self.title} is not installed, so the tests that drive it are skipped; on Debian and Ubuntu: "
            f"apt install {' '.join(self.packages)}"
        )


CHROMIUM = Program(
    "Chromium",
    ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome"),
    ("chromium", "fonts-dejavu-core"),
    "CHROMIUM",
)
PROMETHEUS = Program("Prometheus", ("prometheus",), ("prometheus",))
PROMTOOL = Program("promtool", ("promtool",), ("prometheus",))


def main() -> None:
    """Install Debian's packages where this user may; else say how. Never fails: the tests skip themselves."""
    missing = [each for each in (CHROMIUM, PROMETHEUS) if each.executable() is None]
    if missing and shutil.which("apt-get") and os.geteuid() == 0:
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], env=quiet, check=False)
        for each in missing:
            install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *each.packages]
            subprocess.run(install, env=quiet, stdout=subprocess.DEVNULL, check=False)
    for each in missing:
        if each.executable() is None:
            print(each.how)  # noqa: T201 - a line for whoever ran `make test`


if __name__ == "__main__":
    main()
