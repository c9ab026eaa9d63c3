"""A gRPC door with nothing behind it: what the server itself costs. A process of its own, ended by its parent.

``python -m tests.benchmarks.rpc.door_alone SERVER FOLDER`` says its port and serves until it is killed.
"""

import asyncio
import gc
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import uvloop

from actors.certificates import CertificateFiles
from actors.domain.commands import CheckAccess, Command
from actors.domain.ids import SECOND, CommandId, Micros, UserId
from actors.domain.replies import AccessSince, Reply, Unavailable
from actors.many_access import OnAnswers, Pair
from actors.telemetry.exposition import new_registry
from cluster.dev.certificates import CALLER, DevelopmentCertificates
from serve_app.authentication import new_authenticator
from serve_app.rpc.callers import Role
from serve_app.rpc.door import RpcDoor
from serve_app.rpc.settings import RpcSettings, Server
from serve_app.settings import AuthSettings

SINCE = Micros(1_710_496_500 * SECOND)
SECRET = b"nobody brings a token to this door"


class OwnersOfEverything:
    """Actors that answer at once."""

    map_complete = True

    def try_call(
        self,
        _user_id: UserId,
        command: Command,
        on_reply: Callable[[Reply | None], None],
        *,
        timeout_s: float,
        trace: str | None = None,
    ) -> bool:
        asyncio.get_running_loop().call_soon(on_reply, _answer(command))
        return True

    def check_many(
        self, pairs: Sequence[Pair], on_answers: OnAnswers, *, timeout_s: float, trace: str | None = None
    ) -> None:
        on_answers([SINCE] * len(pairs))

    async def call(
        self,
        _user_id: UserId,
        command: Command,
        *,
        timeout_s: float,
        command_id: CommandId | None = None,
        trace: str | None = None,
    ) -> Reply:
        return _answer(command)


def _answer(command: Command) -> Reply:
    if type(command) is CheckAccess:
        return AccessSince([SINCE] * len(command.product_ids))
    return Unavailable("asked for something else")


async def serve(server: Server, folder: Path) -> None:
    gc.set_threshold(50_000, 20, 50)
    files = DevelopmentCertificates.of(folder)
    files.ensure()
    registry = new_registry()
    door = RpcDoor(
        RpcSettings(
            tls=CertificateFiles(certificate=files.certificate, key=files.key, ca=files.authority),
            roles={Role.READER: frozenset({CALLER})},
            server=server,
            host="127.0.0.1",
            port=0,
        ),
        actors=OwnersOfEverything(),
        authenticator=new_authenticator(AuthSettings(hs256_secret=SECRET), registry=registry),
        registry=registry,
    )
    await door.start()
    print(f"PORT {door.port}", flush=True)  # noqa: T201  # its parent reads it
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve("h2corn" if sys.argv[1] == "h2corn" else "grpcio", Path(sys.argv[2])))
