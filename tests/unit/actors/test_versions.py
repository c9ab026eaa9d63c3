"""Two releases beside each other: what each writes, reads and refuses (ARCHITECTURE.md, "Versions")."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, ClassVar, cast

import pytest
from msgspec import Struct

from actors.domain.commands import AddPurchase
from actors.domain.events import Event, HeartbeatAccepted, SessionStarted
from actors.domain.ids import Micros, OrderId, ProductId, Seq, SessionId, ShardId, Term, UserId
from actors.domain.model import LiveSession
from actors.domain.publishing import published
from actors.domain.replies import Done, Unavailable
from actors.fleet.membership import Membership
from actors.fleet.ports import ProcessInfo
from actors.format_1 import FORMAT_1
from actors.formats import Formats, NewerCluster
from actors.journal import UnreadableJournal, decode_body, encode_body
from actors.link.calls import Call, UnknownCall
from actors.link.server import LinkServer
from actors.ports import OutboxRow
from actors.relay.cloudevent import encode as cloudevent
from actors.relay.metrics import RelayMetrics
from actors.relay.relay import OutboxRelay, UnreadableOutbox
from actors.release import release_formats
from actors.router import Router, RouterLimits
from tests.memory import MemoryDatabase, MemoryFleetStore
from tests.memory.faults import Faults, healthy
from tests.memory.kafka import MemoryKafka, MemoryProducer
from tests.memory.outbox import MemoryOutbox, MemoryOutboxQueue
from tests.support.actor import an_id
from tests.support.next_shapes import NEXT, next_formats
from tests.unit.actors.test_router import SECRET, USER, OneHost

AT = Micros(1_710_493_200_000_000)
SESSION = LiveSession(SessionId(b"s" * 16), ProductId(b"p" * 16), AT, AT, 60, "pc-1", "pc")
STARTED = SessionStarted(SESSION)
ENTRIES: list[tuple[UserId, list[Event]]] = [
    (UserId(an_id(1)), [STARTED, HeartbeatAccepted(SESSION.session_id, AT, 60)]),
    (UserId(an_id(2)), []),
]
EVERY_FORMAT = pytest.mark.parametrize("form", [FORMAT_1, NEXT], ids=["this release", "the next"])


class Novelty(Struct, frozen=True, array_like=True, tag=999):
    """A command of a newer release."""

    remembered: ClassVar[bool] = False
    what: str = "?"


def test_a_release_writes_the_previous_shape_until_all_processes_run_it() -> None:
    """The flag only ever moves up."""
    formats = next_formats()
    assert formats.writes is FORMAT_1
    formats.allow(1)
    assert encode_body(formats, ENTRIES)[0] == 1
    formats.allow(2)
    assert encode_body(formats, ENTRIES)[0] == 2
    formats.allow(1)
    assert formats.writes is NEXT


def test_a_release_does_not_run_beside_one_that_it_cannot_read() -> None:
    with pytest.raises(NewerCluster):
        release_formats().allow(2)


def test_a_release_reads_the_previous_journal_and_refuses_a_newer_one() -> None:
    newer = next_formats()
    newer.allow(2)
    for writer in (release_formats(), newer):
        assert decode_body(newer, encode_body(writer, ENTRIES)) == ENTRIES
    with pytest.raises(UnreadableJournal):
        decode_body(release_formats(), encode_body(newer, ENTRIES))


@EVERY_FORMAT
def test_calls_and_replies_survive_their_journey(form: Any) -> None:
    purchase = AddPurchase(OrderId(an_id(1)), (ProductId(an_id(2)),), AT)
    calls = [Call(number, 5000, Term(3), UserId(an_id(7)), purchase, None, "trace") for number in range(3)]
    assert form.decode_calls(memoryview(form.encode_calls(calls))) == calls
    replies = [(7, Done()), (8, Unavailable("not now", unknown=True))]
    assert form.decode_replies(memoryview(form.encode_replies(replies))) == replies


@EVERY_FORMAT
def test_of_a_frame_with_a_novelty_everything_else_is_understood(form: Any) -> None:
    purchase = AddPurchase(OrderId(an_id(1)), (), AT)
    calls = [
        Call(1, 5000, Term(3), UserId(an_id(7)), purchase),
        Call(2, 5000, Term(3), UserId(an_id(7)), cast(Any, Novelty())),
    ]
    understood, novelty = form.salvage_calls(memoryview(form.encode_calls(calls)))
    assert understood == calls[0]
    assert isinstance(novelty, UnknownCall)
    assert novelty.call_id == 2


def test_of_replies_with_a_novelty_everything_else_is_understood() -> None:
    """What was not understood may have been done."""
    body = FORMAT_1.encode_replies([(1, Done()), (2, cast(Any, Novelty()))])
    (_, understood), (number, novelty) = FORMAT_1.salvage_replies(memoryview(body))
    assert understood == Done()
    assert number == 2
    assert isinstance(novelty, Unavailable)
    assert novelty.unknown


@pytest.fixture
async def host() -> AsyncIterator[OneHost]:
    host = OneHost()
    yield host
    await host.die()


async def start(host: OneHost, formats: Formats) -> None:
    await host.start()
    assert isinstance(host.server, LinkServer)
    host.server.formats = formats


@pytest.mark.parametrize("allowed_at_the_door", [1, 2])
@pytest.mark.parametrize("allowed_at_the_host", [1, 2])
async def test_doors_and_hosts_of_two_releases_understand_each_other(
    host: OneHost, allowed_at_the_door: int, allowed_at_the_host: int
) -> None:
    """Each learns of the flag at its own time."""
    hosts, doors = next_formats(), next_formats()
    hosts.allow(allowed_at_the_host)
    doors.allow(allowed_at_the_door)
    await start(host, hosts)
    router = Router(reader=host, credentials=SECRET, role="door", limits=RouterLimits(), formats=doors)
    router.start()
    try:
        purchase = AddPurchase(OrderId(an_id(1)), (ProductId(an_id(2)),), AT)
        call = asyncio.create_task(router.call(USER, purchase, timeout_s=5.0))
        await host.asked()
        (pending,) = host.mailbox.cut(10)
        assert pending.command == purchase
        host.mailbox.answer(pending, Done())
        assert await call == Done()
    finally:
        await router.close()


async def test_a_command_that_a_host_does_not_know_fails_alone(host: OneHost) -> None:
    """A door of the next release may ask for what only that one does; the link of all others stays."""
    await start(host, release_formats())
    router = Router(reader=host, credentials=SECRET, role="door", limits=RouterLimits())
    router.start()
    try:
        purchase = AddPurchase(OrderId(an_id(1)), (), AT)
        known = asyncio.create_task(router.call(USER, purchase, timeout_s=5.0))
        novelty = asyncio.create_task(router.call(USER, cast(Any, Novelty()), timeout_s=5.0))
        await host.asked()
        refused = await novelty
        assert isinstance(refused, Unavailable)
        assert not refused.unknown
        host.answer(Done())
        assert await known == Done()
        assert router.metrics.links_lost == 0
    finally:
        await router.close()


async def test_the_outbox_is_published_the_same_in_both_shapes_and_a_newer_one_is_left_alone() -> None:
    """R-EVT-1: whatever a row looks like, Kafka gets the CloudEvent."""
    (event,) = published(USER, STARTED)
    rows = [
        OutboxRow(ShardId(1), Term(1), Seq(form.version), 0, USER, form.encode_event(event, USER), form.version)
        for form in (FORMAT_1, NEXT)
    ]
    for formats, sent in ((next_formats(), 2), (release_formats(), 0)):
        kafka, outbox = MemoryKafka(), MemoryOutbox()
        kafka.add_topic("events", 1)
        outbox.add(rows)
        faults = Faults(healthy)
        metrics = RelayMetrics()
        relay = OutboxRelay(
            MemoryOutboxQueue(outbox, faults),
            lambda kafka=kafka, faults=faults: MemoryProducer(kafka, faults, topic="events"),  # type: ignore[misc]
            metrics=metrics,
            random=lambda: 0.5,
            formats=formats,
        )
        running = asyncio.create_task(relay.run())
        if sent:
            async with asyncio.timeout(5):
                while metrics.published < sent:  # noqa: ASYNC110 - a counter has no event
                    await asyncio.sleep(0.005)
            relay.stop()
            await running
        else:
            with pytest.raises(UnreadableOutbox):
                await asyncio.wait_for(running, 5)
        assert [record.value for record in kafka.records("events")] == [cloudevent(event, USER)] * sent
        assert len(outbox.rows) == 2 - sent


def a_member(database: MemoryDatabase, formats: Formats) -> Membership:
    info = ProcessInfo(process_id=an_id(formats.newest), name="host-0", node="n", release="r", newest=formats.newest)
    return Membership(store=MemoryFleetStore(database), info=info, formats=formats)


async def test_a_process_of_an_older_release_does_not_begin() -> None:
    database = MemoryDatabase()
    await MemoryFleetStore(database).raise_version(2)
    with pytest.raises(NewerCluster):
        await a_member(database, release_formats()).join()
    newer = next_formats()
    await a_member(database, newer).join()
    assert newer.writes is NEXT


async def test_a_process_joins_when_the_store_is_back_and_leaves_with_its_work() -> None:
    database = MemoryDatabase()
    database.stop()
    member = a_member(database, release_formats())
    joining = asyncio.create_task(member.join())
    await asyncio.sleep(0)
    database.start()
    await asyncio.wait_for(joining, 5)

    async def work() -> None:
        member.serves()
        async with asyncio.timeout(5):
            while not (await MemoryFleetStore(database).processes())[0].serving:  # noqa: ASYNC110 - a table has no event
                await asyncio.sleep(0.005)

    await member.beside(work())
    assert await MemoryFleetStore(database).processes() == []
