"""What the benchmark of large libraries asks and computes: another question there would look like a good figure."""

from collections import Counter
from pathlib import Path
from random import Random

from tests.benchmarks.shelves.collections import LARGEST, MOST_ITEMS, SMALLEST, make_collections, titles
from tests.benchmarks.shelves.outcome import OK, judge, keys, plot
from tests.benchmarks.shelves.visits import Rates, Visits, plan
from tests.benchmarks.survival.outcomes import Record

USERS, SECONDS = 1_000, 30
RATES = Rates(pages=50, searches=10, access=40)


def test_libraries_have_5_to_5_000_items_and_a_million_in_all_at_most() -> None:
    collections = make_collections(10_000, Random(20_240_315))
    assert (min(collections.sizes), max(collections.sizes)) == (SMALLEST, LARGEST) == (5, 5_000)
    assert 500_000 < sum(collections.sizes) <= MOST_ITEMS
    for number in (0, 1, 9_999):
        owned = list(collections.owned(number))
        assert len(set(owned)) == len(owned) == collections.sizes[number]
    assert len({product.product_id for product in titles(collections)}) == len(collections.products) + 1


def test_a_cold_page_is_the_first_that_anybody_asks_about_its_user() -> None:
    asked = plan(USERS, SECONDS, RATES, Random(1))
    seen = set(asked.early)
    for kind, user in zip(asked.http.kinds, asked.http.users, strict=True):
        assert (user in seen) == (kind != "page, cold")
        seen.add(user)
    assert len(asked.http.kinds) == SECONDS * RATES.http
    counted = Counter(asked.http.kinds)
    assert counted["page, cold"] == USERS * 8 // 10
    assert 0.8 < counted["search"] / (counted["search"] + counted["page"]) * RATES.http / RATES.searches < 1.2


def test_services_ask_about_who_is_there_and_once_about_each_who_is_not() -> None:
    asked = plan(USERS, SECONDS, RATES, Random(1))
    came = {user: number / RATES.http for number, user in reversed(list(enumerate(asked.http.users)))}
    here = came | dict.fromkeys(asked.early, 0.0)
    absent = []
    for number, (kind, user) in enumerate(zip(asked.rpc.kinds, asked.rpc.users, strict=True)):
        if kind == "access, cold":
            absent.append(user)
        else:
            assert here[user] <= number / RATES.access
    assert len(set(absent)) == len(absent) == USERS // 10
    assert not set(absent) & here.keys()


def test_figures_are_by_kind_and_count_what_was_refused(tmp_path: Path) -> None:
    visits = Visits(kinds=["page", "page, cold", "page", "access"], users=[0, 1, 1, 0])
    record = Record(late_us=[0] * 4, took_us=[1_000, 30_000, 3_000, 9_000], status=[OK, OK, 503, OK])
    found = judge(record, visits, [5_000, 5])
    assert (found["page"]["requests"], found["page"]["not_accepted"], found["page"]["p95_ms"]) == (2, 1, 3)
    assert found["page, 1,000 items and more"]["p95_ms"] == 1
    assert keys(found) == {"page, cold.p95_ms": 30, "page.p95_ms": 3, "access.p99_ms": 9}
    plot(tmp_path / "picture.png", [(record, visits)], "four requests")
    assert (tmp_path / "picture.png").stat().st_size > 10_000
