"""The whole service as a user runs it, with what tests do to it beside ``library chaos``: requests and commands."""

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cluster.chaos.running import LIBRARY, RunningLibrary


@dataclass(frozen=True, kw_only=True)
class HttpAnswer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class RunningService(RunningLibrary):
    """Started by ``start``; everything it starts ends with ``stop``, or with this process."""

    def get(self, path: str, token: str | None = None) -> HttpAnswer:
        return self.request("GET", path, token)

    def request(self, method: str, path: str, token: str | None = None, body: Any = None) -> HttpAnswer:
        """Status 0 when nobody answers."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(f"{self.url}{path}", data=data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return HttpAnswer(status=answer.status, headers=dict(answer.headers), body=answer.read())
        except urllib.error.HTTPError as error:
            return HttpAnswer(status=error.code, headers=dict(error.headers), body=error.read())
        except OSError as error:
            return HttpAnswer(status=0, headers={}, body=str(error).encode())

    def command(self, *arguments: str, timeout_s: float = 600) -> "subprocess.CompletedProcess[str]":
        """Runs a ``library`` command against this service."""
        return subprocess.run(
            [*LIBRARY, *arguments],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def begin(self, *arguments: str) -> "subprocess.Popen[str]":
        """The same, in the background."""
        return subprocess.Popen(
            [*LIBRARY, *arguments],
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
