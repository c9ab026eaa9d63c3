"""Which host is to be replaced by a fresh process next: one that runs another release, or on the wrong node.

A host that is replaced gives its shards away first, so that its users notice nothing, and gets its share back. One at a
time, and only while all others serve.
"""

from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct

from actors.domain.ids import HostId
from actors.fleet.ports import RunningProcess
from actors.placement import plan_nodes

HOST_PREFIX = "host-"
FRESH_S = 12.0
"""Not heard for so long, a process is not counted on: it says something every five seconds."""


class Node(Struct, frozen=True, kw_only=True):
    """A machine of the cluster. ``usable``: processes may be put there (it is not being emptied); ``settled``: it has
    been there for a while, so that it is worth moving something to it."""

    address: str
    usable: bool
    settled: bool


class Step(Struct, frozen=True, kw_only=True):
    """``nodes``: where a host is to be started if it has no process. ``renew``: the host to be replaced, or none.
    ``owners``: the hosts that should own all shards meanwhile. ``ready``: those that serve, on living nodes."""

    nodes: Mapping[HostId, str]
    renew: HostId | None
    owners: Sequence[HostId]
    ready: Collection[HostId]


def latest(processes: Sequence[RunningProcess]) -> dict[str, RunningProcess]:
    """By name, the process that was started last; ``processes`` come latest first."""
    found: dict[str, RunningProcess] = {}
    for process in processes:
        found.setdefault(process.info.name, process)
    return found


def hosts_in(processes: Mapping[str, RunningProcess]) -> dict[HostId, RunningProcess]:
    return {
        HostId(int(name.removeprefix(HOST_PREFIX))): process
        for name, process in processes.items()
        if name.startswith(HOST_PREFIX)
    }


def serving(hosts: Mapping[HostId, RunningProcess]) -> set[HostId]:
    return {host for host, process in hosts.items() if process.serving and process.silent_s < FRESH_S}


def next_step(
    wanted: Sequence[HostId], hosts: Mapping[HostId, RunningProcess], nodes: Collection[Node], release: str
) -> Step:
    """``wanted`` are the hosts that are to be, ``hosts`` those that run, ``release`` what they are to run."""
    usable = sorted(node.address for node in nodes if node.usable)
    settled = {node.address for node in nodes if node.settled}
    known = {node.address for node in nodes}
    placed = {host: hosts[host].info.node if host in hosts else None for host in wanted}
    planned = plan_nodes({host: node if node in known else None for host, node in placed.items()}, usable)
    ready = {host for host in serving(hosts) if placed.get(host, hosts[host].info.node) in known}
    stale = [
        host
        for host in wanted
        if host in ready
        and (
            hosts[host].info.release != release
            or (placed[host] != planned.get(host, placed[host]) and planned[host] in settled)
        )
    ]
    renew = stale[0] if stale else None
    others = [host for host in wanted if host != renew]
    if renew is not None and not others:
        others = [HostId(renew + 1)]
    if renew is not None and not set(others) & set(wanted) <= ready:
        return Step(nodes=planned, renew=None, owners=wanted, ready=ready)
    return Step(nodes=planned, renew=renew, owners=others, ready=ready)
