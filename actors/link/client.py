"""A door's end of a link to one host.

Calls of one turn of the event loop travel in one frame. A ping goes out every second; three seconds of silence break
the link: then every outstanding call fails as *unknown outcome*, and the router tries again with the same command ids.
A call that nobody answered in its time fails alone: one slow user must not break the link of all.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial

import msgspec

from actors.domain.commands import Command
from actors.domain.ids import CommandId, Epoch, HostId, Term, UserId
from actors.domain.replies import Reply, Unavailable
from actors.formats import Format, Formats
from actors.link.calls import Call
from actors.link.frames import BadFrame, FrameProtocol, Kind, encode
from actors.link.handshake import (
    Credentials,
    Hello,
    Proof,
    Rejected,
    Role,
    check_welcome,
    decode_hello,
    decode_welcome,
    prove,
)
from actors.turns import Turns

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 2.0
TICK_S = 0.25
PING_EVERY_TICKS = 4
SILENCE_S = 3.0
CALLS_PER_FRAME = 512


OnReply = Callable[[Reply | None], None]
"""Gets the reply of a call, or None when the link broke under it: it may have been done or not. Must not raise."""


class LinkBroken(Exception):
    """The link is gone with the call on it: it may have been done or not."""


class DoorLink(FrameProtocol):
    """One link, seen from the door. Made by ``connect``."""

    def __init__(
        self,
        *,
        credentials: Credentials,
        host_id: HostId,
        epoch: Epoch,
        role: Role,
        on_lost: Callable[["DoorLink"], None],
        formats: Formats,
    ) -> None:
        super().__init__(formats)
        loop = asyncio.get_running_loop()
        self.host_id = host_id
        self.epoch = epoch
        self._credentials = credentials
        self._role: Role = role
        self._on_lost = on_lost
        self._loop = loop
        self._hello: Hello | None = None
        self._proof: Proof | None = None
        self._outgoing: list[Call] = []
        self._waiting: dict[int, tuple[OnReply, float]] = {}
        self._last_id = 0
        self._ticks = 0
        self._heard_at = loop.time()
        self._ticker: asyncio.TimerHandle | None = None
        self._writable = True
        self.ready: asyncio.Future[None] = loop.create_future()
        self.ready.add_done_callback(lambda ready: ready.cancelled() or ready.exception())

    @property
    def outstanding(self) -> int:
        return len(self._waiting)

    @property
    def congested(self) -> bool:
        """The host does not read as fast as we write."""
        return not self._writable

    def call(
        self,
        user_id: UserId,
        command: Command,
        *,
        term: Term,
        deadline: float,
        command_id: CommandId | None,
        trace: str | None,
    ) -> asyncio.Future[Reply]:
        """The reply to come; fails with ``LinkBroken``. See ``ask``."""
        future: asyncio.Future[Reply] = self._loop.create_future()

        def settle(reply: Reply | None) -> None:
            if future.done():
                return
            if reply is None:
                future.set_exception(LinkBroken())
            else:
                future.set_result(reply)

        self.ask(user_id, command, settle, term=term, deadline=deadline, command_id=command_id, trace=trace)
        return future

    def ask(
        self,
        user_id: UserId,
        command: Command,
        on_reply: OnReply,
        *,
        term: Term,
        deadline: float,
        command_id: CommandId | None = None,
        trace: str | None = None,
    ) -> None:
        """Sends a call with this turn's frame. ``deadline`` is in the loop's time; soon after it the reply is
        ``Unavailable``."""
        self._last_id = call_id = self._last_id + 1
        self._waiting[call_id] = (on_reply, deadline)
        ms_left = max(0, int((deadline - self._loop.time()) * 1000))
        if not self._outgoing:
            self._loop.call_soon(self._send_calls)
        self._outgoing.append(Call(call_id, ms_left, term, user_id, command, command_id, trace))

    def close(self) -> None:
        """Breaks the link: outstanding calls fail."""
        self.transport.abort()

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._ticker = self._loop.call_later(TICK_S, self._tick)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._ticker is not None:
            self._ticker.cancel()
        waiting, self._waiting = self._waiting, {}
        if not self.ready.done():
            self.ready.set_exception(LinkBroken("closed before the handshake was over"))
        self._on_lost(self)
        Turns().add(partial(on_reply, None) for on_reply, _ in waiting.values())

    def on_frame(self, kind: int, body: memoryview, form: Format) -> None:
        self._heard_at = self._loop.time()
        if kind == Kind.REPLIES and self._proof is not None:
            for call_id, reply in replies_in(body, form):
                waiting = self._waiting.pop(call_id, None)
                if waiting is not None:
                    waiting[0](reply)
        elif kind != Kind.PONG:
            self._shake_hands(kind, body)

    def _shake_hands(self, kind: int, body: memoryview) -> None:
        if kind == Kind.HELLO:
            self._hello = decode_hello(body)
            self._proof = prove(self._credentials, self._hello, self.host_id, self.epoch, self._role)
            self.send(Kind.PROOF, encode(self._proof))
        elif kind == Kind.WELCOME and self._hello is not None and self._proof is not None:
            try:
                check_welcome(self._credentials, self._hello, self._proof, decode_welcome(body))
            except Rejected as rejected:
                self._reject(rejected)
                return
            if not self.ready.done():
                self.ready.set_result(None)
        elif kind == Kind.REJECT:
            self._reject(Rejected(msgspec.msgpack.decode(body, type=str)))
        else:
            raise BadFrame(f"a frame of kind {kind}")

    def _reject(self, rejected: Rejected) -> None:
        if not self.ready.done():
            self.ready.set_exception(rejected)
        self.transport.abort()

    def _send_calls(self) -> None:
        calls, self._outgoing = self._outgoing, []
        if self.transport.is_closing():
            return
        for first in range(0, len(calls), CALLS_PER_FRAME):
            self.send(Kind.CALLS, self._formats.writes.encode_calls(calls[first : first + CALLS_PER_FRAME]))

    def _tick(self) -> None:
        now = self._loop.time()
        if now - self._heard_at > SILENCE_S:
            log.warning("a link is silent and is broken", extra={"host": self.host_id})
            self.transport.abort()
            return
        self._fail_overdue(now)
        self._ticks += 1
        if self._ticks % PING_EVERY_TICKS == 0 and self.ready.done():  # the first thing a host may hear is the proof
            self.send(Kind.PING)
        self._ticker = self._loop.call_later(TICK_S, self._tick)

    def _fail_overdue(self, now: float) -> None:
        """Looks at all: who gives little time must not wait behind who gives much. 20,000 take a millisecond."""
        overdue = [call_id for call_id, (_, deadline) in self._waiting.items() if deadline <= now]
        for call_id in overdue:
            on_reply, _ = self._waiting.pop(call_id)
            on_reply(Unavailable("no answer in time", unknown=True))


def replies_in(body: memoryview, form: Format) -> list[tuple[int, Reply]]:
    """Those of a frame; one that is not understood fails alone. ``BadFrame`` for what holds no replies."""
    try:
        return form.decode_replies(body)
    except msgspec.DecodeError:
        try:
            return form.salvage_replies(body)
        except msgspec.DecodeError as damaged:
            raise BadFrame(str(damaged)) from damaged


async def connect(
    address: str,
    *,
    credentials: Credentials,
    host_id: HostId,
    epoch: Epoch,
    role: Role,
    on_lost: Callable[[DoorLink], None],
    formats: Formats,
) -> DoorLink:
    """A link that is ready for calls. ``LinkBroken`` or ``Rejected``, within ``CONNECT_TIMEOUT_S``."""
    host, _, port = address.rpartition(":")
    loop = asyncio.get_running_loop()
    certificates = credentials.certificates
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, link = await loop.create_connection(
                lambda: DoorLink(
                    credentials=credentials,
                    host_id=host_id,
                    epoch=epoch,
                    role=role,
                    on_lost=on_lost,
                    formats=formats,
                ),
                host,
                int(port),
                ssl=None if certificates is None else certificates.client_context,
            )
            try:
                await asyncio.shield(link.ready)
            except BaseException:
                link.transport.abort()
                raise
            if link.transport.is_closing():
                raise LinkBroken("closed in the very turn in which the handshake was over")
    except (OSError, TimeoutError) as unreachable:
        raise LinkBroken(str(unreachable)) from unreachable
    return link
