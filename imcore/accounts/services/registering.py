"""Sign-up, and log-in by an account elsewhere, which is a sign-up the first time (rest-api 10.2)."""

import secrets
from collections.abc import Mapping
from typing import Any

from django.contrib.auth.hashers import make_password

from imcore import identifiers
from imcore.accounts import storage
from imcore.accounts.errors import LinkedToAnother, ThirdPartyIdMissing, UserNotFound
from imcore.accounts.models import AccountSettings
from imcore.accounts.records import Profile
from imcore.accounts.services import passwords, profiles, sessions
from imcore.accounts.services.logging_in import LoggedIn, logged_in
from imcore.appsettings import ApplicationSnapshot
from imcore.bridge import in_database


async def sign_up(
    *, application: ApplicationSnapshot, asked: Mapping[str, Any], by_master: bool, now_ms: int
) -> LoggedIn:
    """Make a user of a user name, a password and whatever else is asked.

    Raises UsernameMissing, PasswordMissing and the other errors of a column; UsernameTaken, EmailTaken, PhoneTaken.
    """
    profile = profiles.changed(profiles.NOBODY, profiles.columns_in(asked), by_master=by_master)
    password = passwords.readable(asked.get("password"))
    _check_links(application, profile, by_master=by_master)
    return await _create(application, profile, await passwords.encoded(application, password), now_ms=now_ms)


async def enter_by_account_elsewhere(
    *, application: ApplicationSnapshot, asked: Mapping[str, Any], by_master: bool, may_create: bool, now_ms: int
) -> tuple[LoggedIn, bool]:
    """Log in whom the account elsewhere in `authData` belongs to, or sign somebody up with it; and say which.

    A new user who has chosen no name gets one. Raises ThirdPartyIdMissing, ThirdPartyRefused, and UserNotFound if a
    user should have been there (not `may_create`); as `sign_up` otherwise.
    """
    columns = profiles.columns_in(asked)
    if columns.get("username") is None:
        columns["username"] = secrets.token_hex(12)
    profile = profiles.changed(profiles.NOBODY, columns, by_master=by_master)
    _check_links(application, profile, by_master=by_master)
    links = profiles.links(profile)
    if not links:
        raise ThirdPartyIdMissing
    known = await in_database(storage.find_linked, application=application.pk, links=links)
    if known is None and may_create:
        try:
            return await _create(application, profile, make_password(None), now_ms=now_ms), True
        except LinkedToAnother:
            # Two devices came with it at a time, or one that was impatient.
            known = await in_database(storage.find_linked, application=application.pk, links=links)
    if known is None:
        raise UserNotFound
    return await logged_in(application, known), False


async def _create(application: ApplicationSnapshot, profile: Profile, password: str, *, now_ms: int) -> LoggedIn:
    session = sessions.new_session(application)
    account = await in_database(
        storage.create,
        application=application.pk,
        object_id=identifiers.object_id(now_ms),
        profile=profile,
        password=password,
        session=session,
        links=profiles.links(profile),
        now_ms=now_ms,
    )
    return LoggedIn(account, sessions.token_of(application, session.seed))


def _check_links(application: ApplicationSnapshot, profile: Profile, *, by_master: bool) -> None:
    trusts_clients = by_master or application.of(AccountSettings).third_party_logins
    profiles.check_trusted(profiles.NOBODY, profile, trusts_clients=trusts_clients)
