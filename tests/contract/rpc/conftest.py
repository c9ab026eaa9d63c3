"""Each test of the gRPC door runs twice: over h2corn and over grpcio."""

from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.rpc_door import OpenRpcDoor, open_rpc_door


@pytest.fixture(params=["h2corn", "grpcio"])
async def door(request: pytest.FixtureRequest) -> AsyncIterator[OpenRpcDoor]:
    """A door with mTLS; ``USER`` owns ``GAME``."""
    with TemporaryDirectory(prefix="rpc-") as folder:
        async with open_rpc_door(Path(folder), server=request.param) as opened:
            yield opened
