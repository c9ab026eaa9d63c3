"""Errors on their way to a client: in its language, logged, under a trace id that both sides see (R-ERR-1, R-OBS-1)."""

import logging
from collections.abc import Mapping
from typing import TypedDict

from actors.telemetry.logs import LogBudget
from serve_app.errors import ApiError, error_body, error_headers, language_of, new_trace_id
from serve_app.negotiation import trace_of
from serve_app.outcomes import Answer

_log = logging.getLogger(__name__)


class Described(TypedDict):
    headers: Mapping[bytes, bytes]
    request: str
    trace_id: str | None


class ErrorAnswers:
    """Lines about the clients' errors are bounded by ``budget``; our own bugs are always logged."""

    def __init__(self, budget: LogBudget) -> None:
        self._budget = budget

    def error(
        self, error: ApiError, headers: Mapping[bytes, bytes], request: str, trace_id: str | None = None
    ) -> Answer:
        """``headers`` (names in lower case), ``request`` and ``trace_id`` are what is known of the request."""
        if trace_id is None and (traceparent := headers.get(b"traceparent")) is not None:
            trace_id = trace_of(traceparent)
        trace_id = trace_id or new_trace_id()
        language = language_of(headers.get(b"accept-language", b""))
        if self._budget.allows():
            _log.warning(
                "%s: %s",
                request[:200],
                error.entry.code,
                extra={"trace_id": trace_id, "status": error.entry.status, "detail": error.faults[0].detail},
            )
        body = error_body(error, language)
        return Answer(error.entry.status, error_headers(error, body, language, trace_id), body)

    def crash(
        self, bug: BaseException, headers: Mapping[bytes, bytes], request: str, trace_id: str | None = None
    ) -> Answer:
        """A bug of ours: the client learns the incident's id, the log all of it."""
        incident = new_trace_id()
        _log.error("incident %s: %s", incident, request[:200], exc_info=bug)
        return self.error(ApiError("INTERNAL_ERROR", f"incident {incident}"), headers, request, trace_id)
