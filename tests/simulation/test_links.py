"""Links over a slow network, in virtual time: what `library chaos` found, each as small as it gets."""

import asyncio
from collections.abc import Coroutine
from random import Random
from typing import Any, TypeVar

import pytest

from actors.domain.ids import Epoch, HostId
from actors.link.client import CONNECT_TIMEOUT_S, DoorLink, LinkBroken, connect
from actors.link.handshake import Credentials
from actors.link.server import LinkServer
from actors.mailbox import Mailbox, MailboxLimits
from actors.release import release_formats
from tests.simulation.loop import VirtualLoop
from tests.simulation.network import Network

T = TypeVar("T")
SECRET = Credentials(cluster="test", secret=b"s" * 32)


class SlowHello(Network):
    """Everything is fast but the first thing that is said on a connection."""

    def __init__(self, hello_s: float) -> None:
        super().__init__(Random(1))
        self._latencies_s = iter([0.001, hello_s])

    def latency_s(self) -> float:
        return next(self._latencies_s, 0.001)


class Heard:
    """What a host learns of its doors."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def door_linked(self) -> None:
        self.events.append("linked")

    def door_lost(self) -> None:
        self.events.append("lost")

    def door_missed(self) -> None:
        self.events.append("missed")


async def link(heard: Heard) -> DoorLink:
    server = LinkServer(credentials=SECRET, host_id=HostId(0), max_commands_per_link=100)
    address = await server.listen("memory")
    server.open(Epoch(1), Mailbox(MailboxLimits()), heard)
    try:
        made = await connect(
            address,
            credentials=SECRET,
            host_id=HostId(0),
            epoch=Epoch(1),
            role="door",
            on_lost=lambda _link: None,
            formats=release_formats(),
        )
        await asyncio.sleep(0.1)
        return made
    except LinkBroken:
        await asyncio.sleep(0.1)
        raise
    finally:
        await server.close()


def run(heard: Heard, hello_s: float) -> DoorLink:
    return run_in(SlowHello(hello_s), link(heard))


def run_in(network: Network, main: Coroutine[Any, Any, T]) -> T:
    loop = VirtualLoop(network)
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(main)
    finally:
        loop.abandon()
        asyncio.set_event_loop(None)


def test_a_host_that_is_late_with_its_first_word_is_linked_all_the_same() -> None:
    """A ping must not be the first thing that the host hears: it would turn the door away, each time."""
    heard = Heard()
    run(heard, hello_s=0.9 * CONNECT_TIMEOUT_S)
    assert heard.events[0] == "linked"


def test_a_host_knows_that_a_door_tried_in_vain() -> None:
    """R-PT-3: that door's clients are not heard, so their silence does not count."""
    heard = Heard()
    with pytest.raises(LinkBroken):
        run(heard, hello_s=1.1 * CONNECT_TIMEOUT_S)
    assert heard.events == ["missed"]


def test_a_link_that_is_lost_in_the_turn_of_its_welcome_is_not_given_out() -> None:
    """R-NFR-3: a router would keep it for ever, because its end was heard before it was known; its users would wait."""

    class Gone(Heard):
        def door_linked(self) -> None:
            host_end = network.pipes[max(network.pipes)]
            asyncio.get_running_loop().call_soon(host_end.close)

    class Even(Network):
        """The end of a connection is heard together with what was said last."""

        def latency_s(self) -> float:
            return 0.001

    network = Even(Random(1))
    with pytest.raises(LinkBroken):
        run_in(network, link(Gone()))


@pytest.mark.parametrize("stays_s", [0.0, 0.5])
def test_a_probe_of_the_port_is_no_door(stays_s: float) -> None:
    """R-PT-3: whoever can reach the port must not keep sessions from timing out."""
    heard = Heard()

    async def probe() -> None:
        server = LinkServer(credentials=SECRET, host_id=HostId(0), max_commands_per_link=100)
        address = await server.listen("memory")
        server.open(Epoch(1), Mailbox(MailboxLimits()), heard)
        _, port = address.rsplit(":", 1)
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, "memory", int(port))
        await asyncio.sleep(stays_s)
        transport.close()
        await asyncio.sleep(1)
        await server.close()

    run_in(SlowHello(0.001), probe())
    assert heard.events == []
