# ruff: noqa: T201
"""`make fuzz`: schemathesis against a service of its own, for as long as is wished.

make fuzz                                  ten minutes, a random seed
make fuzz FUZZ="--seconds 3600 --seed 7"   an hour, the same requests each time
make fuzz FUZZ="--url URL --token TOKEN"   a service that runs already
"""

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

from tests.fuzz.run import Outcome, fuzz
from tests.fuzz.target import EXAMPLE_PRODUCT, Target, target_of
from tests.support.running_service import RunningService


def main() -> int:
    options = _options()
    seed = random.randrange(2**31) if options.seed is None else options.seed
    print(f"fuzzing for {options.seconds} s, seed {seed}", flush=True)
    if options.url:
        target = Target(url=options.url.rstrip("/"), token=options.token, products=(EXAMPLE_PRODUCT,))
        return _report(fuzz(target, seconds=options.seconds, seed=seed, examples=options.examples), seed)
    directory = Path(tempfile.mkdtemp(prefix="library-fuzz-"))
    directory.chmod(0o755)
    service = RunningService(directory, LIBRARY_RATE_LIMITS="false")
    try:
        service.start()
        outcome = fuzz(target_of(service), seconds=options.seconds, seed=seed, examples=options.examples)
        return _report(outcome, seed)
    finally:
        service.destroy()
        shutil.rmtree(directory, ignore_errors=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make fuzz", description="Sends the service what its contract allows, and not."
    )
    parser.add_argument("--seconds", type=int, default=600, help="how long (600)")
    parser.add_argument("--seed", type=int, help="the same seed sends the same requests (random)")
    parser.add_argument("--examples", type=int, default=200, help="at most so many a phase and operation (200)")
    parser.add_argument("--url", help="a running service instead of one of its own")
    parser.add_argument("--token", help="a bearer token for it")
    options = parser.parse_args()
    if bool(options.url) is not bool(options.token):
        parser.error("--url and --token belong together")
    return options


def _report(outcome: Outcome, seed: int) -> int:
    print(outcome.output)
    for line in outcome.server_errors:
        print(f"answers of 500: {line}")
    passed = outcome.passed and not outcome.server_errors
    print(f"{'passed' if passed else 'FAILED'}, seed {seed}")
    return 0 if passed else 1


sys.exit(main())
