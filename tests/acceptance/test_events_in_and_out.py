"""Kafka in and out of the running service (R-EVT-1 to R-EVT-4, R-EVT-6)."""

import asyncio
import json
from uuid import UUID, uuid4

from aiokafka import AIOKafkaConsumer

from actors.ingress.ports import DeadLetter, Partition, Record
from persistence.kafka.connection import KafkaConnection
from persistence.kafka.dead_letter_producer import DeadLetterProducer, dead_letter_topic
from tests.support import events
from tests.support.running_service import RunningService

INSTALLED = "download.game.installed.v1"
LIBRARY_EVENTS = "library.events.v1"
DEAD_LETTERS = "library.dead-letters.v1"
APPEAR_TIMEOUT_S = 30.0
ITEMS = "/api/v1/library/items"
SESSIONS = "/api/v1/library/playtime/sessions"


def brokers(service: RunningService) -> str:
    return service.stack.environment()["KAFKA_BROKERS"]


def owned(service: RunningService, token: str) -> list[dict[str, object]]:
    return [item["attributes"] for item in service.get(ITEMS, token).json()["data"]]


def start_body(product_id: UUID) -> dict[str, object]:
    return {"data": {"type": "playtimeSessionStart", "attributes": {"product_id": str(product_id)}}}


def test_a_purchase_appears_in_the_library_and_its_sessions_on_the_topic(service: RunningService) -> None:
    """R-LIB-5, R-EVT-1: CloudEvents by an independent reader, data by their schemas, in order per user."""
    user_id, product_id = uuid4(), uuid4()
    token = service.token(user_id)
    asyncio.run(events.send_purchase(brokers(service), user_id, [product_id]))
    service.until(lambda: len(owned(service, token)) == 1, APPEAR_TIMEOUT_S)
    assert owned(service, token)[0]["product_id"] == str(product_id)
    started = service.request("POST", f"{SESSIONS}/start", token, start_body(product_id))
    assert started.status == 201
    session_id = started.json()["data"]["id"]
    assert service.request("POST", f"{SESSIONS}/{session_id}/heartbeat", token).status == 204
    assert service.request("POST", f"{SESSIONS}/{session_id}/end", token).status == 200

    def of_user(found: list[object]) -> list[object]:
        return [event for event in found if event.get_extension("partitionkey") == str(user_id)]  # type: ignore[attr-defined]

    published = asyncio.run(
        events.read_events(brokers(service), LIBRARY_EVENTS, lambda found: len(of_user(found)) >= 3, APPEAR_TIMEOUT_S)
    )
    mine = of_user(list(published))
    assert [event.get_type() for event in mine] == [  # type: ignore[attr-defined]
        "library.game.added.v1",
        "library.playtime.session.started.v1",
        "library.playtime.session.ended.v1",
    ]


def test_a_purchase_is_access_for_the_services_that_ask(service: RunningService) -> None:
    """R-RPC-1, R-RPC-4, R-SEC-3: over mTLS, by `library call`, as an operator would."""
    user_id, product_id = uuid4(), uuid4()
    request = json.dumps({"user_id": str(user_id), "product_id": str(product_id)})
    denied = service.command("call", "CheckGameAccess", request, "--dir", str(service.directory))
    assert json.loads(denied.stdout) == {"has_access": False}
    asyncio.run(events.send_purchase(brokers(service), user_id, [product_id]))

    def has_access() -> bool:
        answer = service.command("call", "CheckGameAccess", request, "--dir", str(service.directory))
        return bool(json.loads(answer.stdout)["has_access"])

    service.until(has_access, APPEAR_TIMEOUT_S)
    bad = service.command("call", "CheckGameAccess", '{"user_id":"me"}', "--dir", str(service.directory))
    assert (bad.returncode, bad.stderr) == (1, "library: INVALID_ARGUMENT: user_id: is not a UUID\n")
    strangers = service.command(
        "call", "GetLibraryItems", request.replace("product_id", "userid"), "--dir", str(service.directory)
    )
    assert "not a GetLibraryItemsRequest" in strangers.stderr


def test_install_events_set_the_status(service: RunningService) -> None:
    """R-LIB-6, also as the specification's bare payload."""
    user_id, product_id = uuid4(), uuid4()
    token = service.token(user_id)
    asyncio.run(events.send_purchase(brokers(service), user_id, [product_id]))
    service.until(lambda: len(owned(service, token)) == 1, APPEAR_TIMEOUT_S)
    bare = json.dumps(events.installation(user_id, product_id, "installed", "2024-03-15T20:00:00Z")).encode()
    asyncio.run(events.send(brokers(service), INSTALLED, (str(user_id).encode(), bare)))
    service.until(lambda: owned(service, token)[0]["installation_status"] == "installed", APPEAR_TIMEOUT_S)


def test_poison_goes_to_the_dead_letters_and_its_partition_goes_on(service: RunningService) -> None:
    """R-EVT-4"""
    user_id, product_id, marker = uuid4(), uuid4(), uuid4().bytes
    key = str(user_id).encode()
    poison = [b"\x00\xff not json " + marker, b"{}", b'{"user_id": 7}' + b" " * 10, b'{"user_id":"\\u0000"}', None]
    fine = events.structured(events.PURCHASES, events.purchase(user_id, [product_id]))
    messages = [(key, value) for value in (*poison, fine)]
    asyncio.run(events.send(brokers(service), events.PURCHASES, *messages))
    token = service.token(user_id)
    service.until(lambda: len(owned(service, token)) == 1, APPEAR_TIMEOUT_S)
    letters = asyncio.run(read_dead_letters(brokers(service), key, len(poison)))
    assert [letter.value for letter in letters] == poison
    assert all(any("reason" in name for name, _ in letter.headers) for letter in letters)


def test_operators_list_replay_and_drop_dead_letters(service: RunningService) -> None:
    """R-EVT-4: a replayed event keeps its id and is applied exactly once, also when it is replayed twice."""
    user_id, product_id = uuid4(), uuid4()
    key, token = str(user_id).encode(), service.token(user_id)
    order = events.structured(events.PURCHASES, events.purchase(user_id, [product_id]), id=f"evt-{user_id}")
    asyncio.run(put_dead_letter(brokers(service), key, order, event_id=f"evt-{user_id}"))

    def listed(*arguments: str) -> list[dict[str, object]]:
        answer = service.command("dlq", "list", "--json", *arguments)
        assert answer.returncode == 0, answer.stderr
        return [letter for letter in json.loads(answer.stdout) if letter["key"] == str(user_id)]

    (letter,) = listed()
    assert (letter["reason"], letter["topic"], letter["event_id"]) == ("failed", events.PURCHASES, f"evt-{user_id}")
    shown = service.command("dlq", "show", str(letter["id"]))
    assert str(product_id) in shown.stdout
    assert str(letter["id"]) in service.command("dlq", "list").stdout
    for _ in range(2):
        replayed = service.command("dlq", "replay", str(letter["id"]))
        assert replayed.returncode == 0, replayed.stderr
        service.until(lambda: len(owned(service, token)) == 1, APPEAR_TIMEOUT_S)
    assert listed() == []
    assert listed("--resolved")[0]["outcome"] == "replayed"
    asyncio.run(events.send(brokers(service), events.PURCHASES, (key, b"poison behind the replays")))
    service.until(lambda: bool(listed("--reason", "not_json")), APPEAR_TIMEOUT_S)
    assert len(owned(service, token)) == 1
    (poison,) = listed()
    assert json.loads(service.command("dlq", "drop", "--json", str(poison["id"])).stdout) == {"dropped": [poison["id"]]}
    assert listed() == []
    assert service.command("dlq", "replay", "7-7").returncode == 1


async def put_dead_letter(address: str, key: bytes, value: bytes, event_id: str) -> None:
    """As the ingress does when a rule fails."""
    producer = DeadLetterProducer(
        KafkaConnection(brokers=address), topic=dead_letter_topic(DEAD_LETTERS), create_topics=True
    )
    record = Record(partition=Partition(events.PURCHASES, 0), offset=10**9, timestamp_ms=1, key=key, value=value)
    await producer.put(DeadLetter(record=record, reason="failed", detail="incident 1", event_id=event_id))
    await producer.close()


async def read_dead_letters(address: str, key: bytes, count: int) -> list[object]:
    found: list[object] = []
    consumer = AIOKafkaConsumer(DEAD_LETTERS, bootstrap_servers=address, auto_offset_reset="earliest")
    async with asyncio.timeout(APPEAR_TIMEOUT_S):
        await consumer.start()
        try:
            while len(found) < count:
                for batch in (await consumer.getmany(timeout_ms=200)).values():
                    found += [message for message in batch if message.key == key]
        finally:
            await consumer.stop()
    return found
