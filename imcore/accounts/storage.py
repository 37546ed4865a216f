"""Every query on users and every write, as units of work."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from imcore import limits
from imcore.accounts.errors import (
    EmailTaken,
    LinkedToAnother,
    PasswordMismatch,
    PhoneTaken,
    TooManyFailures,
    UsernameTaken,
    UserNotFound,
)
from imcore.accounts.models import LinkedAccount, User
from imcore.accounts.records import Account, Field, Link, Profile, Session, is_locked
from imcore.errors import ImError
from imcore.where import Column, InstantColumn, SwitchColumn, TextColumn, condition, order, part

# What no two users of an application may share, and what is told when they would.
_UNIQUE: Mapping[str, type[ImError]] = {"username": UsernameTaken, "email": EmailTaken, "phone": PhoneTaken}
# What the developer finds users by.
_FOUND_BY: Mapping[str, Column] = {
    "objectId": TextColumn("object_id"),
    "username": TextColumn("username"),
    "email": TextColumn("email"),
    "emailVerified": SwitchColumn("is_email_verified"),
    "mobilePhoneNumber": TextColumn("phone"),
    "mobilePhoneVerified": SwitchColumn("is_phone_verified"),
    "createdAt": InstantColumn("created_ms"),
    "updatedAt": InstantColumn("updated_ms"),
}


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a user; None leaves it. A new password forgives all wrong ones."""

    profile: Profile | None = None
    links: Sequence[Link] | None = None
    password: str | None = None
    session: Session | None = None


def find(*, application: int, field: Field, value: str) -> Account | None:
    """Return the user of an application that has this value, or None: one indexed query."""
    row = User.objects.filter(application=application, **{field: value}).first()
    return None if row is None else _account(row)


def find_linked(*, application: int, links: Iterable[Link]) -> Account | None:
    """Return the user that one of these accounts elsewhere belongs to: the first that belongs to anybody."""
    for platform, uid in links:
        link = LinkedAccount.objects.filter(application=application, platform=platform, uid=uid)
        row = User.objects.filter(pk__in=link.values("user")).first()
        if row is not None:
            return _account(row)
    return None


def page(
    *, application: int, where_text: str, order_text: str, limit: int, skip: int, counts: bool
) -> tuple[list[Account], int]:
    """Return users by condition, and how many match. Raises UnfitQuery."""
    rows = _rows(application, where_text)
    ordered = rows.order_by(*order(order_text, _FOUND_BY, "object_id"))
    found = [_account(row) for row in ordered[skip : skip + limit]] if limit else []
    return found, rows.count() if counts else 0


def scan(*, application: int, where_text: str, after: str | None, is_descending: bool, limit: int) -> list[Account]:
    """Return the next users in the order of their ids, those behind `after`. Raises UnfitQuery."""
    rows = part(_rows(application, where_text), after=after, is_descending=is_descending, limit=limit)
    return [_account(row) for row in rows]


def with_ids(*, application: int, object_ids: Sequence[str]) -> list[Account]:
    """Return those of the users that there are."""
    return [_account(row) for row in User.objects.filter(application=application, object_id__in=object_ids)]


@transaction.atomic
def create(
    *,
    application: int,
    object_id: str,
    profile: Profile,
    password: str,
    session: Session,
    links: Iterable[Link],
    now_ms: int,
) -> Account:
    """Store a new user. Raises UsernameTaken, EmailTaken, PhoneTaken, LinkedToAnother."""
    row = User(
        application_id=application,
        object_id=object_id,
        password=password,
        session_seed=session.seed,
        session_digest=session.digest,
        created_ms=now_ms,
        updated_ms=now_ms,
        **_columns(profile),
    )
    _save(row)
    _link(row, links)
    return _account(row)


def lock(users: Sequence[int]) -> None:
    """Lock users until the caller's transaction ends; those that are gone are passed over."""
    list(User.objects.select_for_update().filter(pk__in=users).order_by("pk").values_list("pk"))


@transaction.atomic
def change(*, user: int, change: Callable[[Account], Change], now_ms: int) -> Account:
    """Make of a user what `change` says, under its lock.

    Raises UserNotFound, UsernameTaken, EmailTaken, PhoneTaken, LinkedToAnother, and what `change` raises.
    """
    row = _locked(user)
    wanted = change(_account(row))
    if wanted.profile is not None:
        for name, value in _columns(wanted.profile).items():
            setattr(row, name, value)
    if wanted.password is not None:
        row.password = wanted.password
        row.failures_ms = []
    if wanted.session is not None:
        row.session_seed, row.session_digest = wanted.session.seed, wanted.session.digest
    row.updated_ms = now_ms
    _save(row)
    if wanted.links is not None:
        _link(row, wanted.links)
    return _account(row)


@transaction.atomic
def set_session(*, user: int, session: Session) -> Account:
    """Give a user a session in place of the one there was. Raises UserNotFound."""
    row = _locked(user)
    row.session_seed, row.session_digest = session.seed, session.digest
    row.save(update_fields=["session_seed", "session_digest"])
    return _account(row)


def settle_attempt(
    *,
    user: int,
    checked_password: str,
    is_right: bool,
    replacement: str | None,
    digest_of: Callable[[str], str],
    now_ms: int,
) -> Account | None:
    """Count a password that was wrong, or let a right one in; None if the stored hash is not the checked one any more.

    Decided under the lock, so that of many guesses at a time no more than LOGIN_FAILURES_MAX are told to be wrong, and
    none after them to be right. `replacement` is a better hash of the right password; `digest_of` that of the session
    with this seed, which changes with the master key. Raises PasswordMismatch, TooManyFailures, UserNotFound.
    """
    with transaction.atomic():
        row = _locked(user)
        if is_locked(row.failures_ms, now_ms):
            raise TooManyFailures
        if row.password != checked_password:
            return None
        if is_right:
            row.failures_ms = []
            row.password = replacement or row.password
            row.session_digest = digest_of(row.session_seed)
        else:
            row.failures_ms = [*row.failures_ms, now_ms][-limits.LOGIN_FAILURES_MAX - 1 :]
        row.save(update_fields=["failures_ms", "password", "session_digest"])
    if not is_right:
        raise TooManyFailures if is_locked(row.failures_ms, now_ms) else PasswordMismatch
    return _account(row)


def delete(*, users: Sequence[int]) -> None:
    """Delete users; those that are not there any more do no harm."""
    User.objects.filter(pk__in=users).delete()


def _rows(application: int, where_text: str) -> QuerySet[User]:
    return User.objects.filter(condition(where_text, _FOUND_BY), application=application)


def _locked(user: int) -> User:
    row = User.objects.select_for_update().filter(pk=user).first()
    if row is None:
        raise UserNotFound
    return row


def _save(row: User) -> None:
    """Write a row, or raise what another user has of it."""
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:
        others = User.objects.filter(application=row.application_id).exclude(pk=row.pk)
        for name, error in _UNIQUE.items():
            value = getattr(row, name)
            if value is not None and others.filter(**{name: value}).exists():
                raise error from None
        raise


def _link(row: User, links: Iterable[Link]) -> None:
    """Make these, and no others, the user's accounts elsewhere."""
    wanted = set(links)
    kept = LinkedAccount.objects.filter(user=row)
    present = set(kept.values_list("platform", "uid"))
    for platform, uid in present - wanted:
        kept.filter(platform=platform, uid=uid).delete()
    try:
        with transaction.atomic():
            LinkedAccount.objects.bulk_create(
                LinkedAccount(application_id=row.application_id, user=row, platform=platform, uid=uid)
                for platform, uid in sorted(wanted - present)
            )
    except IntegrityError:
        raise LinkedToAnother from None


def _columns(profile: Profile) -> dict[str, Any]:
    return {name: getattr(profile, name) for name in Profile.__slots__}


def _account(row: User) -> Account:
    return Account(
        pk=row.pk,
        object_id=row.object_id,
        profile=Profile(**{name: getattr(row, name) for name in Profile.__slots__}),
        password=row.password,
        session=Session(row.session_seed, row.session_digest),
        failures_ms=tuple(row.failures_ms),
        created_ms=row.created_ms,
        updated_ms=row.updated_ms,
    )
