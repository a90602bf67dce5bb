"""What rendering and validating need: kustomize and the CRDs, at pinned versions, kept in `.flywheel/tools`."""

import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
K8S = REPOSITORY / "deploy" / "k8s"
SOURCES = K8S / "tools"
TOOLS = REPOSITORY / ".flywheel" / "tools"
# From this one on Go fetches the version that a go.mod asks for.
_GO_THAT_FETCHES_ITSELF = (1, 21)


class ToolError(Exception):
    """What a tool was to make is not there."""


class ToolMissing(ToolError):
    """It is not installed. The text says what to install."""


class ToolFailed(ToolError):
    """It is here, and did not do it, or did something else than is pinned."""


@dataclass(frozen=True, slots=True)
class Program:
    """A Go program, pinned by the go.mod and go.sum in `SOURCES/<folder>`."""

    folder: str
    package: str
    link: str = ""

    @property
    def name(self) -> str:
        """The file's name."""
        parts = [part for part in self.package.split("/") if not (part.startswith("v") and part[1:].isdecimal())]
        return parts[-1]

    def path(self) -> Path:
        """The program, built if its pins have changed. Raises ToolError."""
        built = TOOLS / self.folder / self.name
        pins = (SOURCES / self.folder / "go.sum").read_text() + self.link
        of_what = built.with_name(f"{self.name}.pins")
        if not (built.exists() and of_what.exists() and of_what.read_text() == pins):
            flags = ["-trimpath", "-mod=readonly", f"-ldflags=-s -w {self.link}"]
            run_go(["build", *flags, "-o", str(built), self.package], SOURCES / self.folder)
            of_what.write_text(pins)
        return built


KUSTOMIZE = Program("kustomize", "sigs.k8s.io/kustomize/kustomize/v5")


@cache
def _go_version() -> tuple[int, ...]:
    """Of the `go` on the path; () without one."""
    if shutil.which("go") is None:
        return ()
    said = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout
    return tuple(int(number) for number in re.findall(r"\d+", said)[:2])


def run_go(arguments: list[str], folder: Path) -> str:
    """What `go` prints. Raises ToolMissing where there is no Go, ToolFailed where it cannot do that."""
    if _go_version() < _GO_THAT_FETCHES_ITSELF:
        raise ToolMissing(
            "Go is not installed, or too old; install Go 1.26 or later: it builds kustomize and fetches the CRDs"
        )
    try:
        done = subprocess.run(["go", *arguments], cwd=folder, capture_output=True, text=True, check=True, timeout=540)
    except subprocess.CalledProcessError as error:
        raise ToolFailed(f"`go {' '.join(arguments)}` failed: {(error.stderr or error.stdout)[-600:]}") from error
    return done.stdout


def go_crds() -> list[Path]:
    """The files of every CRD that comes as a Go module. Raises ToolError, also for other contents than pinned."""
    pinned = json.loads((SOURCES / "crds.json").read_text())
    wanted = [f"{each['module']}@{each['version']}" for each in pinned]
    with tempfile.TemporaryDirectory() as nowhere:
        answer = run_go(["mod", "download", "-json", *wanted], Path(nowhere))
    found = {each["Path"]: each for each in _documents(answer)}
    files: list[Path] = []
    for each in pinned:
        module = found[each["module"]]
        if module["Sum"] != each["sum"]:
            raise ToolFailed(f"{each['module']} is {module['Sum']}, not as pinned in deploy/k8s/tools/crds.json")
        files += [file for pattern in each["files"] for file in sorted(Path(module["Dir"]).glob(pattern))]
    return files


def module_folder(module: str) -> Path:
    """Where Go keeps the sources of a module that a Program is built from."""
    folder = {"github.com/argoproj/argo-rollouts": "rollouts", "sigs.k8s.io/kwok": "kwok"}[module]
    return Path(run_go(["list", "-mod=readonly", "-m", "-f", "{{.Dir}}", module], SOURCES / folder).strip())


def strimzi_crds(make: bool) -> list[Path]:
    """Strimzi's CRDs, made by Maven from the Java classes of its API; none where they are not made and not to be."""
    folder = TOOLS / "strimzi"
    pom = SOURCES / "strimzi" / "pom.xml"
    kept = folder / "pom.xml"
    if not (kept.exists() and kept.read_bytes() == pom.read_bytes()):
        if not make:
            return []
        _make_strimzi(folder, pom)
    return sorted((folder / "target/classes/META-INF/fabric8").glob("kafka[tu][os]*.kafka.strimzi.io-v1.yml"))


def _make_strimzi(folder: Path, pom: Path) -> None:
    if shutil.which("mvn") is None:
        raise ToolMissing("Maven is not installed; install Maven and Java 17: they make the CRDs of Strimzi")
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "target" / "classes").mkdir(parents=True)
    draft = folder / "draft.xml"
    shutil.copy(pom, draft)
    goal = "io.fabric8:crd-generator-maven-plugin:generate"
    done = subprocess.run(["mvn", "-q", "-B", "-f", str(draft), goal], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ToolFailed(f"the CRDs of Strimzi cannot be made: {done.stdout[-600:]}")
    _loosen(folder / "target/classes/META-INF/fabric8")
    draft.rename(folder / "pom.xml")


def _loosen(folder: Path) -> None:
    """Open what the generator cannot read off the Java classes: free values, and one of several kinds of object."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    for kind, part in (("kafkatopics", "config"), ("kafkausers", "authorization")):
        file = folder / f"{kind}.kafka.strimzi.io-v1.yml"
        crd = yaml.safe_load(file.read_text())
        for version in crd["spec"]["versions"]:
            version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"][part] = anything
        file.write_text(yaml.safe_dump(crd))


def _documents(text: str) -> list[dict[str, str]]:
    """The JSON objects that stand one after the other."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(text.rstrip()):
        one, at = decoder.raw_decode(text, at)
        found.append(one)
        at += len(text[at:]) - len(text[at:].lstrip())
    return found
