"""What a connection has in work: the answers, one after the other, and its last words (R-SEC-4).

A request works from its headers to the end of its answer; those behind it wait in uvicorn's pipeline. A refusal waits
for the answers before it, is written, and then nothing is heard any more. When which phase begins: ``http_protocol``.
"""

import urllib.parse
from asyncio import AbstractEventLoop, Event
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from serve_app.beat_lane import Beat
from serve_app.errors import ApiError
from serve_app.fast_path import LANE_DEADLINE
from serve_app.outcomes import Answer
from serve_app.wire import Phase, Wire, encode_answer


class AnsweringProtocol(HttpToolsProtocol):
    """``_read_deadline`` is when what a client is sending must be there, ``_busy_deadline`` when it must have its
    answer."""

    def __init__(
        self,
        wire: Wire,
        *,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config=config, server_state=server_state, app_state=app_state, _loop=_loop)
        self._wire = wire
        self._phase = Phase.IDLE
        self._read_deadline = 0.0
        self._busy_deadline = 0.0
        self._running: RequestResponseCycle | Beat | None = None
        self._last_words: bytes | None = None

    def shutdown(self) -> None:
        """uvicorn's word for: finish what you are doing and close."""
        if self._running is not None and self._working():
            self._running.keep_alive = self._running.keep_alive and bool(self.pipeline)
        else:
            self.transport.close()

    def announce_end(self) -> None:
        """From now on this connection's last answer says ``Connection: close``."""
        if self._running is not None and not self.pipeline:
            self._running.keep_alive = False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        self.pipeline.clear()
        super().connection_lost(exc)

    def _new_cycle(self, scope: Any, *, keep_alive: bool, expects: bool) -> RequestResponseCycle:
        return RequestResponseCycle(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=Event(),
            expect_100_continue=expects,
            keep_alive=keep_alive and not self._wire.draining,
            on_response=self.on_response_complete,
        )

    def answer_beat(self, beat: Beat, answer: Answer) -> None:
        """The answer of a heartbeat that took the lane."""
        beat.response_complete = True
        if self.transport.is_closing():
            return
        self.transport.write(encode_answer(answer, self.server_state.default_headers, close=not beat.keep_alive))
        if not beat.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def take_long_way(self, beat: Beat) -> None:
        """The heartbeat goes on with what is left of its time; it has no body, so it is whole."""
        scope = self._scope_of(b"POST", "1.1", beat.url, beat.headers)
        scope[LANE_DEADLINE] = beat.deadline
        cycle = self._new_cycle(scope, keep_alive=True, expects=False)
        cycle.keep_alive = beat.keep_alive  # also while the door drains: others may be waiting behind it
        cycle.more_body = False
        cycle.message_event.set()
        if self.cycle is self._running:
            self.cycle = cycle
        self._run(cycle, self.loop.time())

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        now = self.loop.time()
        if self._phase is Phase.IDLE:
            self._read_deadline = now + self._wire.limits.idle_timeout_s
        self.flow.resume_reading()
        if self.pipeline:
            cycle, _ = self.pipeline.pop()
            if self._wire.draining and not self.pipeline:
                cycle.keep_alive = False
            self._run(cycle, now)
        elif self._last_words is not None:
            self._say_and_go_deaf(self._last_words)

    def _run(self, cycle: RequestResponseCycle, now: float) -> None:
        self._running = cycle
        self._busy_deadline = now + self._wire.limits.response_timeout_s
        self._start_asgi_task(cycle, self.app)

    def _refuse(self, error: ApiError) -> None:
        """Ends the connection with this error, after the answers that earlier requests still wait for."""
        words = self._wire.words(error, self.headers or [], self.server_state.default_headers)
        in_body = self._phase is Phase.BODY
        self._phase = Phase.DEAF
        self._read_deadline = self.loop.time() + self._wire.limits.linger_s
        if in_body and not self._take_back_current():
            return
        if self._working():
            self._last_words = words
        else:
            self._say_and_go_deaf(words)

    def _take_back_current(self) -> bool:
        """Stops the request whose body is being read; False if its answer has begun, so that no other can follow."""
        cycle = self.cycle
        if cycle is not self._running:
            self.pipeline.popleft()
            return True
        if cycle.response_complete:
            self._hang_up()
            return False
        if cycle.response_started:
            cycle.keep_alive = False
            return False
        cycle.disconnected = True
        cycle.message_event.set()
        self._running = None
        return True

    def _say_and_go_deaf(self, words: bytes) -> None:
        """Half-closes, because closing with unread input would make the kernel take the error back (RST)."""
        self._phase = Phase.DEAF
        self._read_deadline = self.loop.time() + self._wire.limits.linger_s
        self.transport.write(words)
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    def _hang_up(self) -> None:
        """A peer that has not even read its last answer gets no more time to do so."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def _working(self) -> bool:
        return self._running is not None and not self._running.response_complete

    def _scope_of(self, method: bytes, version: str, whole_url: bytes, headers: Any) -> Any:
        url = httptools.parse_url(whole_url)
        path = url.path.decode("ascii")
        return {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "root_path": self.root_path,
            "method": method.decode("ascii"),
            "path": urllib.parse.unquote(path) if "%" in path else path,
            "raw_path": url.path,
            "query_string": url.query or b"",
            "headers": headers,
            "state": self.app_state.copy(),
        }
