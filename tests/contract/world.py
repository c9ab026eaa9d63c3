"""A store and its surroundings, in memory or real: what the contract suite is run against."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final, Literal

from actors.domain.ids import HostId, Micros, Seq, UserId
from actors.domain.model import Anomaly
from actors.fleet.ports import FleetStore
from actors.history import SessionHistory
from actors.ports import ClockStore, ClusterMapReader, EntityLoader, HostStore, OutboxRow, SupervisorStore

SessionName = Literal["journal", "flush"]
ME: Final = HostId(0)


class Held(ABC):
    """A commit that is on its way and has not reached the server."""

    @abstractmethod
    async def arrived(self) -> None:
        """Returns when the client has sent it."""

    @abstractmethod
    async def release(self) -> None:
        """Lets it reach the server now, whatever the client did meanwhile, and returns when it was dealt with."""


class World(ABC):
    """One database, and as many pretended processes as a test asks for."""

    loader: EntityLoader
    map_reader: ClusterMapReader
    supervisor: SupervisorStore
    clock: ClockStore
    fleet: FleetStore
    history: SessionHistory

    @abstractmethod
    def store(self, host_id: HostId) -> HostStore:
        """Another process' claim on the host."""

    @abstractmethod
    def lose(self, session: SessionName, *, happened: bool) -> None:
        """The next commit on that session of a host loses its connection: before the server got it, or after it was
        done."""

    @abstractmethod
    def hold(self, session: SessionName) -> Held:
        """The next commit on that session stays on its way until it is released."""

    @abstractmethod
    def impatient(self) -> None:
        """Stores made from now on wait a short time for their commits, for tests that wait it out."""

    @abstractmethod
    async def raise_epoch(self, host_id: HostId) -> None:
        """What a takeover does that could not end the former owner's sessions."""

    @abstractmethod
    async def break_connections(self) -> None:
        """As a restart of the server does: every session ends."""

    @abstractmethod
    async def stop(self) -> None:
        """The server can't be reached from now on."""

    @abstractmethod
    async def journal(self, host_id: HostId) -> list[tuple[Seq, bytes]]:
        """What is in the table, whoever owns the host."""

    @abstractmethod
    async def outbox(self) -> Sequence[OutboxRow]:
        """What is in the table, by key."""

    @abstractmethod
    async def anomalies(self) -> list[tuple[UserId, Anomaly]]:
        """What is in the table."""

    @abstractmethod
    async def now(self) -> Micros:
        """The server's clock."""


async def owner(world: World, *, appended: int = 1) -> HostStore:
    """Our host's store, with so many bodies in its log."""
    store = world.store(ME)
    await store.take_over("a:1")
    for seq in range(1, appended + 1):
        await store.append(Seq(seq), b"body")
    return store
