"""One run of schemathesis against a service, all checks, as another process."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.request import urlopen

from tests.fuzz.target import PRODUCTS_VARIABLE, Target

ROOT = Path(__file__).parents[2]
DOCUMENT = "/api/v1/library/openapi.json"
OVERTIME_S = 300.0
"""A phase that has begun is brought to its end."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    passed: bool
    output: str
    server_errors: tuple[str, ...]
    """Lines of the door's metrics that count answers of 500."""


def fuzz(target: Target, *, seconds: int, seed: int, examples: int, report: Path | None = None) -> Outcome:
    """Until the time is up; the output is shown as it comes if there is a terminal to show it to."""
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "--config-file",
        str(Path(__file__).with_name("schemathesis.toml")),
        "run",
        f"{target.url}{DOCUMENT}",
        f"--url={target.url}",
        "--checks=all",
        "--phases=examples,coverage,fuzzing,stateful",
        f"--max-time={seconds}",
        f"--max-examples={examples}",
        f"--seed={seed}",
        "--continue-on-failure",
        f"--header=Authorization: Bearer {target.token}",
        "--request-timeout=20",
    ]
    if report is not None:
        command += ["--report=junit", f"--report-junit-path={report}"]
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "tests.fuzz.hooks",
        PRODUCTS_VARIABLE: ",".join(map(str, target.products)),
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    with TemporaryDirectory(prefix="library-fuzz-") as notes:
        ran = subprocess.run(
            command, env=environment, cwd=notes, capture_output=True, text=True, check=False,
            timeout=seconds + OVERTIME_S, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    return Outcome(
        passed=ran.returncode == 0, output=ran.stdout + ran.stderr, server_errors=tuple(_server_errors(target.url))
    )


def _server_errors(url: str) -> list[str]:
    with urlopen(f"{url}/metrics", timeout=10) as page:
        lines = page.read().decode().splitlines()
    return [line for line in lines if line.startswith("library_http_requests_total{") and 'status="500"' in line]
