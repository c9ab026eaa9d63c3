"""The lifecycles of a host and of a shard it owns: each one transition table, and the only place that knows it.

Host::

    starting -> taking_over -> running <-> in_doubt
                                  |           |
                                  v           v
                               draining <-> draining_in_doubt -> deposed
                                  |
                                  v
                               stopped                            (deposed: from every state that has an epoch)

*in doubt*: a commit's or a flush's outcome is unknown; nothing is decided until recovery tells (promise 4).
*draining*: gives its shards away and flushes; it serves until the last one is gone.

Shard, per host::

    loading -> serving -> leaving -> (forgotten)
                  ^----------'           a give that did not commit serves on

From *leaving* on nothing in the shard is decided: no command, no timer.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Generic, TypeVar

S = TypeVar("S", bound=Enum)


class IllegalTransition(Exception):
    """A lifecycle was asked for a move that its table does not have. Nothing changed."""


class HostState(Enum):
    STARTING = "starting"
    TAKING_OVER = "taking_over"
    RUNNING = "running"
    IN_DOUBT = "in_doubt"
    DRAINING = "draining"
    DRAINING_IN_DOUBT = "draining_in_doubt"
    STOPPED = "stopped"
    DEPOSED = "deposed"


class ShardState(Enum):
    LOADING = "loading"
    SERVING = "serving"
    LEAVING = "leaving"
    FORGOTTEN = "forgotten"


HOST_TRANSITIONS: Mapping[HostState, frozenset[HostState]] = {
    HostState.STARTING: frozenset({HostState.TAKING_OVER}),
    HostState.TAKING_OVER: frozenset({HostState.RUNNING, HostState.DEPOSED}),
    HostState.RUNNING: frozenset({HostState.IN_DOUBT, HostState.DRAINING, HostState.DEPOSED}),
    HostState.IN_DOUBT: frozenset({HostState.RUNNING, HostState.DRAINING_IN_DOUBT, HostState.DEPOSED}),
    HostState.DRAINING: frozenset({HostState.DRAINING_IN_DOUBT, HostState.STOPPED, HostState.DEPOSED}),
    HostState.DRAINING_IN_DOUBT: frozenset({HostState.DRAINING, HostState.DEPOSED}),
    HostState.STOPPED: frozenset(),
    HostState.DEPOSED: frozenset(),
}

SHARD_TRANSITIONS: Mapping[ShardState, frozenset[ShardState]] = {
    ShardState.LOADING: frozenset({ShardState.SERVING, ShardState.FORGOTTEN}),
    ShardState.SERVING: frozenset({ShardState.LEAVING}),
    ShardState.LEAVING: frozenset({ShardState.SERVING, ShardState.FORGOTTEN}),
    ShardState.FORGOTTEN: frozenset(),
}


class Lifecycle(Generic[S]):
    """A state and the table it moves by."""

    def __init__(self, initial: S, transitions: Mapping[S, frozenset[S]]) -> None:
        self.state = initial
        self._transitions = transitions

    def move(self, to: S) -> None:
        """Moves, or raises ``IllegalTransition`` and changes nothing."""
        if to not in self._transitions[self.state]:
            raise IllegalTransition(f"{self.state.value} -> {to.value}")
        self.state = to


def host_lifecycle() -> Lifecycle[HostState]:
    return Lifecycle(HostState.STARTING, HOST_TRANSITIONS)


def shard_lifecycle() -> Lifecycle[ShardState]:
    return Lifecycle(ShardState.LOADING, SHARD_TRANSITIONS)
