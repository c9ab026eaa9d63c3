"""Background work that must not end, whatever goes wrong in between."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

_log = logging.getLogger(__name__)


async def supervised(name: str, act: Callable[[], Awaitable[object]], every_s: float) -> None:
    """Acts again and again."""
    while True:
        await asyncio.sleep(every_s)
        try:
            await act()
        except Exception:  # noqa: BLE001  # a supervised loop: what fails is logged and tried again
            _log.exception("%s failed; going on", name)
