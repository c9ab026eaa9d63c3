"""How long an operator waits for a Kafka that answers and brings nothing (R-EVT-4, promise 6)."""

import asyncio
from collections.abc import Sequence

import pytest
from aiokafka import TopicPartition

from actors.ingress.ports import BrokerUnavailable
from persistence.kafka.connection import KafkaConnection
from persistence.kafka.dead_letter_box import DeadLetterBox
from tests.support.virtual_time import in_virtual_time

TOPIC = "letters"


class Silent:
    """What a consumer is whose brokers know of ten messages and bring the first ``arriving``, one every 15 s."""

    def __init__(self, arriving: int) -> None:
        self._arriving = arriving
        self._at = 0
        self._client = self

    async def topics(self) -> set[str]:
        return {TOPIC}

    async def set_topics(self, _names: Sequence[str]) -> None: ...

    def partitions_for_topic(self, _name: str) -> set[int]:
        return {0}

    def assign(self, _partitions: Sequence[TopicPartition]) -> None: ...

    async def end_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 10)

    async def position(self, _partition: TopicPartition) -> int:
        return self._at

    async def getmany(self, *partitions: TopicPartition, timeout_ms: int) -> dict[TopicPartition, list[int]]:
        if self._at >= self._arriving:
            await asyncio.sleep(timeout_ms / 1000)
            return {}
        await asyncio.sleep(15)
        self._at += 1
        return {partitions[0]: [self._at]}


@pytest.mark.parametrize(("arriving", "is_whole"), [(10, True), (3, False)])
def test_a_topic_may_take_long_but_not_stand_still(arriving: int, is_whole: bool) -> None:
    box = DeadLetterBox(KafkaConnection(brokers="nowhere:1"), TOPIC, deadline_s=20.0)
    read: list[int] = []

    async def body() -> None:
        try:
            async with asyncio.timeout(1_000):
                async for raw in box._whole_topic(Silent(arriving)):
                    read.append(raw)
        except BrokerUnavailable:
            assert not is_whole
        else:
            assert is_whole

    in_virtual_time(body)
    assert len(read) == arriving
