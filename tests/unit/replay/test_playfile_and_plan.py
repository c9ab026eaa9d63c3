"""What is read and what is made of it: the same every time, with everybody present."""

from pathlib import Path

import pytest

from cluster.replay.plan import Plan, PlanOptions, make_plan
from cluster.replay.playfile import BadPlayFile, PlayRow, read_play_file

SAMPLE = Path(__file__).parents[2] / "data" / "play-hours-sample.csv"


def row(user: str, title: str, hours: float) -> PlayRow:
    return PlayRow(user=user, title=title, hours=hours)


def order_ids(plan: Plan) -> set[str]:
    return {order.order_id for user in plan.users for order in user.orders}


def test_the_sample_is_like_the_whole_file():
    rows = read_play_file(SAMPLE)
    plan = make_plan(rows, PlanOptions())
    assert 900 < len(rows) <= 1000
    assert plan.repeated_rows >= 10
    assert plan.cut_rows >= 50
    games = [len(user.plays) for user in plan.users]
    assert max(games) > 50
    assert games.count(1) > len(games) / 3


def test_titles_with_commas_are_read_and_the_limit_counts_rows(tmp_path):
    path = tmp_path / "hours.csv"
    path.write_text('user_id,game_title,hours_played\r\n7,"Warhammer 40,000",2.5\r\n7,Dota 2,1\r\n', encoding="utf-8")
    assert read_play_file(path) == [row("7", "Warhammer 40,000", 2.5), row("7", "Dota 2", 1.0)]
    assert read_play_file(path, limit_rows=1) == [row("7", "Warhammer 40,000", 2.5)]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"user,game,hours\n1,a,2\n", 1),
        (b"", 1),
        (b"user_id,game_title,hours_played\n1,a,2\n1,a\n", 3),
        (b"user_id,game_title,hours_played\n1,a,much\n", 2),
        (b"user_id,game_title,hours_played\n1,a,-1\n", 2),
        (b"user_id,game_title,hours_played\n1,a,nan\n", 2),
        (b"user_id,game_title,hours_played\n,a,1\n", 2),
        (b"user_id,game_title,hours_played\n1,\xff,1\n", 1),
    ],
)
def test_a_line_that_is_no_row_is_named(tmp_path, content, line):
    path = tmp_path / "hours.csv"
    path.write_bytes(content)
    with pytest.raises(BadPlayFile) as caught:
        read_play_file(path)
    assert caught.value.line >= line


def test_rows_are_cut_then_summed_then_scaled():
    plan = make_plan([row("1", "a", 100), row("1", "a", 2), row("1", "b", 0.001)], PlanOptions())
    (user,) = plan.users
    assert [play.seconds for play in user.plays] == [62 * 60, 1]
    assert (plan.rows, plan.repeated_rows, plan.cut_rows, plan.cut_hours, plan.file_hours) == (3, 1, 1, 40.0, 102.001)


def test_ids_are_the_same_in_every_run_and_the_seed_changes_orders_alone():
    rows = [row(str(n % 5), f"game {n}", 1.0) for n in range(50)]
    one, again, other = (make_plan(rows, PlanOptions(seed=seed)) for seed in (1, 1, 2))
    assert one == again
    assert [user.plays for user in one.users] == [user.plays for user in other.users]
    assert {o.order_id for u in one.users for o in u.orders}.isdisjoint(
        o.order_id for u in other.users for o in u.orders
    )
    assert one.users[0].user_id == "334f60ad-4998-5b51-aa1d-55221d0cedcd"
    assert one.users[0].plays[0].product_id == "503adc60-abf3-52f2-9549-5a71a0ee6898"


def test_every_item_is_in_exactly_one_of_its_users_orders():
    plan = make_plan(read_play_file(SAMPLE), PlanOptions())
    for user in plan.users:
        ordered = [product_id for order in user.orders for product_id in order.product_ids]
        assert ordered == [play.product_id for play in user.plays]
    orders = [order for user in plan.users for order in user.orders]
    assert len({order.order_id for order in orders} | {order.event_id for order in orders}) == 2 * len(orders)
    assert any(order.sent_twice for order in orders)
    assert any(len(user.orders) > 3 for user in plan.users)
