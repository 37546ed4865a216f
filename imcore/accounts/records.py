"""A user, as it is handed from room to room, and the rule that locks one out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from imcore import limits

# What finds one user, or none.
Field = Literal["object_id", "username", "email", "phone", "session_digest"]
# An account elsewhere: platform, and id there.
Link = tuple[str, str]

_LOCK_MS = limits.LOGIN_FAILURES_MINUTES * 60_000


@dataclass(frozen=True, slots=True)
class Profile:
    """What a user is: all that the API reads and writes but passwords and sessions."""

    username: str
    email: str | None
    is_email_verified: bool
    phone: str | None
    is_phone_verified: bool
    acl: dict[str, Any] | None
    auth_data: dict[str, dict[str, Any]]
    attributes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Session:
    """What a user's session token is derived from, and what it is found by."""

    seed: str
    digest: str


@dataclass(frozen=True, slots=True)
class Account:
    """One user, as stored."""

    pk: int
    object_id: str
    profile: Profile
    password: str
    session: Session
    failures_ms: tuple[int, ...]
    created_ms: int
    updated_ms: int


def is_locked(failures_ms: Sequence[int], now_ms: int) -> bool:
    """Return whether the last failures were too many in too short a time, not long ago (rest-api 4.1, 219)."""
    if len(failures_ms) <= limits.LOGIN_FAILURES_MAX:
        return False
    return failures_ms[-1] - failures_ms[-limits.LOGIN_FAILURES_MAX - 1] <= _LOCK_MS > now_ms - failures_ms[-1]
