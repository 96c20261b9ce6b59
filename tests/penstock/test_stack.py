"""A real Kafka and registry, started, taken away, brought back, and gone at the end."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from penstock.broker import answers
from penstock.cluster import Cluster
from penstock.errors import OperatorError
from penstock.launch import Wanted
from penstock.ports import LOOPBACK
from penstock.preparation import prepare
from penstock.stack import Stack, local_stack
from schemas.codec import schema_text
from schemas.registry import Registry, schema_ids
from schemas.topics import all_topics


@pytest.fixture(scope="module")
def own_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Give a stack that only these tests disturb."""
    with local_stack(tmp_path_factory.mktemp("own"), partitions=1) as running:
        yield running


def cluster_id(stack: Stack) -> str:
    admin = AdminClient({"bootstrap.servers": stack.bootstrap_servers})
    return str(admin.list_topics(timeout=10).cluster_id)


def test_two_stacks_never_meet(stack: Stack, own_stack: Stack) -> None:
    prepare(own_stack, ["acme"])
    Registry(own_stack.registry_url).register("only-here", schema_text("witness"))
    assert cluster_id(stack) != cluster_id(own_stack)
    assert Registry(stack.registry_url).versions("only-here") == {}


def test_killed_broker_comes_back_on_its_port_with_its_topics(own_stack: Stack) -> None:
    prepare(own_stack, ["acme"])
    before = cluster_id(own_stack)
    own_stack.kafka.kill()
    assert not answers(own_stack.connection)
    own_stack.kafka.start()
    own_stack.kafka.until_serving()
    assert cluster_id(own_stack) == before
    wanted = all_topics(["acme"], partitions=own_stack.partitions)
    assert Cluster(own_stack.connection).compare(wanted).lines == ()


def test_killed_registry_comes_back_with_its_ids(own_stack: Stack) -> None:
    prepare(own_stack, ["acme"])
    registry = Registry(own_stack.registry_url)
    before = schema_ids(registry)
    own_stack.registry.kill()
    assert not registry.answers()
    own_stack.registry.start()
    own_stack.registry.until_serving()
    assert schema_ids(registry) == before


def test_topics_are_made_on_purpose_only(own_stack: Stack) -> None:
    outcome: list[object] = []
    producer = Producer(
        {"bootstrap.servers": own_stack.bootstrap_servers, "message.timeout.ms": 2000}
    )
    producer.produce("nobody-made-this", b"", on_delivery=lambda error, _: outcome.append(error))
    producer.flush(20)
    assert outcome
    assert outcome[0] is not None


def test_second_stack_in_a_directory_is_refused(own_stack: Stack) -> None:
    with (
        pytest.raises(OperatorError, match="a stack runs in"),
        local_stack(own_stack.directory),
    ):
        pytest.fail("two stacks share their files")


def test_port_that_is_taken_is_told_and_nothing_is_left_running(tmp_path: Path) -> None:
    with socket.socket() as somebody:
        somebody.bind((LOOPBACK, 0))
        somebody.listen()
        port = somebody.getsockname()[1]
        with (
            pytest.raises(OperatorError, match=f"{LOOPBACK}:{port} is taken, Kafka cannot"),
            local_stack(tmp_path, wanted=Wanted(kafka=port)),
        ):
            pytest.fail("it listens on a port that is taken")
    assert processes_in(tmp_path) == []


def test_broker_that_dies_at_its_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "kafka").mkdir()
    (tmp_path / "kafka" / "meta.properties").write_text("version=1\nnode.id=77\ncluster.id=x\n")
    with (
        pytest.raises(OperatorError, match=r"Kafka died while it started: .*node"),
        local_stack(tmp_path),
    ):
        pytest.fail("it runs on files of another node")
    assert processes_in(tmp_path) == []


OWNER = """
import sys
from pathlib import Path
from penstock.stack import local_stack

with local_stack(Path(sys.argv[1])):
    print("serves", flush=True)
    sys.stdin.read()
"""


def test_stack_ends_with_its_owner_even_a_killed_one(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "serves\n"
        running = processes_in(tmp_path)
        assert len(running) == 2
        owner.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs(running, timeout=20)
    assert alive == []


def test_addresses_in_the_environment_are_used_and_nothing_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_BOOTSTRAP_SERVERS", "kafka.example:9092")
    monkeypatch.setenv("PENSTOCK_REGISTRY_URL", "http://registry.example")
    with local_stack(tmp_path) as given:
        assert given.bootstrap_servers == "kafka.example:9092"
        assert given.registry_url == "http://registry.example"
        assert processes_in(tmp_path) == []
        with pytest.raises(OperatorError, match="not ours to stop"):
            given.kafka.kill()


def test_one_address_alone_is_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_BOOTSTRAP_SERVERS", "kafka.example:9092")
    monkeypatch.delenv("PENSTOCK_REGISTRY_URL", raising=False)
    with pytest.raises(OperatorError, match="set both"), local_stack(tmp_path):
        pytest.fail("half a stack is no stack")


def processes_in(directory: Path) -> list[psutil.Process]:
    """Return every Java process whose command or environment names a directory."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), *process.environ().values()]
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
        if "java" in process.name() and any(str(directory) in word for word in words):
            found.append(process)
    return found
