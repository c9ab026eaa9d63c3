"""Who asks what, in which order: as people come in the evening.

Some are there already. New users come at a steady rate; the first thing each does is to look at the first page of
their library, which nobody has in memory yet. Those who are there look again and search. Services ask whether somebody
who is there may play, and now and then about somebody who is not there at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Literal
from urllib.parse import quote

from tests.benchmarks.shelves.collections import SEARCHES

Kind = Literal["page, cold", "page", "search", "access, cold", "access"]
PAGE = "/api/v1/library/items"
EARLY_SHARE = 0.1
"""Of all users: they are there from the beginning."""
ABSENT_SHARE = 0.1
"""Of all users: they do not come, services ask about them once."""
SETTLED_AFTER_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Requests a second, by kind; pages include those of who comes."""

    pages: int = 500
    searches: int = 100
    access: int = 400

    @property
    def http(self) -> int:
        return self.pages + self.searches


@dataclass(kw_only=True)
class Visits:
    """By request number: its kind, and which user it is about."""

    kinds: list[Kind] = field(default_factory=list)
    users: list[int] = field(default_factory=list)

    def add(self, kind: Kind, user: int) -> None:
        self.kinds.append(kind)
        self.users.append(user)

    def numbers(self, kind: Kind) -> list[int]:
        return [number for number, one in enumerate(self.kinds) if one == kind]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """``early`` users look at their first page before anything is measured."""

    early: Sequence[int]
    http: Visits
    rpc: Visits


def plan(users: int, seconds: int, rates: Rates, random: Random) -> Plan:
    """Everybody who comes has come before the end."""
    order = list(range(users))
    random.shuffle(order)
    absent = order[: int(users * ABSENT_SHARE)]
    early = order[len(absent) : len(absent) + int(users * EARLY_SHARE)]
    coming = order[len(absent) + len(early) :]
    there = Crowding(early, coming, seconds, random)
    return Plan(
        early=early,
        http=_visits(coming, there, seconds, rates, random),
        rpc=_questions(absent, there, seconds, rates),
    )


class Crowding:
    """Who is there at a moment: for a while already, so that nothing of them is still on its way."""

    def __init__(self, early: Sequence[int], coming: Sequence[int], seconds: int, random: Random) -> None:
        self._all = [*early, *coming]
        self._early = len(early)
        self._a_second = len(coming) / seconds
        self._random = random

    def somebody(self, at_s: float) -> int:
        settled = self._early + max(0, int((at_s - SETTLED_AFTER_S) * self._a_second))
        return self._all[self._random.randrange(settled)]


def _visits(coming: Sequence[int], there: Crowding, seconds: int, rates: Rates, random: Random) -> Visits:
    visits, count = Visits(), seconds * rates.http
    arrivals = {number * count // len(coming): user for number, user in enumerate(coming)}
    for number in range(count):
        if (user := arrivals.get(number)) is not None:
            visits.add("page, cold", user)
            continue
        kind: Kind = "search" if random.random() < rates.searches / rates.http else "page"
        visits.add(kind, there.somebody(number / rates.http))
    return visits


def _questions(absent: Sequence[int], there: Crowding, seconds: int, rates: Rates) -> Visits:
    visits, count = Visits(), seconds * rates.access
    unknown = {number * count // len(absent): user for number, user in enumerate(absent)}
    for number in range(count):
        if (user := unknown.get(number)) is not None:
            visits.add("access, cold", user)
        else:
            visits.add("access", there.somebody(number / rates.access))
    return visits


def request(kind: Kind, token: str, random: Random) -> bytes:
    query = f"?search={quote(random.choice(SEARCHES))}" if kind == "search" else ""
    return (
        f"GET {PAGE}{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/vnd.api+json\r\n"
        f"Authorization: Bearer {token}\r\n\r\n"
    ).encode()
