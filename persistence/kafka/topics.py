"""Topics are there before they are used: created in development, waited for elsewhere."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from persistence.kafka.connection import KafkaConnection


class TopicsMissing(KafkaError):  # type: ignore[misc]  # aiokafka has no types
    """Somebody else has to create ``topics`` first; try again later."""

    def __init__(self, topics: Sequence[str]) -> None:
        super().__init__(f"missing topics: {', '.join(topics)}")
        self.topics = topics


@dataclass(frozen=True, kw_only=True)
class Topic:
    """``configs`` are Kafka's own topic settings, for when it is created here."""

    name: str
    partitions: int = 4
    replication_factor: int = 1
    configs: Mapping[str, str] = field(default_factory=dict)


async def ensure_topics(
    connection: KafkaConnection, topics: Sequence[Topic], *, create: bool, deadline_s: float = 30.0
) -> None:
    """Returns when they exist. ``TopicsMissing`` when they do not and ``create`` is false, else ``KAFKA_ERRORS``."""
    async with asyncio.timeout(deadline_s):
        admin = AIOKafkaAdminClient(**connection.arguments())
        try:
            await admin.start()
            known = set(await admin.list_topics())
            missing = [topic for topic in {topic.name: topic for topic in topics}.values() if topic.name not in known]
            if missing and not create:
                raise TopicsMissing([topic.name for topic in missing])
            if missing:
                await _create(admin, missing)
        finally:
            await admin.close()


async def _create(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> None:
    response = await admin.create_topics(
        [
            NewTopic(topic.name, topic.partitions, topic.replication_factor, topic_configs=dict(topic.configs))
            for topic in topics
        ]
    )
    for name, code, *rest in response.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            raise error(name, *rest)
