"""The same contract, asked by Go's client (R-RPC-3): what a client in another language sees."""

import asyncio
import shutil
import subprocess
from pathlib import Path

import pytest

from actors.domain.ids import ProductId, UserId, format_id
from tests.support.actor import an_id
from tests.support.rpc_door import GAME, GAME_SERVER, OTHER_USER, READER, USER, OpenRpcDoor

MODULE = Path(__file__).parents[2] / "go"
BUILD_TIMEOUT_S = 300
RUN_TIMEOUT_S = 60
ITEMS = 3_500
CHECKS = 28
GRPCIO_DIFFERS = {
    "unknown compression",
    "no message",
    "half a header",
    "half a message",
    "two messages",
    "a flag nobody knows",
}
"""What grpcio does its own way: it waits for the rest of a message that is not whole until its caller has left, takes
the first of two messages, and answers an encoding that it cannot read with INTERNAL. No well-made client sends that."""
SILENT = UserId(an_id(0x51))


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("go")
    if compiler is None:
        pytest.skip("Go is missing: the contract was asked by grpcio's client alone")
    built = tmp_path_factory.mktemp("go") / "contract"
    done = subprocess.run(
        [compiler, "build", "-o", str(built), "./contract"],
        cwd=MODULE,
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT_S,
        check=False,
    )
    if "dial tcp" in done.stderr or "no such host" in done.stderr:
        pytest.skip("Go's modules are out of reach: the contract was asked by grpcio's client alone")
    assert done.returncode == 0, done.stderr
    return built


async def test_gos_client_finds_the_contract_kept(door: OpenRpcDoor, program: Path) -> None:
    """Status details, deadlines, cancellation, compression, sizes, streams, malformed frames, a renewed certificate."""
    door.engine.buy(OTHER_USER, *[ProductId(an_id(number)) for number in range(1, ITEMS + 1)])
    door.engine.silent_users.add(SILENT)
    session = await door.start_session()
    certificate, key = door.credential(READER).certificate, door.credential(READER).key
    shutil.copy(certificate, door.folder / "client.crt")
    shutil.copy(key, door.folder / "client.key")
    door.credential(GAME_SERVER)
    asked = {
        "address": f"127.0.0.1:{door.port}",
        "folder": str(door.folder),
        "game-server": GAME_SERVER,
        "user": format_id(USER),
        "game": format_id(GAME),
        "session": format_id(session),
        "collector": format_id(OTHER_USER),
        "items": str(ITEMS),
        "silent": format_id(SILENT),
    }
    process = await asyncio.create_subprocess_exec(
        str(program),
        *(f"-{name}={value}" for name, value in asked.items()),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    lines = []
    try:
        async with asyncio.timeout(RUN_TIMEOUT_S):
            async for line in process.stdout:
                lines.append(line.decode().rstrip())
                if lines[-1] == "ROTATE":
                    door.authority.issue("server")
                    await door.door.refresh_certificates()
                    process.stdin.write(b"\n")
            status = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()

    failed = {line.partition(":")[0].removeprefix("FAIL ") for line in lines if line.startswith("FAIL ")}
    told = "\n".join(lines)
    assert status in (0, 1), told
    assert failed <= (GRPCIO_DIFFERS if door.door.settings.server == "grpcio" else set()), told
    assert len(lines) == CHECKS + 1, told
