"""Identifiers and clocks."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imcore import identifiers
from imcore.identifiers import RisingClock

# Hypothesis takes the jitter that a database pool's own thread draws meanwhile for ours.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")

INSTANTS = st.integers(min_value=0, max_value=2**47)


@given(INSTANTS)
def test_a_message_id_has_22_characters_of_base64url(at_ms: int) -> None:
    """Realtime-protocol 4.9.1."""
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", identifiers.message_id(at_ms))


@given(INSTANTS, INSTANTS)
def test_message_ids_sort_by_time(one: int, other: int) -> None:
    """As text, so that new ones fill the end of the index."""
    if one != other:
        assert (identifiers.message_id(one) < identifiers.message_id(other)) is (one < other)


def test_message_ids_of_one_instant_differ() -> None:
    """They are never given twice."""
    assert len({identifiers.message_id(1_700_000_000_000) for _ in range(1000)}) == 1000


@given(st.integers(min_value=0, max_value=4_000_000_000_000))
def test_an_object_id_has_24_digits_and_its_second_in_front(at_ms: int) -> None:
    """As the hosted service made them."""
    object_id = identifiers.object_id(at_ms)

    assert re.fullmatch(r"[0-9a-f]{24}", object_id)
    assert int(object_id[:8], 16) == at_ms // 1000


def test_the_rising_clock_rises_while_the_wall_clock_stands_or_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Realtime-protocol 3.2 asks for strictly increasing times."""
    wall = iter([1000, 1000, 1000, 400, 1002, 2000, 2000])
    monkeypatch.setattr(identifiers, "now_ms", lambda: next(wall))
    clock = RisingClock()

    assert [clock.next_ms() for _ in range(7)] == [1000, 1001, 1002, 1003, 1004, 2000, 2001]


def test_reading_the_rising_clock_does_not_drive_it_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand messages in a millisecond have its time, and what is dated after them the next."""
    wall = iter([1000, *[1000] * 1000, 1000, 999, 999, 1005])
    monkeypatch.setattr(identifiers, "now_ms", lambda: next(wall))
    clock = RisingClock()

    dated = clock.next_ms()
    read = {clock.last_ms() for _ in range(1000)}

    assert (dated, read) == (1000, {1000})
    assert [clock.next_ms(), clock.last_ms(), clock.next_ms(), clock.last_ms()] == [1001, 1001, 1002, 1005]


@given(st.integers(min_value=0, max_value=4_000_000_000_000))
def test_a_date_is_written_in_utc_with_milliseconds(at_ms: int) -> None:
    """Realtime-protocol 3.5."""
    text = identifiers.iso_date(at_ms)

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
    assert datetime.fromisoformat(text) == datetime.fromtimestamp(at_ms // 1000, UTC).replace(
        microsecond=at_ms % 1000 * 1000
    )


def test_made_up_names_and_secrets_are_long_and_never_the_same() -> None:
    """Application ids have letters and digits only, and more than 8 (rest-api 1.3)."""
    assert re.fullmatch(r"[0-9a-z]{24}", identifiers.application_id())
    assert re.fullmatch(r"[\w-]{32}", identifiers.secret_key())
    for make in (identifiers.application_id, identifiers.secret_key, identifiers.anonymous_client_id):
        assert len({make() for _ in range(100)}) == 100
