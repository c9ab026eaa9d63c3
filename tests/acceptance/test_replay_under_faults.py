"""Real play hours through the running service while its parts are killed and its hosts come and go.

`library replay` is the client and the judge: it exits with 0 only if every total is exactly the sum of its sessions,
nothing acknowledged is missing, and no client gave up.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

from tests.acceptance.conftest import KILL_CLOCK_RATE
from tests.support.running_service import RunningService

SAMPLE = Path(__file__).parents[1] / "data" / "play-hours-sample.csv"
BACK_TIMEOUT_S = 60.0
REPLAY_TIMEOUT_S = 600


def replay(service: RunningService, report: Path, *options: str) -> "Popen[str]":
    return service.begin("replay", str(SAMPLE), "--json", str(report), *options)


def playing(service: RunningService) -> None:
    """Until sessions are live, so that what comes next hits them."""
    service.until(lambda: live_sessions(service) > 50, 60.0)


def live_sessions(service: RunningService) -> float:
    figures = service.get("/metrics").body.decode().splitlines()
    return sum(float(line.split()[-1]) for line in figures if line.startswith("library_host_live_sessions{"))


def outcome(process: "Popen[str]", report: Path) -> str:
    """What the command printed, for the message of a failed assertion; the report must be there."""
    printed, _ = process.communicate(timeout=REPLAY_TIMEOUT_S)
    assert report.exists(), printed
    return printed


def test_the_ledger_is_exact_although_every_part_is_killed(
    new_service: Callable[..., RunningService], tmp_path: Path
) -> None:
    """Promises 1 to 6, R-NFR-3, R-PT-4: `kill -9` of a host, the door, the relay, the ingress, the supervisor,
    Postgres' postmaster and Kafka, one after another."""
    service = new_service(LIBRARY_CLOCK_RATE=KILL_CLOCK_RATE)
    service.start()
    report = tmp_path / "report.json"
    process = replay(service, report, "--limit-rows", "400", "--cap", "25", "--concurrency", "300")
    playing(service)
    for name in ("host-0", "door", "outbox-relay", "kafka-ingress-0", "supervisor"):
        former = service.kill(name)
        service.until(lambda name=name, former=former: service.is_back(name, former), BACK_TIMEOUT_S)  # type: ignore[misc]
        settle(service)
    for part in (service.stack.postgres, service.stack.kafka):
        former_pid = part.pid
        part.kill()
        service.until(lambda part=part, former_pid=former_pid: part.running and part.pid != former_pid, BACK_TIMEOUT_S)  # type: ignore[misc]
        settle(service)
    assert process.poll() is None, "the replay ended before everything was killed"
    printed = outcome(process, report)
    assert process.returncode == 0, printed
    assert json.loads(report.read_text())["exact"] is True


def test_the_ledger_is_exact_although_hosts_come_and_go(
    new_service: Callable[..., RunningService], tmp_path: Path
) -> None:
    """Promises 1 to 5: hosts from 2 to 4 and back to 1 while users play."""
    service = new_service(LIBRARY_CLOCK_RATE="60")
    service.start()
    report = tmp_path / "report.json"
    process = replay(service, report, "--limit-rows", "400", "--cap", "40", "--concurrency", "300")
    playing(service)
    for count in ("4", "1"):
        scaled = service.command("hosts", "scale", count, timeout_s=150)
        assert scaled.returncode == 0, scaled.stdout + scaled.stderr
        settle(service)
    assert process.poll() is None, "the replay ended before the hosts were gone"
    service.until(lambda: len(service.pids("host-")) == 1, BACK_TIMEOUT_S)
    printed = outcome(process, report)
    assert process.returncode == 0, printed


def settle(service: RunningService) -> None:
    """Until the service answers again, and a moment of play between two faults."""
    service.until(lambda: service.get("/readyz").status == 200, BACK_TIMEOUT_S)
    time.sleep(2)
