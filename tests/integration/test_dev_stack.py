"""The development stack does what its commands promise, on real servers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest
from aiokafka import AIOKafkaProducer
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError

from cluster.dev.errors import DevStackError
from cluster.dev.guard import destroy_with_this_process
from cluster.dev.process import ProcessId, processes_where, start_token
from cluster.dev.stack import DevStack
from cluster.dev.watch import MAX_RESTARTS, PartDied, PartRestarted, watch

RESTART_TIMEOUT_S = 60.0


@pytest.fixture
def stack() -> Iterator[DevStack]:
    """A stack that only this test uses; nothing in it is running yet."""
    with tempfile.TemporaryDirectory(prefix="library-stack-") as directory:
        os.chmod(directory, 0o755)
        stack = DevStack(Path(directory) / "dev")
        guard = destroy_with_this_process(stack.directory)
        try:
            yield stack
        finally:
            stack.destroy()
            guard.communicate(timeout=RESTART_TIMEOUT_S)


def processes_of(stack: DevStack) -> list[str]:
    """Command lines of living processes that mention the stack's directory or work in it, or in its Ray directory."""
    places = [str(stack.directory), str(stack._site.state.get("ray").get("temporary", stack.directory))]
    found = []
    for process in psutil.process_iter():
        try:
            text = " ".join([process.cwd(), *process.cmdline()])
        except psutil.Error:
            continue
        if "cluster.dev.guard" not in text and any(place in text for place in places):
            found.append(text)
    return found


def sessions(pids: list[int]) -> list[int]:
    return [process.pid for process in processes_where(lambda pid: os.getsid(pid) in pids)]


def test_everything_comes_up_side_by_side_and_nothing_is_left_by_down(stack: DevStack) -> None:
    stack.up()
    assert {part.state for part in stack.status()} == {"running"}
    assert set(stack.environment()) == {
        "POSTGRES_DSN",
        "KAFKA_BROKERS",
        "REDIS_ADDR",
        "REDIS_PASSWORD",
        "CATALOG_SERVICE_GRPC_ADDR",
        "DOWNLOAD_SERVICE_GRPC_ADDR",
        "ACCOUNT_SERVICE_GRPC_ADDR",
        "RAY_ADDRESS",
        "LIBRARY_GRPC_CERTIFICATE_FILE",
        "LIBRARY_GRPC_KEY_FILE",
        "LIBRARY_GRPC_CLIENT_CA_FILE",
        "LIBRARY_GRPC_READERS",
        "LIBRARY_GRPC_GAME_SERVERS",
    }
    pids = [part.pid for part in stack.parts if part.pid is not None]
    assert len(sessions(pids)) > len(pids)
    temporary = Path(stack._site.state.get("ray")["temporary"])
    assert temporary.exists()

    again = DevStack(stack.directory)
    again.up()
    assert [part.pid for part in again.parts] == pids

    again.down()
    assert {part.state for part in stack.status()} == {"stopped"}
    assert sessions(pids) == []
    assert processes_of(stack) == []
    assert not temporary.exists()


async def test_postgres_survives_a_killed_postmaster_with_its_data_and_its_port(stack: DevStack) -> None:
    stack.up(["postgres"])
    dsn = stack.postgres.dsn()
    connection = await asyncpg.connect(dsn)
    assert await connection.fetchval("show fsync") == "on"
    await connection.execute("create table kept (n int)")
    await connection.execute("insert into kept values (42)")

    stack.postgres.kill()
    assert stack.postgres.died
    connection.terminate()
    stack.up(["postgres"])

    assert stack.postgres.dsn() == dsn
    connection = await asyncpg.connect(dsn)
    assert await connection.fetchval("select n from kept") == 42
    await connection.close()


def test_postgres_starts_although_its_killed_postmaster_is_still_a_zombie(stack: DevStack) -> None:
    """Its parent may be an init process that reaps late, or never."""
    stack.up(["postgres"])
    killed = stack.postgres.pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    _wait_for(lambda: psutil.Process(killed).status() == psutil.STATUS_ZOMBIE)
    DevStack(stack.directory).up(["postgres"])  # another instance, which is not asked to reap it
    assert psutil.Process(killed).status() == psutil.STATUS_ZOMBIE
    assert stack.postgres.execute("select 1") == "1"


async def test_valkey_comes_back_empty_under_its_address_and_password(stack: DevStack) -> None:
    """Nothing in the cache may be needed (R-DB-2)."""
    stack.up(["valkey"])
    variables = stack.environment()
    async with redis_client(variables) as redis:
        await redis.set("kept", "no")
    stack.valkey.kill()
    assert stack.valkey.died
    stack.up(["valkey"])
    assert stack.environment() == variables
    async with redis_client(variables) as redis:
        assert await redis.get("kept") is None
    host, port = variables["REDIS_ADDR"].split(":")
    async with Redis(host=host, port=int(port)) as stranger:
        with pytest.raises(AuthenticationError):
            await stranger.ping()


def redis_client(variables: dict[str, str]) -> Redis:
    host, port = variables["REDIS_ADDR"].split(":")
    return Redis(host=host, port=int(port), password=variables["REDIS_PASSWORD"])


async def test_kafka_survives_a_kill_with_its_messages(stack: DevStack) -> None:
    stack.up(["kafka"])
    brokers = stack.environment()["KAFKA_BROKERS"]
    assert await _send(brokers) == 0
    stack.kafka.kill()
    stack.up(["kafka"])
    assert stack.environment()["KAFKA_BROKERS"] == brokers
    assert await _send(brokers) == 1


async def _send(brokers: str) -> int:
    """The offset that the message got."""
    producer = AIOKafkaProducer(bootstrap_servers=brokers, acks="all")
    await producer.start()
    try:
        metadata = await producer.send_and_wait("kept", b"message", partition=0)
        return int(metadata.offset)
    finally:
        await producer.stop()


def test_ray_comes_back_after_a_kill_and_no_process_of_the_killed_one_stays(stack: DevStack) -> None:
    stack.up(["ray"])
    killed = stack.ray.pid
    assert killed is not None
    stack.ray.kill()
    stack.up(["ray"])
    assert stack.ray.pid != killed
    assert sessions([killed]) == []
    run = subprocess.run(
        [sys.executable, "-c", "import ray; ray.init(logging_level='error'); print(ray.get(ray.put(7)))"],
        env={**os.environ, **stack.environment()},
        capture_output=True,
        text=True,
        timeout=RESTART_TIMEOUT_S,
        check=False,
    )
    assert run.stdout.strip().endswith("7"), run.stderr


def test_a_watcher_restarts_what_died_and_says_so(stack: DevStack) -> None:
    stack.up(["postgres"])
    events: list[PartDied | PartRestarted] = []
    stop = threading.Event()
    watcher = threading.Thread(target=watch, args=(stack, stop, events.append), daemon=True)
    watcher.start()
    try:
        stack.postgres.kill()
        _wait_for(lambda: len(events) == 2)
        assert [type(event) for event in events] == [PartDied, PartRestarted]
        assert stack.postgres.running
        stack.down()
        time.sleep(1.2)
        assert not stack.postgres.running
        assert len(events) == 2
    finally:
        stop.set()
        watcher.join(timeout=RESTART_TIMEOUT_S)
    assert not watcher.is_alive()


def test_a_watcher_gives_up_on_a_part_that_keeps_dying(stack: DevStack) -> None:
    stack.up(["postgres"])
    restarts = 0

    def kill_again(event: PartDied | PartRestarted) -> None:
        nonlocal restarts
        if isinstance(event, PartRestarted):
            restarts += 1
            stack.postgres.kill()

    stack.postgres.kill()
    with pytest.raises(DevStackError, match="postgres: died 6 times within 60 s"):
        watch(stack, threading.Event(), kill_again)
    assert restarts == MAX_RESTARTS


def test_a_part_that_cannot_start_is_named_with_the_end_of_its_log(stack: DevStack) -> None:
    stack.up(["postgres"])
    stack.down()
    configuration = stack.postgres._place.data / "postgresql.conf"
    with configuration.open("a") as file:
        file.write("no_such_setting = on\n")
    with pytest.raises(DevStackError) as failure:
        stack.up(["postgres"])
    assert failure.value.part == "postgres"
    assert any("no_such_setting" in line for line in failure.value.log_tail)
    assert not stack.postgres.running


def test_a_pid_that_belongs_to_another_process_by_now_is_left_alone(stack: DevStack) -> None:
    with subprocess.Popen(["sleep", "60"]) as bystander:
        stack._site.state.update(
            "process.kafka", pid=bystander.pid, started="another-boot/1", log_offset=0, ended=False
        )
        assert stack.kafka.died
        stack.kafka.stop()
        stack.kafka.kill()
        assert bystander.poll() is None
        bystander.terminate()


def test_servers_end_with_the_process_that_asked_for_a_guard(stack: DevStack) -> None:
    script = """
import sys, time
from pathlib import Path
from cluster.dev.guard import destroy_with_this_process
from cluster.dev.stack import DevStack
stack = DevStack(Path(sys.argv[1]))
guard = destroy_with_this_process(stack.directory)
stack.up(["postgres"])
print(stack.postgres.pid, flush=True)
time.sleep(60)
"""
    directory = stack.directory.parent / "guarded"
    with subprocess.Popen([sys.executable, "-c", script, str(directory)], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        token = start_token(pid)
        assert token is not None
        owner.send_signal(signal.SIGKILL)
    server = ProcessId(pid=pid, started=token)
    _wait_for(lambda: not server.alive() and not directory.exists())


def _wait_for(condition: object) -> None:
    assert callable(condition)
    deadline = time.monotonic() + RESTART_TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
