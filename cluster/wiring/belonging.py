"""A door as one of the cluster's processes. Unlike the others it opens without Postgres, so it may join later."""

import asyncio

from actors.fleet.membership import Membership

JOIN_WITHIN_S = 3.0
"""With Postgres there, a door of an older release than the cluster's does not open."""


class Belonging:
    """``begin`` before anything else of the door; ``end`` after it."""

    def __init__(self, member: Membership) -> None:
        self._member = member
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """``NewerCluster`` when this release may not run beside the others."""
        join = asyncio.create_task(self._member.join(), name="joining the fleet")
        done, _ = await asyncio.wait({join}, timeout=JOIN_WITHIN_S)
        for task in done:
            task.result()
        self._task = asyncio.create_task(self._belong(join), name="belonging to the fleet")

    def serves(self) -> None:
        self._member.serves()

    def check(self) -> None:
        """Raises ``RuntimeError`` when the cluster went on to a version that this door does not know."""
        if self._task is not None and self._task.done():
            raise RuntimeError(f"the door does not belong to the cluster any more: {self._task.exception()}")

    async def end(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _belong(self, join: "asyncio.Task[None]") -> None:
        await join
        await self._member.beside(_until_cancelled())


async def _until_cancelled() -> None:
    await asyncio.Event().wait()
