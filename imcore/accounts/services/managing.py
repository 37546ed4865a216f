"""Reading, changing and deleting users: by themselves, or by the developer, who has the master key (rest-api 10.2)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imcore.accounts import storage
from imcore.accounts.errors import EmailUnknown, Forbidden, LogInRequired, PasswordMismatch, UserNotFound
from imcore.accounts.models import AccountSettings
from imcore.accounts.records import Account
from imcore.accounts.services import passwords, profiles, sessions
from imcore.accounts.services.logging_in import LoggedIn, check_password, find
from imcore.accounts.storage import Change
from imcore.appsettings import ApplicationSnapshot
from imcore.bridge import in_database
from imcore.writes import Rows, Write, stored_alone


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks: the developer (`is_master`), and the user whose session token came along, if it was good."""

    is_master: bool
    has_token: bool
    account: Account | None

    def sees_all_of(self, account: Account) -> bool:
        """Return whether the columns of a user that are nobody else's business may be shown."""
        return self.is_master or (self.account is not None and self.account.pk == account.pk)


@dataclass(frozen=True, slots=True)
class Updated:
    """A user after an update, the columns that were asked for, and the token if it is another one now."""

    account: Account
    touched: tuple[str, ...]
    token: str | None


async def read(*, application: ApplicationSnapshot, object_id: str, visitor: Visitor) -> Account:
    """Return a user that the visitor may see. Raises UserNotFound, Forbidden by the user's ACL."""
    account = await find(application, "object_id", object_id)
    if account is None:
        raise UserNotFound
    if not may_read(account, visitor):
        raise Forbidden
    return account


async def own(*, application: ApplicationSnapshot, object_id: str, visitor: Visitor) -> Account:
    """Return a user that the visitor may change: himself, or anybody for the developer.

    Raises LogInRequired without a session token, Forbidden with one that is void or another user's, UserNotFound.
    """
    if visitor.is_master:
        account = await find(application, "object_id", object_id)
        if account is None:
            raise UserNotFound
        return account
    if not visitor.has_token:
        raise LogInRequired
    if visitor.account is None:
        raise Forbidden("The session is over; log in again.")
    if visitor.account.object_id != object_id:
        raise Forbidden("Only the user, and the developer, may do this.")
    return visitor.account


async def update(
    *, application: ApplicationSnapshot, object_id: str, asked: Mapping[str, Any], visitor: Visitor, now_ms: int
) -> Updated:
    """Change columns of a user, the password among them, as asked. Raises as `updating`."""
    return await stored_alone(
        await updating(application=application, object_id=object_id, asked=asked, visitor=visitor, now_ms=now_ms)
    )


async def updating(
    *, application: ApplicationSnapshot, object_id: str, asked: Mapping[str, Any], visitor: Visitor, now_ms: int
) -> Write[Updated]:
    """Prepare a change of columns of a user, the password among them, as asked.

    Raises as `own`, also if the session ends meanwhile; the errors of a column; UsernameTaken, EmailTaken, PhoneTaken,
    LinkedToAnother, ThirdPartyRefused.
    """
    account = await own(application=application, object_id=object_id, visitor=visitor)
    settings = application.of(AccountSettings)
    columns = profiles.columns_in(asked)
    # Before the hash, which is dear, and once more under the lock.
    profiles.changed(account.profile, columns, by_master=visitor.is_master)
    wanted = asked.get("password")
    password = None if wanted is None else await passwords.encoded(application, passwords.readable(wanted))
    session = None
    if password is not None and settings.password_change_ends_sessions:
        session = sessions.new_session(application)
    token = None if session is None else sessions.token_of(application, session.seed)

    def store(more: Mapping[str, Any]) -> Updated:
        # As what is asked: a child could be told to be the session token of its parent.
        wished = {**columns, **profiles.columns_in(more)}

        def change(before: Account) -> Change:
            sessions.check_unended(account, before, by_master=visitor.is_master)
            after = profiles.changed(before.profile, wished, by_master=visitor.is_master)
            trusts_clients = visitor.is_master or settings.third_party_logins
            profiles.check_trusted(before.profile, after, trusts_clients=trusts_clients)
            return Change(after, profiles.links(after), password, session)

        touched = tuple(dict.fromkeys(key.partition(".")[0] for key in wished))
        return Updated(storage.change(user=account.pk, change=change, now_ms=now_ms), touched, token)

    return Write(store, rows=Rows("users", account.pk, storage.lock))


async def change_password(
    *, application: ApplicationSnapshot, account: Account, old: object, new: object, now_ms: int
) -> LoggedIn:
    """Give a user who knows the old password a new one.

    Raises PasswordMissing, InvalidPassword, and as `check_password`.
    """
    old_password, new_password = passwords.readable(old), passwords.readable(new)
    checked = await check_password(application=application, account=account, password=old_password, now_ms=now_ms)

    def check(before: Account) -> None:
        # While the new one was hashed, an administrator may have locked out who knows the old one.
        if before.password != checked.password:
            raise PasswordMismatch

    ends = application.of(AccountSettings).password_change_ends_sessions
    return await _set_password(application, account, new_password, ends_sessions=ends, now_ms=now_ms, check=check)


async def reset_password(*, application: ApplicationSnapshot, object_id: str, password: str, now_ms: int) -> LoggedIn:
    """Give a user another password on behalf of an administrator: wrong ones are forgiven, the session ends.

    Raises UserNotFound, PasswordMissing, InvalidPassword.
    """
    account = await find(application, "object_id", object_id)
    if account is None:
        raise UserNotFound
    readable = passwords.readable(password)
    return await _set_password(application, account, readable, ends_sessions=True, now_ms=now_ms)


async def end_session(*, application: ApplicationSnapshot, object_id: str, now_ms: int) -> None:
    """Sign a user out of all devices on behalf of an administrator. Raises UserNotFound."""
    account = await find(application, "object_id", object_id)
    if account is None:
        raise UserNotFound
    await sessions.renew(application=application, account=account, by_master=True, now_ms=now_ms)


async def delete(*, application: ApplicationSnapshot, object_ids: Sequence[str], visitor: Visitor) -> None:
    """Delete users, those of them that there are; their messages stay. Raises as `own`."""
    if visitor.is_master:
        accounts = await with_ids(application=application.pk, object_ids=object_ids)
        if not accounts:
            raise UserNotFound
    else:
        accounts = [await own(application=application, object_id=one, visitor=visitor) for one in object_ids]
    await in_database(storage.delete, users=[account.pk for account in accounts])


async def page(
    *, application: int, where_text: str, order_text: str, limit: int, skip: int, counts: bool
) -> tuple[list[Account], int]:
    """Return users by condition, in the order of their ids if no other is asked for, and how many match.

    Raises UnfitQuery.
    """
    return await in_database(
        storage.page,
        application=application,
        where_text=where_text,
        order_text=order_text,
        limit=limit,
        skip=skip,
        counts=counts,
    )


async def scan(
    *, application: int, where_text: str, after: str | None, is_descending: bool, limit: int
) -> list[Account]:
    """Return the next users in the order of their ids, those behind `after`. Raises UnfitQuery."""
    return await in_database(
        storage.scan,
        application=application,
        where_text=where_text,
        after=after,
        is_descending=is_descending,
        limit=limit,
    )


async def with_ids(*, application: int, object_ids: Sequence[str]) -> list[Account]:
    """Return those of the users that there are."""
    return await in_database(storage.with_ids, application=application, object_ids=object_ids)


async def check_email(application: ApplicationSnapshot, email: str) -> None:
    """Return if a user has this address. Raises EmailUnknown."""
    if await find(application, "email", email) is None:
        raise EmailUnknown


def may_read(account: Account, visitor: Visitor) -> bool:
    """Return whether a visitor may see a user at all: the developer, the user himself, and whom the ACL lets."""
    acl = account.profile.acl
    if acl is None or visitor.sees_all_of(account):
        return True
    names = ["*"] if visitor.account is None else ["*", visitor.account.object_id]
    return any(acl.get(name, {}).get("read") is True for name in names)


async def _set_password(
    application: ApplicationSnapshot,
    account: Account,
    password: str,
    *,
    ends_sessions: bool,
    now_ms: int,
    check: Callable[[Account], None] = lambda before: None,
) -> LoggedIn:
    """Give a user a password, if `check` does not object to what the user is by then."""
    wanted = Change(
        password=await passwords.encoded(application, password),
        session=sessions.new_session(application) if ends_sessions else None,
    )

    def change(before: Account) -> Change:
        check(before)
        return wanted

    changed = await in_database(storage.change, user=account.pk, change=change, now_ms=now_ms)
    return LoggedIn(changed, sessions.token_of(application, changed.session.seed))
