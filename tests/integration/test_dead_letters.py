"""Dead letters on a real Kafka: listed, replayed with their id, dropped; applied exactly once (R-EVT-4)."""

import json
from uuid import uuid4

import pytest

from actors.domain.replies import Failed, Reply
from actors.ingress.ports import DeadLetter, Partition, Record
from persistence.kafka.dead_letter_box import DeadLetterBox, Letter, OriginalGone
from persistence.kafka.dead_letter_producer import DeadLetterProducer
from persistence.kafka.topics import Topic, TopicsMissing, ensure_topics
from tests.integration.test_kafka_ingress import PURCHASED, Place, until
from tests.support.events import purchase, read_messages, send, structured


class Desk:
    """An operator beside an ingress whose engine fails as long as the test wants."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.box = DeadLetterBox(place.connection, place.dead.name)
        self.is_broken = True
        place.calls.trouble = self.trouble

    def trouble(self, _user: object, _command: object) -> Reply | None:
        return Failed("incident-1") if self.is_broken else None

    async def open(self) -> list[Letter]:
        return [letter for letter in await self.box.letters() if letter.outcome is None]


@pytest.fixture
def place(kafka_brokers: str) -> Place:
    return Place(kafka_brokers)


async def test_a_replayed_event_keeps_its_id_and_is_applied_once(place: Place) -> None:
    """R-EVT-4, promise 2: also when it is replayed twice, and when its original succeeded later."""
    desk, user, games = Desk(place), uuid4(), [uuid4(), uuid4()]
    order = structured(PURCHASED, purchase(user, games), id="evt-1", source="/payments")
    brokers, topic = place.connection.brokers, place.purchases.name
    async with place.ingress() as metrics:
        await until(lambda: metrics.assigned == 12)
        await send(brokers, topic, (user.bytes, order), (b"k", b"\xff poison"))
        await until(lambda: metrics.dead_lettered.total() == 2)
        by_reason = {letter.reason: letter for letter in await desk.open()}
        letter, poison = by_reason["failed"], by_reason["not_json"]
        assert (letter.event_id, letter.origin.topic, letter.key) == ("evt-1", topic, user.bytes)
        assert "incident-1" in letter.detail
        assert letter.replays == 0
        assert (await desk.box.message(letter)).value == order
        await desk.box.replay(letter)
        await until(lambda: metrics.dead_lettered.total() == 3)
        (again,) = [found for found in await desk.open() if found.reason == "failed"]
        assert (again.event_id, again.replays) == ("evt-1", 1)
        desk.is_broken = False
        await desk.box.replay(again)
        await until(lambda: place.has(user, games))
        applied = len(place.engine.applied)
        for replayed in (again, letter):
            await desk.box.replay(replayed)
        await send(brokers, topic, (user.bytes, order))
        await until(lambda: len(place.engine.applied) == applied + 3)
        assert metrics.unchanged == 3
        await desk.box.drop([poison])
    assert await desk.open() == []
    outcomes = [found.outcome for found in await desk.box.letters()]
    assert sorted(map(str, outcomes)) == ["dropped", "replayed", "replayed"]
    sent = await read_messages(brokers, topic, lambda found: len(found) == 7)
    replayed_ids = [json.loads(message.value)["id"] for message in sent if message.key == user.bytes]
    assert replayed_ids == ["evt-1"] * 6
    assert all(not name.startswith("dead-letter-") or name.endswith("replays") for m in sent for name, _ in m.headers)


async def test_a_letter_that_was_put_twice_is_one(place: Place) -> None:
    """The ingress may die between the letter and its offset."""
    producer = DeadLetterProducer(place.connection, topic=place.dead, create_topics=True)
    record = Record(partition=Partition("gone", 1), offset=5, timestamp_ms=7, key=b"k", value=b"v")
    letter = DeadLetter(record=record, reason="not_json", detail="…")
    for _ in range(2):
        await producer.put(letter)
    box = DeadLetterBox(place.connection, place.dead.name)
    (found,) = await box.letters()
    await box.drop([found])
    await producer.put(letter)
    await producer.close()
    assert [one.outcome for one in await box.letters()] == ["dropped"]


async def test_what_was_too_large_to_be_kept_is_replayed_from_its_own_topic(place: Place) -> None:
    small = Topic(name=place.dead.name, partitions=1, configs={"max.message.bytes": "100000"})
    large = Topic(name=f"{place.mark}.large", partitions=1)
    await ensure_topics(place.connection, [large], create=True)
    await send(place.connection.brokers, large.name, (b"k", b"v" * 200_000))
    (original,) = await read_messages(place.connection.brokers, large.name, lambda found: len(found) == 1)
    for timestamp_ms in (original.timestamp, 1):
        partition = Partition(large.name, original.partition)
        record = Record(
            partition=partition, offset=original.offset, timestamp_ms=timestamp_ms, key=b"k", value=original.value
        )
        producer = DeadLetterProducer(place.connection, topic=small, create_topics=True)
        await producer.put(DeadLetter(record=record, reason="too_large", detail=""))
        await producer.close()
    box = DeadLetterBox(place.connection, small.name)
    kept, lost = await box.letters()
    assert kept.is_truncated
    await box.replay(kept)
    found = await read_messages(place.connection.brokers, large.name, lambda found: len(found) == 2)
    assert [len(message.value) for message in found] == [200_000, 200_000]
    with pytest.raises(OriginalGone):
        await box.replay(lost)


async def test_a_topic_that_is_not_there_holds_no_letters_and_is_not_made(place: Place) -> None:
    box = DeadLetterBox(place.connection, f"{place.mark}.never")
    assert await box.letters() == []
    with pytest.raises(TopicsMissing):
        await ensure_topics(place.connection, [Topic(name=f"{place.mark}.never")], create=False)
