"""What is to be played: pure, and the same for the same file, options and seed.

Users and products are UUIDv5 of their names, so that every run of a file meets the same people and games. A row over
the cap is cut, then rows that repeat a user and game are summed, then hours are scaled to seconds of play.
"""

from dataclasses import dataclass
from random import Random
from uuid import UUID, uuid5

from cluster.replay.playfile import PlayRow

NAMESPACE = UUID("5f0c5a52-0c0b-5d0e-9d0e-6c6962726172")
"""Fixed for ever: another one would make other users of the same file."""

ITEMS_PER_ORDER = (1, 12)
SENT_TWICE_SHARE = 0.1
SECONDS_PER_HOUR = 3600


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanOptions:
    """``scale``: how many times shorter the play is than the hours of the file. ``cap_hours``: hours of one row.
    ``offline``: for people of their own, so that both replays of a file can be made on one service."""

    scale: float = 60.0
    cap_hours: float = 60.0
    seed: int = 1
    offline: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Play:
    """One game of one user: seconds of service time, at least one."""

    product_id: str
    seconds: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """One purchase event. ``sent_twice``: the payment service repeats it, which must change nothing."""

    order_id: str
    event_id: str
    product_ids: tuple[str, ...]
    sent_twice: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class UserPlan:
    """``plays``: the longest first, so that no long one is left for the end."""

    user_id: str
    plays: tuple[Play, ...]
    orders: tuple[Order, ...]

    @property
    def seconds(self) -> int:
        return sum(play.seconds for play in self.plays)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """The users, and what became of the file on the way."""

    users: tuple[UserPlan, ...]
    rows: int
    repeated_rows: int
    cut_rows: int
    file_hours: float
    cut_hours: float

    @property
    def items(self) -> int:
        return sum(len(user.plays) for user in self.users)

    @property
    def seconds(self) -> int:
        return sum(user.seconds for user in self.users)


def make_plan(rows: list[PlayRow], options: PlanOptions) -> Plan:
    hours: dict[str, dict[str, float]] = {}
    cut_rows = 0
    cut_hours = 0.0
    for row in rows:
        games = hours.setdefault(row.user, {})
        games[row.title] = games.get(row.title, 0.0) + min(row.hours, options.cap_hours)
        if row.hours > options.cap_hours:
            cut_rows += 1
            cut_hours += row.hours - options.cap_hours
    users = tuple(_user_plan(name, games, options) for name, games in hours.items())
    return Plan(
        users=users,
        rows=len(rows),
        repeated_rows=len(rows) - sum(len(games) for games in hours.values()),
        cut_rows=cut_rows,
        file_hours=sum(row.hours for row in rows),
        cut_hours=cut_hours,
    )


def user_id_of(name: str, *, offline: bool = False) -> str:
    return str(uuid5(NAMESPACE, f"offline user:{name}" if offline else f"user:{name}"))


def product_id_of(title: str) -> str:
    return str(uuid5(NAMESPACE, f"product:{title}"))


def _user_plan(name: str, games: dict[str, float], options: PlanOptions) -> UserPlan:
    random = Random(f"{options.seed}:{name}")
    plays = [
        Play(product_id=product_id_of(title), seconds=max(1, round(hours * SECONDS_PER_HOUR / options.scale)))
        for title, hours in games.items()
    ]
    plays.sort(key=lambda play: (-play.seconds, play.product_id))
    user_id = user_id_of(name, offline=options.offline)
    return UserPlan(user_id=user_id, plays=tuple(plays), orders=_orders(name, plays, options.seed, random))


def _orders(name: str, plays: list[Play], seed: int, random: Random) -> tuple[Order, ...]:
    """Everything the user plays, over several orders, in the order of play."""
    orders: list[Order] = []
    first = 0
    while first < len(plays):
        count = random.randint(*ITEMS_PER_ORDER)
        key = f"{seed}:{name}:{len(orders)}"
        orders.append(
            Order(
                order_id=str(uuid5(NAMESPACE, f"order:{key}")),
                event_id=str(uuid5(NAMESPACE, f"event:{key}")),
                product_ids=tuple(play.product_id for play in plays[first : first + count]),
                sent_twice=random.random() < SENT_TWICE_SHARE,
            )
        )
        first += count
    return tuple(orders)
