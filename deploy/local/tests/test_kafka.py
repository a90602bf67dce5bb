from pathlib import Path

from flywheel_local.kafka import Kafka


def command(jars: Path) -> list[str]:
    return Kafka(jars / "home", 9092, lambda count: list(range(count)), jars).command()


def test_a_broker_starts_with_the_classes_that_java_remembers_where_there_are_some(tmp_path):
    assert not any("SharedArchiveFile" in word for word in command(tmp_path))
    (tmp_path / "classes.jsa").touch()
    assert f"-XX:SharedArchiveFile={tmp_path}/classes.jsa" in command(tmp_path)
