"""Signatures by themselves: the text, the key, the age (realtime-protocol 9)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imcore.signatures import Claim, Signature, is_valid, login, on_members, sign

KEY = "Zm9vYmFyYmF6cXV4"
APP = "app-of-the-vectors"
CID = "5e3a1f0000000000deadbeef"
NOW = 1_577_836_800_000
HOUR = 3_600_000
TOM = login(APP, "tom")

client_ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


def signed(claim: Claim = TOM, timestamp: int = NOW) -> Signature:
    """Sign with the application's key."""
    return sign(claim, timestamp=timestamp, nonce="nonce", master_key=KEY)


def holds(signature: Signature, *claims: Claim, now_ms: int = NOW) -> bool:
    """Return whether a signature is accepted."""
    return is_valid(signature, claims or [TOM], master_key=KEY, now_ms=now_ms)


@pytest.mark.parametrize(
    ("claim", "timestamp", "digest"),
    [
        (TOM, NOW, "0efea29c6c812e7053a86cbb9ce18c6199d4e6f4"),
        (login(APP, ""), NOW, "e8d514d955257db711c3f00d7639988a4ea4c5c3"),
        (on_members(APP, "tom", ["mary", "tom", "jerry"]), NOW, "d1e9c1d997c354d28be8b734490666d4041ec498"),
        (
            on_members(APP, "tom", ["mary", "jerry"], conversation_id=CID, action="invite"),
            NOW // 1000,
            "fb987f709175097c2720ee2beb252cd0b6263c25",
        ),
        (
            on_members(APP, "tom", ["jerry"], conversation_id=CID, action="conversation-block-clients"),
            NOW,
            "46e3727e59a28618c580ab65851d4dd29ddf68b8",
        ),
    ],
)
def test_a_signature_is_what_another_implementation_computes(claim: Claim, timestamp: int, digest: str) -> None:
    """Checklist 72. Computed with `openssl dgst -sha1 -hmac`."""
    assert signed(claim, timestamp).digest == digest
    assert holds(Signature(digest, timestamp, "nonce"), claim)
    assert holds(Signature(digest.upper(), timestamp, "nonce"), claim), "the C# sample writes capitals"


def test_member_ids_are_sorted_by_code_unit() -> None:
    """As JavaScript sorts: a surrogate comes before U+FF5E, which Python's order of characters puts first."""
    assert on_members(APP, "tom", ["～", "😀", "a"]).fields[-1] == "a:😀:～"


@pytest.mark.parametrize("in_milliseconds", [True, False])
@pytest.mark.parametrize(
    ("age_ms", "is_accepted"),
    [(0, True), (6 * HOUR, True), (-6 * HOUR, True), (6 * HOUR + 1000, False), (-6 * HOUR - 1000, False)],
)
def test_a_signature_is_good_for_six_hours_either_way(age_ms: int, is_accepted: bool, in_milliseconds: bool) -> None:
    """Checklist 72. Below 10^11 a timestamp is in seconds, and is signed as the number that was sent."""
    at_ms = NOW - age_ms

    assert holds(signed(timestamp=at_ms if in_milliseconds else at_ms // 1000)) is is_accepted


@pytest.mark.parametrize("timestamp", [0, -1, 10**11 - 1, 10**11, 2**63 - 1, -(2**63)])
def test_a_timestamp_of_another_age_of_the_world_is_refused(timestamp: int) -> None:
    """No arithmetic fails on it either."""
    assert not holds(signed(timestamp=timestamp))


@pytest.mark.parametrize("digest", ["", " ", "0" * 40, "ſ" * 40, "汤姆", "\0", "a" * 100_000])
def test_what_is_no_signature_is_refused(digest: str) -> None:
    """Whatever a client writes there, it is an answer and no fault."""
    assert not holds(Signature(digest, NOW, "nonce"))


def test_a_signature_with_another_key_or_nonce_is_refused() -> None:
    """Nor does a changed timestamp pass."""
    good = signed()

    assert not holds(sign(TOM, timestamp=NOW, nonce="nonce", master_key=KEY + "x"))
    assert not holds(Signature(good.digest, NOW, "another"))
    assert not holds(Signature(good.digest, NOW + 1, "nonce"))


def test_a_signature_may_come_again() -> None:
    """A client that reconnects repeats it: there is no single-use rule."""
    good = signed()

    assert [holds(good) for _ in range(3)] == [True] * 3


@given(st.lists(client_ids, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_members_is_nothing(members: list[str], random: object) -> None:
    """Both sides sort."""
    shuffled = list(members)
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    assert holds(signed(on_members(APP, "tom", members)), on_members(APP, "tom", shuffled))


plain_ids = st.text("abcXYZ019_-😀～汤", min_size=1, max_size=8)


@given(st.frozensets(plain_ids, max_size=6), st.frozensets(plain_ids, max_size=6))
def test_a_signature_is_for_its_members_alone(signed_for: frozenset[str], asked_for: frozenset[str]) -> None:
    """Another list's signature is none. (An id with a colon reads like two ids: the protocol's text is so.)"""
    signature = signed(on_members(APP, "tom", sorted(signed_for), conversation_id=CID, action="invite"))
    asked = on_members(APP, "tom", sorted(asked_for), conversation_id=CID, action="invite")

    assert holds(signature, asked) is (signed_for == asked_for)


@given(plain_ids, plain_ids)
def test_a_login_is_for_its_client_alone(signed_for: str, asked_for: str) -> None:
    """Another client's signature is none."""
    assert holds(signed(login(APP, signed_for)), login(APP, asked_for)) is (signed_for == asked_for)


@pytest.mark.parametrize("action", ["invite", "kick", "conversation-block-clients"])
def test_what_was_signed_to_do_something_to_a_member_starts_no_conversation(action: str) -> None:
    """The texts can be the same, with the conversation for a member and the action for the end of the nonce."""
    blocking = signed(on_members(APP, "tom", ["jerry"], conversation_id=CID, action=action))
    disguised = Signature(blocking.digest, blocking.timestamp, f"{blocking.nonce}:{action}")

    assert holds(blocking, on_members(APP, "tom", ["jerry"], conversation_id=CID, action=action))
    assert not holds(disguised, on_members(APP, "tom", ["jerry", CID]))
