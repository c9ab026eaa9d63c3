"""The one table of handlers that both servers serve: what a method takes, gives, allows and may cost."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from google.protobuf.message import Message
from msgspec import Struct

from actors.domain.ids import UserId
from serve_app.rpc.callers import Peer, Role

KIB = 1024


class Kind(Enum):
    """Whether a request and an answer are one message or a stream of them."""

    UNARY = "unary"
    CLIENT_STREAM = "client_stream"
    SERVER_STREAM = "server_stream"
    BIDI = "bidi"


class Call(Struct, frozen=True, gc=False):
    """What a handler knows of its call besides the message. ``deadline`` is the caller's own, in the loop's time;
    ``user_id`` is whose token the call carries."""

    peer: Peer
    user_id: UserId | None
    deadline: float | None
    trace: str | None


Unary = Callable[[Any, Call], Awaitable[Message]]
ClientStream = Callable[[AsyncIterator[Any], Call], Awaitable[Message]]
ServerStream = Callable[[Any, Call], AsyncIterator[Message]]
Bidi = Callable[[AsyncIterator[Any], Call], AsyncIterator[Message]]
Handler = Unary | ClientStream | ServerStream | Bidi


@dataclass(frozen=True, kw_only=True)
class Method:
    """``role``: who may call it without a user's token; None for everybody whose certificate is trusted.

    ``by_user``: a user's token admits it too; the handler checks that the message speaks of that user alone.
    ``message_bytes`` bounds one request message, ``in_work`` the calls of one door at the same time, ``idle_s`` the
    silence of a stream.
    """

    service: str
    name: str
    kind: Kind
    request: type[Message]
    handler: Handler
    role: Role | None = None
    by_user: bool = False
    message_bytes: int = 64 * KIB
    in_work: int = 10_000
    idle_s: float = 30.0

    @property
    def path(self) -> str:
        return f"/{self.service}/{self.name}"


Table = dict[str, Method]
"""By path."""


def table(methods: Iterable[Method]) -> Table:
    found: Table = {}
    for method in methods:
        if method.path in found:
            raise ValueError(f"{method.path} has two handlers")
        found[method.path] = method
    return found
