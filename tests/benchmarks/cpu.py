"""CPU time of groups of processes, from ``/proc``.

A process' own time and that of its children which have ended are read together: when a child ends, its time moves to
its parent, so nothing is lost between two readings (autovacuum workers live for less than one).
"""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec import Struct

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class Ticks(Struct, frozen=True):
    parent: int
    ticks: int


Reading = Mapping[int, Ticks]


def read(pids: Iterable[int]) -> Reading:
    """Those of the processes that live."""
    found = {}
    for pid in pids:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            continue
        fields = stat[stat.rindex(")") + 2 :].split()
        found[pid] = Ticks(parent=int(fields[1]), ticks=sum(int(field) for field in fields[11:15]))
    return found


def spent_s(before: Reading, after: Reading, labels: Mapping[int, str]) -> dict[str, float]:
    """Seconds of CPU per label between two readings; a process that began in between counts whole."""
    spent: Counter[str] = Counter()
    for pid, now in after.items():
        then = before.get(pid)
        spent[labels[pid]] += now.ticks - (0 if then is None else then.ticks)
    for pid in before.keys() - after.keys():
        parent = before[pid].parent
        if parent in after:
            spent[labels[parent]] -= before[pid].ticks
    return {label: ticks * TICK_S for label, ticks in spent.items()}


def machine_s() -> tuple[float, float]:
    """Seconds that all cores were busy, and that the machine below us took from them, since it began."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    user, nice, system, _, _, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq) * TICK_S, steal * TICK_S


def resident_bytes(pid: int) -> int:
    """RSS."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
