"""A host's end of the links: takes calls in, sends replies back in whatever order they come.

Replies of one turn of the event loop travel in one frame. Reading pauses while the host has too much to do, so that a
full host pushes back instead of growing.
"""

import asyncio
import functools
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from actors.certificates import CHECK_S
from actors.domain.ids import Epoch, HostId, shard_of
from actors.domain.replies import Overloaded, Reply, Unavailable
from actors.formats import Format, Formats
from actors.link.calls import Call, UnknownCall
from actors.link.frames import MAX_FRAME_BYTES, BadFrame, FrameProtocol, Kind, encode
from actors.link.handshake import Credentials, Hello, Rejected, Role, decode_proof, new_hello, verify
from actors.mailbox import Mailbox, Pending
from actors.release import release_formats
from actors.supervised import supervised

log = logging.getLogger(__name__)

HANDSHAKE_TIMEOUT_S = 3.0
SILENCE_S = 10.0
"""A peer pings every second; one that was silent for so long is gone."""
SILENCE_CHECK_S = 1.0
PATIENT_S = 1.0
"""Who hangs up sooner, before the handshake is over, was no door that waited for this host: a probe of the port must
not keep sessions from timing out."""


class LinkEvents(Protocol):
    """Told when a door comes and goes: what a host hears depends on it."""

    def door_linked(self) -> None: ...

    def door_lost(self) -> None: ...

    def door_missed(self) -> None:
        """Somebody tried to link and could not: a slow network, or a door that gave up waiting."""
        ...


class LinkServer:
    """Listens from the moment the process begins, so that its address is known, and serves once it is ``open``."""

    def __init__(
        self,
        *,
        credentials: Credentials,
        host_id: HostId,
        max_commands_per_link: int,
        max_frame_bytes: int = MAX_FRAME_BYTES,
        formats: Formats | None = None,
    ) -> None:
        self.formats = formats or release_formats()
        self.credentials = credentials
        self.host_id = host_id
        self.max_commands_per_link = max_commands_per_link
        self.max_frame_bytes = max_frame_bytes
        self.epoch = Epoch(0)
        self.mailbox: Mailbox | None = None
        self.events: LinkEvents | None = None
        self.loop_time: Callable[[], float] = asyncio.get_running_loop().time
        self.links: dict[HostLink, None] = {}
        self._server: asyncio.Server | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def listen(self, address: str, advertised: str | None = None) -> str:
        """Binds a free port of ``address``; returns ``host:port`` for others to reach it by, at ``advertised`` if that
        is another address. Links are turned away until ``open``."""
        certificates = self.credentials.certificates
        self._server = await asyncio.get_running_loop().create_server(
            lambda: HostLink(self),
            address,
            0,
            ssl=None if certificates is None else certificates.server_context,
            ssl_handshake_timeout=None if certificates is None else HANDSHAKE_TIMEOUT_S,
        )
        self._tasks = [asyncio.create_task(self._watch(), name="link watch")]
        if certificates is not None:
            self._tasks.append(
                asyncio.create_task(
                    supervised("link certificate", certificates.refresh, CHECK_S), name="link certificate"
                )
            )
        port = self._server.sockets[0].getsockname()[1]
        return f"{advertised or address}:{port}"

    def open(self, epoch: Epoch, mailbox: Mailbox, events: LinkEvents) -> None:
        """From now on links that know the epoch are let in."""
        self.epoch, self.mailbox, self.events = epoch, mailbox, events

    async def close(self) -> None:
        """Stops listening and closes every link, after what was written has gone."""
        for task in self._tasks:
            task.cancel()
        if self._server is not None:
            self._server.close()
        for link in list(self.links):
            link.transport.close()

    async def _watch(self) -> None:
        """Ends links whose peer is silent, unless they are paused: what the peer says is waiting in the socket then."""
        while True:
            await asyncio.sleep(SILENCE_CHECK_S)
            now = self.loop_time()
            for link in list(self.links):
                if not link.paused and now - link.heard_at > (SILENCE_S if link.role else HANDSHAKE_TIMEOUT_S):
                    link.transport.abort()


class HostLink(FrameProtocol):
    """One link, seen from the host."""

    def __init__(self, server: LinkServer) -> None:
        super().__init__(server.formats, server.max_frame_bytes)
        self._server = server
        self._hello: Hello = new_hello()
        self._replies: list[tuple[int, Reply]] = []
        self._outstanding = 0
        self.paused = False
        self.role: Role | None = None
        self._rejected = False
        self._began = server.loop_time()
        self.heard_at = self._began

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._server.links[self] = None
        self.send(Kind.HELLO, encode(self._hello))

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.links.pop(self, None)
        if self._server.events is None:
            return
        if self.role == "door":
            self._server.events.door_lost()
        elif self.role is None and not self._rejected and self._server.loop_time() - self._began >= PATIENT_S:
            self._server.events.door_missed()

    def on_frame(self, kind: int, body: memoryview, form: Format) -> None:
        self.heard_at = self._server.loop_time()
        if self.role is None:
            self._shake_hands(kind, body)
        elif kind == Kind.CALLS:
            self._take_calls(body, form)
        elif kind == Kind.PING:
            self.send(Kind.PONG)
        else:
            raise BadFrame(f"a frame of kind {kind}")

    def on_bad_frame(self, bad: BadFrame) -> None:
        log.warning("a link sent a bad frame", extra={"reason": str(bad)})
        super().on_bad_frame(bad)

    def _resume(self) -> None:
        self.paused = False
        self.heard_at = self._server.loop_time()
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def _shake_hands(self, kind: int, body: memoryview) -> None:
        server = self._server
        if kind != Kind.PROOF:
            raise BadFrame("no proof")
        proof = decode_proof(body)
        try:
            if server.mailbox is None or server.events is None:
                raise Rejected("the host is not ready")
            welcome = verify(server.credentials, self._hello, proof, server.host_id, server.epoch)
        except Rejected as rejected:
            log.warning("a link was rejected", extra={"reason": str(rejected)})
            self._rejected = True
            self.send(Kind.REJECT, encode(str(rejected)))
            self.transport.close()
            return
        self.role = proof.role
        if self.role == "door":
            server.events.door_linked()
        self.send(Kind.WELCOME, encode(welcome))

    def _take_calls(self, body: memoryview, form: Format) -> None:
        server = self._server
        mailbox = server.mailbox
        if mailbox is None:
            raise BadFrame("calls before the handshake")
        now = server.loop_time()
        for call in calls_in(body, form):
            respond = functools.partial(self._reply, call.call_id)
            self._outstanding += 1
            if isinstance(call, UnknownCall):
                log.warning("a call is not understood", extra={"reason": call.reason})
                respond(Unavailable("this host does not know the command yet"))
                continue
            if self._outstanding > server.max_commands_per_link:
                respond(Overloaded("link"))
                continue
            mailbox.offer(
                Pending(
                    user_id=call.user_id,
                    shard_id=shard_of(call.user_id),
                    command=call.command,
                    respond=respond,
                    deadline=now + call.ms_left / 1000,
                    command_id=call.command_id,
                    term=call.term,
                    trace=call.trace,
                )
            )
        if mailbox.congested and not self.paused:
            self.paused = True
            self.transport.pause_reading()
            mailbox.when_relieved(self._resume)

    def _reply(self, call_id: int, reply: Reply) -> None:
        self._outstanding -= 1
        if not self._replies:
            asyncio.get_running_loop().call_soon(self._send_replies)
        self._replies.append((call_id, reply))

    def _send_replies(self) -> None:
        replies, self._replies = self._replies, []
        if self.transport.is_closing():
            return
        encode_replies = self._formats.writes.encode_replies
        body = encode_replies(replies)
        if len(body) + 2 <= self._server.max_frame_bytes:
            self.send(Kind.REPLIES, body)
            return
        for reply in replies:
            self._send_alone(reply)

    def _send_alone(self, reply: tuple[int, Reply]) -> None:
        encode_replies = self._formats.writes.encode_replies
        body = encode_replies([reply])
        if len(body) + 2 > self._server.max_frame_bytes:
            body = encode_replies([(reply[0], Overloaded("frame"))])
        self.send(Kind.REPLIES, body)


def calls_in(body: memoryview, form: Format) -> Sequence[Call | UnknownCall]:
    """Those of a frame; one that is not understood fails alone, and not the link of all. ``BadFrame`` for what holds no
    calls."""
    try:
        return form.decode_calls(body)
    except msgspec.DecodeError:
        try:
            return form.salvage_calls(body)
        except msgspec.DecodeError as damaged:
            raise BadFrame(str(damaged)) from damaged
