"""Log-in by password: who it is, whether he may try, whether it is right (rest-api 10.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from imcore.accounts import storage
from imcore.accounts.errors import PasswordMismatch, TooManyFailures, UsernameMissing, UserNotFound
from imcore.accounts.records import Account, Field, is_locked
from imcore.accounts.services import passwords, sessions
from imcore.appsettings import ApplicationSnapshot
from imcore.bridge import in_database
from imcore.objects import InvalidType

# What names a user, the first that is there: Python sends all three along (rest-api 10.2).
_NAMES: tuple[tuple[str, Field], ...] = (("username", "username"), ("email", "email"), ("mobilePhoneNumber", "phone"))
# The stored hash may be another one by the time the password is checked; whose changes more often, fails.
_TRIES = 3


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A user and the token of his session."""

    account: Account
    token: str


async def log_in(*, application: ApplicationSnapshot, asked: Mapping[str, Any], now_ms: int) -> LoggedIn:
    """Let somebody in by a user name, an address or a phone number, and a password; the rest of `asked` is ignored.

    Raises UsernameMissing, InvalidType, PasswordMissing, InvalidPassword, UserNotFound, PasswordMismatch,
    TooManyFailures.
    """
    field, value = _named(asked)
    password = passwords.readable(asked.get("password"))
    account = await find(application, field, value)
    if account is None:
        raise UserNotFound
    account = await check_password(application=application, account=account, password=password, now_ms=now_ms)
    return LoggedIn(account, sessions.token_of(application, account.session.seed))


async def check_password(*, application: ApplicationSnapshot, account: Account, password: str, now_ms: int) -> Account:
    """Return the user, as it is now, if this is the password; count it if not.

    An old hash is replaced. Raises PasswordMismatch, TooManyFailures, UserNotFound.
    """
    for _ in range(_TRIES):
        if is_locked(account.failures_ms, now_ms):
            raise TooManyFailures
        is_right, replacement = await passwords.is_right(application, password, account.password)
        settled = await in_database(
            storage.settle_attempt,
            user=account.pk,
            checked_password=account.password,
            is_right=is_right,
            replacement=replacement,
            digest_of=lambda seed: sessions.session_of(application, seed).digest,
            now_ms=now_ms,
        )
        if settled is not None:
            return settled
        found = await find(application, "object_id", account.object_id)
        if found is None:
            raise UserNotFound
        account = found
    raise PasswordMismatch


async def logged_in(application: ApplicationSnapshot, account: Account) -> LoggedIn:
    """Let in somebody who has shown otherwise who he is."""
    session = sessions.session_of(application, account.session.seed)
    if session != account.session:
        account = await in_database(storage.set_session, user=account.pk, session=session)
    return LoggedIn(account, sessions.token_of(application, session.seed))


async def find(application: ApplicationSnapshot, field: Field, value: str) -> Account | None:
    """Return a user by something only one has, or None."""
    if "\0" in value:
        return None
    return await in_database(storage.find, application=application.pk, field=field, value=value)


def _named(asked: Mapping[str, Any]) -> tuple[Field, str]:
    for key, field in _NAMES:
        value = asked.get(key)
        if value is None or value == "":
            continue
        if not isinstance(value, str):
            raise InvalidType(key)
        return field, value
    raise UsernameMissing
