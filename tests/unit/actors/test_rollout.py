"""Which host is replaced next, and where hosts are put (R-OPS-3, ARCHITECTURE.md, "Nodes")."""

from collections.abc import Sequence

from actors.domain.ids import HostId
from actors.fleet.ports import ProcessInfo, RunningProcess
from actors.placement import plan_nodes
from actors.rollout import Node, hosts_in, latest, next_step

NEW, OLD = "2.0", "1.0"
A, B, C = "10.0.0.1", "10.0.0.2", "10.0.0.3"


def wanted(count: int) -> list[HostId]:
    return [HostId(number) for number in range(count)]


def a_host(
    number: int, node: str = A, release: str = NEW, *, serving: bool = True, silent_s: float = 1.0
) -> RunningProcess:
    info = ProcessInfo(process_id=bytes([number]) * 16, name=f"host-{number}", node=node, release=release, newest=1)
    return RunningProcess(info=info, serving=serving, silent_s=silent_s)


def nodes(*addresses: str, draining: Sequence[str] = (), fresh: Sequence[str] = ()) -> list[Node]:
    return [Node(address=one, usable=one not in draining, settled=one not in fresh) for one in addresses]


def running(*processes: RunningProcess) -> dict[HostId, RunningProcess]:
    return hosts_in(latest(processes))


def test_hosts_are_spread_over_the_nodes_and_stay_where_they_are() -> None:
    placed: dict[HostId, str | None] = {HostId(0): B, HostId(1): None, HostId(2): None, HostId(3): B}
    planned = plan_nodes(placed, [A, B, C])
    assert planned[HostId(0)] == planned[HostId(3)] == B
    assert sorted(planned.values()) == [A, B, B, C]
    assert plan_nodes(placed, []) == {}


def test_a_cluster_in_order_is_left_alone() -> None:
    hosts = running(a_host(0, A), a_host(1, B))
    step = next_step(wanted(2), hosts, nodes(A, B), NEW)
    assert (step.renew, list(step.owners)) == (None, wanted(2))


def test_hosts_of_another_release_are_replaced_one_after_another() -> None:
    """Each gives its shards to the others first."""
    hosts = running(a_host(0, A, OLD), a_host(1, B, OLD), a_host(2, C, OLD))
    step = next_step(wanted(3), hosts, nodes(A, B, C), NEW)
    assert (step.renew, list(step.owners)) == (HostId(0), [HostId(1), HostId(2)])
    hosts[HostId(0)] = a_host(0, A, NEW)
    step = next_step(wanted(3), hosts, nodes(A, B, C), NEW)
    assert (step.renew, list(step.owners)) == (HostId(1), [HostId(0), HostId(2)])


def test_nothing_is_replaced_while_another_host_does_not_serve() -> None:
    """A second one away at the same time would be an outage."""
    for absent in (a_host(1, B, serving=False), a_host(1, B, silent_s=30.0), None):
        others = [] if absent is None else [absent]
        step = next_step(wanted(2), running(a_host(0, A, OLD), *others), nodes(A, B), NEW)
        assert (step.renew, list(step.owners)) == (None, wanted(2))


def test_a_host_that_does_not_serve_is_not_replaced() -> None:
    """It could not give its shards away; Ray starts it again."""
    hosts = running(a_host(0, A, OLD, serving=False), a_host(1, B))
    assert next_step(wanted(2), hosts, nodes(A, B), NEW).renew is None


def test_the_only_host_is_replaced_by_way_of_a_spare_one() -> None:
    hosts = running(a_host(0, A, OLD))
    step = next_step(wanted(1), hosts, nodes(A), NEW)
    assert (step.renew, list(step.owners)) == (HostId(0), [HostId(1)])


def test_a_draining_node_is_emptied() -> None:
    hosts = running(a_host(0, A), a_host(1, B))
    step = next_step(wanted(2), hosts, nodes(A, B, draining=[B]), NEW)
    assert (step.renew, step.nodes) == (HostId(1), {HostId(0): A, HostId(1): A})


def test_a_node_that_joins_gets_its_share_once_it_has_stayed_for_a_while() -> None:
    hosts = running(a_host(0, A), a_host(1, A))
    assert next_step(wanted(2), hosts, nodes(A, B, fresh=[B]), NEW).renew is None
    step = next_step(wanted(2), hosts, nodes(A, B), NEW)
    assert step.renew is not None
    assert step.nodes[step.renew] == B


def test_a_host_whose_node_is_lost_is_not_taken_for_misplaced() -> None:
    """Its last word is still fresh; a new process of it is on its way."""
    hosts = running(a_host(0, A), a_host(1, B))
    step = next_step(wanted(2), hosts, nodes(A), NEW)
    assert step.renew is None
    assert set(step.ready) == {HostId(0)}


def test_of_two_processes_with_one_name_the_latest_counts() -> None:
    """A frozen one that was taken over may still be heard."""
    hosts = running(a_host(0, B, NEW), a_host(0, A, OLD))
    assert hosts[HostId(0)].info.node == B
