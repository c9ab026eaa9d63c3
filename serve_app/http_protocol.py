"""HTTP/1.1 with bounds (R-SEC-4): uvicorn's protocol over llhttp, plus what it lacks.

Bounded are a request's first line, headers, body, pipeline depth, and the time each phase of a connection may take:

    idle ── first byte ──▶ head ── headers complete ──▶ body ── message complete ──▶ idle
                                            └─ the app works, from here to the end of its answer ─┘
    any ── refusal: error written, half closed ──▶ deaf (what still comes is thrown away) ──▶ closed

No timer per request: a connection notes its deadlines, and the door's one sweeper compares them with the clock. What
is refused here never reached a route, but has the same error body as everything else.
"""

from asyncio import AbstractEventLoop, Transport
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.server import ServerState

from serve_app.beat_lane import BeatLane
from serve_app.errors import ApiError
from serve_app.http_answering import AnsweringProtocol
from serve_app.wire import Phase, Stop, Wire

PIPELINE_DEPTH = 64
CHUNK_OVERHEAD = 8
"""How many bytes on the wire a byte of a chunked body may cost, before it counts as an attack."""


class BoundedHttpProtocol(AnsweringProtocol):
    def __init__(
        self,
        wire: Wire,
        lane: BeatLane,
        *,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(wire, config=config, server_state=server_state, app_state=app_state, _loop=_loop)
        self._lane = lane
        self._limits = wire.limits
        self._fed = 0
        self._chunk = 0
        self._body_bytes = 0
        self._unparsed_body_bytes = 0

    # The connection

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._read_deadline = self.loop.time() + self._limits.header_timeout_s
        if len(self.connections) > self._limits.connections:
            self._refuse(ApiError("SERVICE_UNAVAILABLE", "too many connections", retry_after_s=1))

    def data_received(self, data: bytes) -> None:
        if self._phase is Phase.IDLE:
            self._begin_head()
        while data and self._phase is not Phase.DEAF:
            if self._unparsed_body_bytes:
                data = self._take_unparsed_body(data)
            else:
                self._chunk = len(data)
                self._fed += len(data)
                data = self._feed(data)
        if self._phase is Phase.HEAD and self._fed > self._limits.header_bytes + self._limits.request_line_bytes:
            self._refuse(ApiError("REQUEST_HEADER_FIELDS_TOO_LARGE"))
        elif self._phase is Phase.BODY and self._fed > CHUNK_OVERHEAD * self._limits.body_bytes + 2 * 65_536:
            self._refuse(ApiError("PAYLOAD_TOO_LARGE"))

    def _feed(self, data: bytes) -> bytes:
        """What the parser left unread: it stops where a client offers to upgrade, we go on in HTTP/1.1."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            return data[upgrade.args[0] :]
        except httptools.HttpParserCallbackError as error:
            stop = error.__context__
            self._refuse(ApiError(stop.code if isinstance(stop, Stop) else "MALFORMED_REQUEST"))
        except httptools.HttpParserError:
            self._refuse(ApiError("MALFORMED_REQUEST"))
        return b""

    def _take_unparsed_body(self, data: bytes) -> bytes:
        """httptools takes what follows an offer to upgrade for another protocol, also the body: read it for it.

        Otherwise a body would be parsed as the next request.
        """
        part, rest = data[: self._unparsed_body_bytes], data[self._unparsed_body_bytes :]
        self._unparsed_body_bytes -= len(part)
        self.on_body(part)
        if not self._unparsed_body_bytes:
            self.on_message_complete()
        return rest

    def sweep(self, now: float) -> None:
        """Ends what took too long; called by the door's sweeper."""
        if self.transport is None:
            return
        if self.transport.is_closing():
            if now > max(self._read_deadline, self._busy_deadline):
                self.transport.abort()  # the peer does not read its last answer
        elif self._working():
            if now > self._busy_deadline:
                self.transport.abort()
            elif self._phase is Phase.BODY and now > self._read_deadline and not self.pipeline:
                self._refuse(ApiError("REQUEST_TIMEOUT", "the body did not arrive in time"))
        elif now > self._read_deadline:
            if self._phase is Phase.DEAF:
                self.transport.abort()
            elif self._phase is Phase.HEAD:
                self._refuse(ApiError("REQUEST_TIMEOUT", "the headers did not arrive in time"))
            else:
                self._hang_up()

    # The parser's callbacks

    def on_message_begin(self) -> None:
        if self._phase is not Phase.HEAD:
            self._begin_head()
        self._body_bytes = 0
        self.url = b""
        self.headers = []

    def on_url(self, url: bytes) -> None:
        self.url += url
        if len(self.url) > self._limits.request_line_bytes:
            raise Stop("URI_TOO_LONG")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._phase is Phase.BODY:
            return  # a trailer must not pass for a header
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        limits, parser, headers = self._limits, self.parser, self.headers
        by_name = dict(headers)
        if len(headers) > limits.header_count:
            raise Stop("REQUEST_HEADER_FIELDS_TOO_LARGE")
        if max(self._fed, self._chunk) > limits.header_bytes and self._head_bytes() > limits.header_bytes:
            raise Stop("REQUEST_HEADER_FIELDS_TOO_LARGE")
        declared_bytes = int(by_name.get(b"content-length", 0))
        if declared_bytes > limits.body_bytes:
            raise Stop("PAYLOAD_TOO_LARGE")
        if len(self.pipeline) >= PIPELINE_DEPTH:
            raise Stop("SERVICE_UNAVAILABLE")
        chunked = b"transfer-encoding" in by_name
        upgrade = parser.should_upgrade()
        if upgrade:
            if chunked:
                raise Stop("MALFORMED_REQUEST")
            self._unparsed_body_bytes = declared_bytes
        now = self.loop.time()
        if declared_bytes or chunked or upgrade or not self._take_lane(by_name, now):
            self._take_cycle(now)
        self._phase = Phase.BODY
        self._read_deadline = now + limits.body_timeout_s

    def _take_lane(self, by_name: dict[bytes, bytes], now: float) -> bool:
        """Whether the request is a plain heartbeat on an idle connection, and on its way already."""
        if self._working() or self._wire.draining or self.flow.write_paused:
            return False
        parser = self.parser
        if parser.get_method() != b"POST" or parser.get_http_version() != "1.1" or not parser.should_keep_alive():
            return False
        beat = self._lane.begin(self, self.url, self.headers, by_name)
        if beat is None:
            return False
        self.cycle = self._running = beat  # type: ignore[assignment]  # uvicorn's view of both is the same
        self._busy_deadline = now + self._limits.response_timeout_s
        return True

    def _take_cycle(self, now: float) -> None:
        parser, version = self.parser, self.parser.get_http_version()
        if version not in ("1.1", "1.0"):
            raise Stop("MALFORMED_REQUEST")
        cycle = self._new_cycle(
            self._scope_of(parser.get_method(), version, self.url, self.headers),
            keep_alive=version != "1.0" and parser.should_keep_alive(),
            expects=any(name == b"expect" and value.lower() == b"100-continue" for name, value in self.headers),
        )
        self.cycle = cycle
        if self._working():
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))
        else:
            self._run(cycle, now)

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > self._limits.body_bytes:
            raise Stop("PAYLOAD_TOO_LARGE")
        if not self.cycle.response_complete:
            self.cycle.body += body
            self.cycle.message_event.set()

    def on_message_complete(self) -> None:
        if self._unparsed_body_bytes:
            return
        self._phase = Phase.IDLE
        self._read_deadline = self.loop.time() + self._limits.idle_timeout_s
        if not self.cycle.response_complete:
            self.cycle.more_body = False
            self.cycle.message_event.set()

    def _begin_head(self) -> None:
        self._phase = Phase.HEAD
        self._fed = 0
        self._read_deadline = self.loop.time() + self._limits.header_timeout_s

    def _head_bytes(self) -> int:
        return sum(len(name) + len(value) + 4 for name, value in self.headers)
