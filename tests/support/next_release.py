"""The processes of a build after this one, whose shapes are ``tests.support.next_shapes``.

``python -m tests.support.next_release start`` and ``finish`` are its `library start` and `library release finish`.
"""

import asyncio
import os
import sys
from typing import Any

from actors.domain.ids import HostId
from cluster import service
from cluster.fleet import with_fleet
from cluster.service import Release
from cluster.settings import load_settings
from cluster.wiring.door import DoorProcess
from cluster.wiring.door import build as build_door
from cluster.wiring.host import HostProcess
from cluster.wiring.ingress import IngressProcess
from cluster.wiring.relay import RelayProcess
from cluster.wiring.supervisor import Factories, SupervisorProcess
from cluster.wiring.values import read_settings
from tests.support.next_shapes import VERSION, next_formats


def host(settings: dict[str, Any], host_id: int) -> HostProcess:
    return HostProcess(read_settings(settings), HostId(host_id), next_formats())


def relay(settings: dict[str, Any]) -> RelayProcess:
    return RelayProcess(read_settings(settings), next_formats())


def ingress(settings: dict[str, Any]) -> IngressProcess:
    return IngressProcess(read_settings(settings), next_formats())


def supervisor(settings: dict[str, Any]) -> SupervisorProcess:
    here = __name__
    factories = Factories(host=f"{here}:host", relay=f"{here}:relay", ingress=f"{here}:ingress")
    return SupervisorProcess(settings, factories, next_formats())


async def door(settings: dict[str, Any]) -> DoorProcess:
    return await build_door(settings, next_formats())


NEXT_RELEASE = Release(supervisor="tests.support.next_release:supervisor", door="tests.support.next_release:door")


def main() -> None:
    """As `library start` and `library release finish` of that build."""
    settings = load_settings(os.environ)
    if sys.argv[1:] == ["finish"]:
        old = asyncio.run(with_fleet(settings, lambda fleet: fleet.raise_version(VERSION)))
        sys.exit(f"cannot read it: {[process.info.name for process in old]}" if old else 0)
    else:
        service.connect(settings)
        service.start(settings, lambda _step: None, NEXT_RELEASE)


if __name__ == "__main__":
    main()
