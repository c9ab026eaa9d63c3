"""A process of a trial's own that is told what to do line by line, and ends when it is told nothing more."""

import asyncio

END_TIMEOUT_S = 10.0


async def end(process: asyncio.subprocess.Process) -> None:
    """Returns when it has ended; killed when it does not in time."""
    assert process.stdin is not None, "it is a pipe"
    process.stdin.close()
    try:
        async with asyncio.timeout(END_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
