"""Real servers for the tests that need them, each started when first asked for and gone when the tests are.

`postgres_dsn` (a fresh database per test), `kafka_brokers` and `ray_address` (one server per run) are what tests use;
`dev_stack` is for those that stop and kill servers.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from cluster.dev.guard import destroy_with_this_process
from cluster.dev.stack import DevStack

GUARD_TIMEOUT_S = 120.0
_database_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def dev_stack() -> Iterator[DevStack]:
    """A stack of this test run alone, with nothing started; ended even if the run is killed."""
    directory = Path(tempfile.mkdtemp(prefix="library-tests-"))
    directory.chmod(0o755)  # as root, Postgres runs as another user
    guard = destroy_with_this_process(directory)
    stack = DevStack(directory)
    try:
        yield stack
    finally:
        stack.destroy()
        guard.communicate(timeout=GUARD_TIMEOUT_S)


@pytest.fixture
def postgres_dsn(dev_stack: DevStack) -> Iterator[str]:
    """The DSN of an empty database that only this test uses; connections left open are ended with it."""
    dev_stack.up(["postgres"])
    name = f"test_{os.getpid()}_{next(_database_numbers)}"
    dev_stack.postgres.execute(f"create database {name} template template0", database="postgres")
    yield dev_stack.postgres.dsn(name)
    dev_stack.up(["postgres"])  # the test may have killed it
    dev_stack.postgres.execute(f"drop database if exists {name} with (force)", database="postgres")


@pytest.fixture
def kafka_brokers(dev_stack: DevStack) -> str:
    """`host:port` of a broker shared by the whole run: use topics and groups of your own."""
    dev_stack.up(["kafka"])
    return dev_stack.environment()["KAFKA_BROKERS"]


@pytest.fixture
def redis_variables(dev_stack: DevStack) -> Iterator[dict[str, str]]:
    """The variables of an empty Valkey that is shared by the whole run, one test after the other."""
    dev_stack.up(["valkey"])
    variables = dev_stack.valkey.environment()
    host, port = variables["REDIS_ADDR"].split(":")
    with Redis(host=host, port=int(port), password=variables["REDIS_PASSWORD"]) as client:
        client.flushall()
    yield variables
    dev_stack.up(["valkey"])  # the test may have killed it


@pytest.fixture
def ray_address(dev_stack: DevStack) -> str:
    """What `ray.init(address=...)` takes; the cluster is shared by the whole run: use a namespace of your own."""
    dev_stack.up(["ray"])
    return dev_stack.environment()["RAY_ADDRESS"]
