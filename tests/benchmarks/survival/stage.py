"""The service, as `library run` starts it, with so many users in the middle of playing."""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from actors.domain.ids import UserId
from persistence.postgres.migrate import migrate
from tests.benchmarks.command import Say
from tests.benchmarks.crowd import SigningKey, make_users
from tests.benchmarks.failure import BenchmarkFailed
from tests.benchmarks.options import Options
from tests.benchmarks.ours import OurService
from tests.benchmarks.survival import seeding

LOADED_TIMEOUT_S = 120.0


class Stage:
    """Made by ``set_up``; ends with the ``ExitStack`` it was given."""

    def __init__(self, *, directory: Path, service: OurService, key: SigningKey, users: Sequence[UserId]) -> None:
        self.directory = directory
        self.service = service
        self.key = key
        self.users = users

    def until_loaded(self) -> None:
        """Until the hosts have every session; ``BenchmarkFailed``."""
        deadline = time.monotonic() + LOADED_TIMEOUT_S
        while (live := self.service.live_sessions()) != len(self.users):
            if time.monotonic() > deadline:
                raise BenchmarkFailed(f"the hosts have {live} live sessions, not {len(self.users)}")
            time.sleep(0.1)


def set_up(ending: ExitStack, say: Say, *, sessions: int, hosts: int, journal_rows: int = 0) -> Stage:
    """Everything running. The first start is a takeover already: it loads every session, and replays the journal."""
    directory = Path(tempfile.mkdtemp(prefix="library-bench-"))
    directory.chmod(0o755)  # as root, Postgres runs as another user
    ending.callback(shutil.rmtree, directory, ignore_errors=True)
    key = SigningKey()
    key.write_jwks(directory / "jwks.json")
    users = make_users(sessions)
    place = directory / "service"
    place.mkdir(mode=0o755)
    service = OurService(place, directory / "jwks.json", Options(users=sessions, hosts=hosts, doors=1))
    ending.callback(service.running.destroy)
    ending.callback(service.running.stop)
    say(f"seeding {sessions:,} live sessions, and {journal_rows:,} journal rows that are not flushed")
    service.stack.up(["postgres"])
    asyncio.run(_seed(service.stack.postgres.dsn(), users, journal_rows, hosts))
    say(f"starting the service with {hosts} host(s)")
    service.running.start()
    stage = Stage(directory=directory, service=service, key=key, users=users)
    stage.until_loaded()
    return stage


async def _seed(dsn: str, users: Sequence[UserId], journal_rows: int, hosts: int) -> None:
    await migrate(dsn)
    await seeding.seed(dsn, users)
    await seeding.seed_journal(dsn, users, journal_rows, hosts)


def machine_load() -> str:
    """For people: how much else this machine does."""
    return f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
