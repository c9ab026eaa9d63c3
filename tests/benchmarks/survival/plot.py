"""The latency of every request over time, with the kills."""

from collections.abc import Sequence
from pathlib import Path

from actors.domain.ids import HostId
from tests.benchmarks.survival.outages import Kill
from tests.benchmarks.survival.outcomes import Record

SIZE_INCHES = (11, 5)
AIM_MS = 50.0
OTHERS, KILLED = "#2166ac", "#b2182b"


def plot(path: Path, record: Record, homes: Sequence[HostId], kills: Sequence[Kill], *, rate: float) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=SIZE_INCHES, layout="constrained")
    away = [(kill.host_id, kill.at_s - 1, (kill.back_s or kill.at_s) + 1) for kill in kills]
    groups: dict[bool, tuple[list[float], list[float]]] = {False: ([], []), True: ([], [])}
    for number in range(len(record)):
        at, home = number / rate, homes[number % len(homes)]
        of_killed = any(home == host and begin <= at < end for host, begin, end in away)
        groups[of_killed][0].append(at)
        groups[of_killed][1].append(record.took_us[number] / 1000)
    looks = ((False, OTHERS, "users of other hosts"), (True, KILLED, "users of the killed host"))
    for of_killed, colour, label in looks:
        axes.plot(*groups[of_killed], ".", markersize=1.5, color=colour, label=label, rasterized=True)
    for kill in kills:
        axes.axvline(kill.at_s, color="black", linewidth=0.8, linestyle=":")
        axes.annotate(f"host {kill.host_id}", (kill.at_s, 1.01), xycoords=("data", "axes fraction"), fontsize=7)
    axes.axhline(AIM_MS, color="grey", linewidth=0.8)
    axes.set_yscale("log")
    axes.set_xlabel("seconds; dotted: a host is killed")
    axes.set_ylabel("ms from the instant it was meant to leave")
    axes.grid(visible=True, alpha=0.3)
    axes.legend(loc="upper right", markerscale=6)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)
