"""The development stack as its callers see it: up, down, status, and the environment that points a service to it.

Several stacks may run side by side, each in its own directory with its own ports. Everything a command needs to find
the servers of an earlier one is in that directory's state file, so none is orphaned by a command that was killed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster.dev.certificates import DevelopmentCertificates
from cluster.dev.errors import CancelledError, DevStackError
from cluster.dev.gcs_redis import GcsRedis
from cluster.dev.kafka import Kafka
from cluster.dev.neighbours.parts import AccountServer, CatalogServer, DownloadServer
from cluster.dev.part import Part, Progress, Site, silent
from cluster.dev.postgres import Postgres
from cluster.dev.ray_head import RayHead
from cluster.dev.ray_node import FIRST, LAST, SECTION, RayNode
from cluster.dev.state import State, file_lock
from cluster.dev.valkey import Valkey

COMMAND_TIMEOUT_S = 120.0


def default_directory() -> Path:
    """`.dev` of the checkout that this file belongs to; of the working directory if it is installed elsewhere."""
    checkout = Path(__file__).resolve().parents[2]
    return (checkout if (checkout / "Makefile").exists() else Path.cwd()) / ".dev"


@dataclass(frozen=True, kw_only=True)
class PartStatus:
    """`state` is `running`, `dead` (started, and gone without being stopped) or `stopped`."""

    name: str
    title: str
    state: str
    pid: int | None
    address: str | None
    log_file: Path


class DevStack:
    """All parts of one directory; cheap to create, and several may be created for the same directory.

    Every method raises DevStackError, and returns within a few minutes whatever happens.
    """

    def __init__(self, directory: Path, progress: Progress = silent) -> None:
        self.directory = directory.absolute()
        self.certificates = DevelopmentCertificates.of(self.directory)
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DevStackError("stack", f"cannot create {self.directory}: {error.strerror}") from error
        if not os.access(self.directory, os.W_OK | os.X_OK) or self.directory.stat().st_uid != os.geteuid():
            raise DevStackError("stack", f"{self.directory} belongs to another user; choose another directory")
        self._site = Site(directory=self.directory, state=State(self.directory), progress=progress)
        self.postgres = Postgres(self._site)
        self.kafka = Kafka(self._site)
        self.valkey = Valkey(self._site)
        self.catalog = CatalogServer(self._site)
        self.download = DownloadServer(self._site)
        self.account = AccountServer(self._site)
        self.gcs_redis = GcsRedis(self._site)
        self.ray = RayHead(self._site, self.gcs_redis)

    @property
    def servers(self) -> tuple[Part, ...]:
        """What every stack has, with Ray's own Redis where it was asked for; each is started again when it dies."""
        ours = (self.catalog, self.download, self.account)
        gcs_redis = (self.gcs_redis,) if self.gcs_redis.wanted else ()
        return (self.postgres, self.kafka, self.valkey, *ours, *gcs_redis, self.ray)

    @property
    def nodes(self) -> tuple[RayNode, ...]:
        """Further nodes of the Ray cluster. One that dies stays away: what becomes of the service is to be seen."""
        numbers = self._site.state.get(SECTION).get("numbers", [])
        return tuple(RayNode(self._site, int(number)) for number in numbers)

    @property
    def parts(self) -> tuple[Part, ...]:
        return (*self.servers, *self.nodes)

    def add_node(self) -> RayNode:
        """Starts one more node, at the lowest address that no node has; the head runs."""
        with self._one_command():
            taken = [node.number for node in self.nodes if node.running]
            number = next(number for number in range(FIRST, LAST) if number not in taken)
            self._site.state.update(SECTION, numbers=sorted({*(node.number for node in self.nodes), number}))
            node = RayNode(self._site, number)
            node.start()
            return node

    def remove_node(self, node: RayNode) -> None:
        """Ends every process of the node; `library nodes drain` empties it first."""
        with self._one_command():
            node.stop()
            self._site.state.update(SECTION, numbers=[one.number for one in self.nodes if one.number != node.number])

    def part(self, name: str) -> Part:
        for part in self.parts:
            if part.name == name:
                return part
        known = ", ".join(part.name for part in self.parts)
        raise DevStackError("stack", f"there is no part {name!r}; there are {known}")

    def up(self, only: Collection[str] = ()) -> None:
        """Starts all parts (or those named) side by side; a part that runs already is kept.

        If one fails, those that this call started are stopped again, and its error is raised.
        """
        with self._one_command():
            chosen = [self.part(name) for name in only] if only else list(self.servers)
            if self.ray in chosen and self.gcs_redis.wanted and self.gcs_redis not in chosen:
                chosen.append(self.gcs_redis)
            fresh = [part for part in chosen if not part.running]
            try:
                self._side_by_side([(part, part.start) for part in chosen])
            except BaseException:
                self._side_by_side([(part, part.stop) for part in fresh])
                raise

    def revive(self, part: Part) -> bool:
        """Starts a part that died; False if it did not, or another command has dealt with it meanwhile."""
        with self._one_command():
            if not part.died:
                return False
            part.start()
            return True

    def down(self) -> None:
        """Ends every process of every part; data stay for the next start."""
        with self._one_command():
            self._side_by_side([(part, part.stop) for part in self.nodes])
            self._site.state.update(SECTION, numbers=[])
            self._side_by_side([(part, part.stop) for part in self.servers])

    def destroy(self) -> None:
        """`down()`, and then removes the data and the directory."""
        self.down()
        for part in self.parts:
            part.forget()
        shutil.rmtree(self.directory, ignore_errors=True)

    def status(self) -> list[PartStatus]:
        return [
            PartStatus(
                name=part.name,
                title=part.title,
                state="running" if part.running else "dead" if part.died else "stopped",
                pid=part.pid,
                address=part.address() if part.running else None,
                log_file=part.process.log_file,
            )
            for part in self.parts
        ]

    def environment(self) -> dict[str, str]:
        """The variables of specification 7.1 for the parts that run now; none if nothing does."""
        variables: dict[str, str] = {}
        for part in self.parts:
            if part.running:
                variables |= part.environment()
        return variables | self.certificates.environment() if variables else variables

    @contextmanager
    def _one_command(self) -> Iterator[None]:
        problem = f"another command is still working on {self.directory}"
        with file_lock(self.directory / "command.lock", COMMAND_TIMEOUT_S, problem):
            yield

    def _side_by_side(self, actions: list[tuple[Part, Callable[[], None]]]) -> None:
        """Raises the first real error after all actions have returned; the first one cancels pending starts."""
        if not actions:
            return
        cancelled = self._site.cancelled
        cancelled.clear()
        with ThreadPoolExecutor(max_workers=len(actions)) as pool:
            futures: list[Future[None]] = [pool.submit(_named, part, action) for part, action in actions]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
            finally:
                # reached by Ctrl-C too: leaving the pool waits for its threads
                if not all(future.done() for future in futures):
                    cancelled.set()
        cancelled.clear()
        errors = [error for future in futures if (error := future.exception()) is not None]
        errors.sort(key=lambda error: isinstance(error, CancelledError))
        if errors:
            raise errors[0]


def _named(part: Part, action: Callable[[], None]) -> None:
    """What the operating system refuses becomes the part's error."""
    try:
        action()
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DevStackError(part.name, f"cannot be started or stopped: {error}", part.process.tail()) from error
