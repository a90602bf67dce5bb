"""Apache Kafka 4 in KRaft mode, one process, its data on disk; its jars come from Maven Central once."""

import fcntl
import re
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from flywheel_local.errors import InstallFailed
from flywheel_local.ports import free_ports
from flywheel_local.server import repository

_POM = Path(__file__).resolve().parents[2] / "kafka" / "pom.xml"
_LOGGING = _POM.with_name("log4j2.properties")
_JAVA_NEEDED = 17
_TRIAL_S = 60.0


def default_jars() -> Path:
    """Where the jars lie, shared by all stacks of a checkout."""
    return repository() / ".flywheel" / "kafka" / "jars"


@dataclass(frozen=True, slots=True)
class Kafka:
    """A single broker and controller. `inner_ports(n)` gives ports that it uses for itself alone."""

    home: Path
    port: int
    inner_ports: Callable[[int], list[int]]
    jars: Path
    patience_s: float = 20

    @property
    def name(self) -> str:
        """Name of the process."""
        return "kafka"

    @property
    def ports(self) -> Mapping[str, int]:
        """The port that clients use."""
        return {"KAFKA_PORT": self.port}

    def prepare(self) -> None:
        """Writes server.properties and formats the data folder the first time."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._properties.write_text(self._configuration())
        if (self._data / "meta.properties").exists():
            return
        cluster_id = uuid.uuid4().hex[:22]
        command = [*self._java, "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(self._properties)]
        outcome = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if outcome.returncode != 0:
            raise InstallFailed(f"Kafka's storage in {self._data} cannot be formatted:\n{outcome.stderr[-2000:]}")

    def command(self) -> list[str]:
        """The broker's command line."""
        return [*self._java, "kafka.Kafka", str(self._properties)]

    def environment(self) -> Mapping[str, str]:
        """Nothing of its own."""
        return {}

    def problem(self) -> str | None:
        """Asks for the cluster's metadata, as any client does."""
        return metadata_problem(self.port)

    @property
    def _folder(self) -> Path:
        return self.home / "kafka"

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    @property
    def _properties(self) -> Path:
        return self._folder / "server.properties"

    @property
    def _java(self) -> list[str]:
        # One machine's load does not repay Java's second compiler, which doubles the time and the work of a start.
        machine = ["-Xmx512m", "-Xms256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        archive = _archive(self.jars)
        if archive.exists():  # one of another Java, or of other jars, is not used
            machine.append(f"-XX:SharedArchiveFile={archive}")
        return ["java", *machine, f"-Dlog4j2.configurationFile={_LOGGING}", "-cp", f"{self.jars}/*"]

    def _configuration(self) -> str:
        (controller_port,) = self.inner_ports(1)
        values = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": str(self._data),
            "auto.create.topics.enable": "false",
            "offsets.topic.num.partitions": "4",
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            # A killed broker may come back only when its former self is given up.
            "broker.session.timeout.ms": "6000",
            "broker.heartbeat.interval.ms": "1000",
        }
        return "".join(f"{name}={value}\n" for name, value in values.items())


def metadata_problem(port: int) -> str | None:
    """None when a broker on 127.0.0.1 answers a metadata request."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    client = AdminClient({"bootstrap.servers": f"127.0.0.1:{port}", "log_level": 0})
    try:
        brokers = client.list_topics(timeout=2).brokers
    except KafkaException as exc:
        return f"no metadata from 127.0.0.1:{port} ({exc.args[0].str()})"
    return None if brokers else "no broker has registered yet"


def why_not(jars: Path) -> str | None:
    """Why Apache Kafka cannot run here; None when it can. Fetches nothing."""
    java = java_version()
    if java is None:
        return f"there is no Java (Kafka needs Java {_JAVA_NEEDED} or newer)"
    if java < _JAVA_NEEDED:
        return f"this is Java {java} (Kafka needs Java {_JAVA_NEEDED} or newer)"
    if not has_jars(jars) and shutil.which("mvn") is None:
        return "there is no Maven to fetch Kafka with"
    return None


def obtain(jars: Path, say: Callable[[str], None]) -> str | None:
    """Fetches Apache Kafka unless it is there. Returns why it cannot run here; None when it can."""
    reason = why_not(jars)
    if reason is None and not has_jars(jars):
        say("kafka: fetching Apache Kafka from Maven Central (once)")
        try:
            fetch_jars(jars, say)
        except InstallFailed as exc:
            reason = str(exc)
    return reason


def java_version() -> int | None:
    """Major version of the `java` on the path; None without one."""
    if shutil.which("java") is None:
        return None
    outcome = subprocess.run(["java", "-version"], capture_output=True, text=True, timeout=30, check=False)
    found = re.search(r'version "(?:1\.)?(\d+)', outcome.stderr)
    return int(found.group(1)) if found else None


def has_jars(jars: Path) -> bool:
    """Whether the jars that pom.xml names now have been fetched."""
    stamp = jars / "pom.xml"
    return stamp.exists() and stamp.read_bytes() == _POM.read_bytes()


def fetch_jars(jars: Path, say: Callable[[str], None]) -> None:
    """Downloads the jars unless they are there, whole or not at all. Raises InstallFailed, with Maven's words."""
    jars.parent.mkdir(parents=True, exist_ok=True)
    with (jars.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if has_jars(jars):
            return
        with tempfile.TemporaryDirectory(dir=jars.parent) as draft:
            _run_maven(Path(draft))
            shutil.copy(_POM, draft)
            shutil.rmtree(jars, ignore_errors=True)
            shutil.copytree(draft, jars)
        _archive_classes(jars, say)


def _archive(jars: Path) -> Path:
    return jars / "classes.jsa"


def _archive_classes(jars: Path, say: Callable[[str], None]) -> None:
    """Has Java remember the classes of a broker that has run (class data sharing), so that a start need not load them.

    A start then takes 2.4 s of processor time instead of 3.6. Without it all works as well.
    """
    say("kafka: trying a broker, whose classes Java remembers (once)")
    with tempfile.TemporaryDirectory(dir=jars.parent) as home:
        [port] = free_ports(1)
        broker = Kafka(Path(home), port, lambda count: free_ports(count, [port]), jars)
        try:
            broker.prepare()
        except InstallFailed as exc:
            say(f"kafka: it could not be tried: {exc}")
            return
        java, *arguments = broker.command()
        draft = Path(home) / "classes.jsa"
        _run_for_a_while([java, f"-XX:ArchiveClassesAtExit={draft}", *arguments], port)
        # Java ends where it finds half an archive, so this one is tried, and comes whole or not at all.
        tried = [java, "-Xshare:on", f"-XX:SharedArchiveFile={draft}", *arguments[:-2], "kafka.tools.StorageTool", "-h"]
        if draft.exists() and subprocess.run(tried, capture_output=True, timeout=_TRIAL_S, check=False).returncode == 0:
            draft.replace(_archive(jars))


def _run_for_a_while(command: list[str], port: int) -> None:
    """A broker until it answers, and until it has ended."""
    ends_at = time.monotonic() + _TRIAL_S
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while time.monotonic() < ends_at and process.poll() is None and metadata_problem(port):
            time.sleep(0.1)
        process.terminate()
        try:
            process.wait(_TRIAL_S)
        except subprocess.TimeoutExpired:
            process.kill()


def _run_maven(folder: Path) -> None:
    command = ["mvn", "-q", "-B", "-f", str(_POM), "dependency:copy-dependencies", f"-DoutputDirectory={folder}"]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    if outcome.returncode != 0:
        said = (outcome.stdout + outcome.stderr)[-2000:]
        raise InstallFailed(f"Maven could not fetch Kafka. Is Maven Central, or your mirror of it, reachable?\n{said}")
