"""Buckets of tokens, by themselves."""

from hypothesis import given
from hypothesis import strategies as st

from imcore.throttles import Buckets


def taken(buckets: Buckets, key: str, per_minute: int, now: float, tries: int) -> int:
    """Try to take tokens at one moment and return how many there were."""
    return sum(buckets.take(key, per_minute=per_minute, now=now) for _ in range(tries))


def test_a_bucket_has_a_minutes_worth_and_fills_evenly() -> None:
    """At 60 a minute: 60 at once, then one a second, and never more than 60 together."""
    buckets = Buckets()

    assert taken(buckets, "tom", 60, 100.0, 100) == 60
    assert taken(buckets, "tom", 60, 100.5, 100) == 0
    assert taken(buckets, "tom", 60, 103.0, 100) == 3
    assert taken(buckets, "tom", 60, 10_000.0, 100) == 60


def test_each_has_a_bucket_of_its_own() -> None:
    """What one takes nobody else lacks."""
    buckets = Buckets()

    assert taken(buckets, "tom", 5, 0.0, 9) == 5
    assert taken(buckets, "jerry", 5, 0.0, 9) == 5


def test_a_refusal_costs_nothing() -> None:
    """One who keeps trying is served at the rate."""
    buckets = Buckets()
    taken(buckets, "tom", 60, 0.0, 60)

    served = sum(taken(buckets, "tom", 60, tenth / 10, 1) for tenth in range(1, 301))

    assert served in (29, 30)


def test_a_lower_rate_holds_at_once() -> None:
    """What was saved under the higher one is cut."""
    buckets = Buckets()
    taken(buckets, "tom", 60, 0.0, 1)

    assert taken(buckets, "tom", 5, 0.0, 60) == 5


def test_the_buckets_are_bounded() -> None:
    """The one unused for longest goes first."""
    buckets = Buckets(2)
    for name in ("tom", "jerry", "tom", "mary"):
        taken(buckets, name, 2, 0.0, 1)

    assert len(buckets) == 2
    assert taken(buckets, "tom", 2, 0.0, 9) == 0, "tom was used since and is remembered"
    assert taken(buckets, "jerry", 2, 0.0, 9) == 2, "jerry was forgotten"


@given(st.integers(1, 200), st.lists(st.floats(0, 30), min_size=1, max_size=300))
def test_in_no_time_is_more_taken_than_a_minutes_worth_and_the_rate(per_minute: int, gaps: list[float]) -> None:
    """Whatever the rhythm."""
    buckets = Buckets()
    now, served = 0.0, 0

    for gap in gaps:
        now += gap
        served += taken(buckets, "tom", per_minute, now, 3)

    assert served <= per_minute * (1 + now / 60) + 1e-6
