import os
import socket

import pytest

from flywheel_local.ports import Ports, free_ports, holder, is_free


def test_a_variable_moves_its_port_and_leaves_the_others():
    ports = Ports.from_environment({"KAFKA_PORT": "19092", "HOME": "/root"})
    assert (ports.kafka_port, ports.ingest_port) == (19092, Ports().ingest_port)


@pytest.mark.parametrize("text", ["kafka", "0", "65536", "-1", "80.5", " 80"])
def test_what_is_no_port_is_refused_by_the_name_of_its_variable(text):
    with pytest.raises(ValueError, match="INGEST_PORT"):
        Ports.from_environment({"INGEST_PORT": text})


def test_the_environment_of_ports_gives_the_same_ports_back():
    ports = Ports.free()
    assert Ports.from_environment(ports.environment()) == ports


def test_no_two_defaults_collide():
    assert len(set(Ports().environment().values())) == len(Ports.variables())


def test_free_ports_differ_and_stay_clear_of_those_to_avoid_and_of_the_systems_outgoing_range():
    first = free_ports(20)
    second = free_ports(20, avoid=first)
    assert len({*first, *second}) == 40
    assert max(first + second) + 10_000 < 32_768


def test_a_port_with_a_listener_is_taken_and_its_holder_named():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not is_free(port)
        assert f"(process {os.getpid()})" in holder(port)
    assert is_free(port)


def test_no_free_port_is_the_companion_of_another():
    found = free_ports(200)
    assert not {port + 10_000 for port in found} & set(range(min(found), 20_500))
    assert max(found) < 20_500
