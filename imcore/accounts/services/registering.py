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
from imcore.writes import Write, stored_alone


async def sign_up(
    *, application: ApplicationSnapshot, asked: Mapping[str, Any], by_master: bool, now_ms: int
) -> LoggedIn:
    """Make a user of a user name, a password and whatever else is asked. Raises as `signing_up`."""
    return await stored_alone(
        await signing_up(application=application, asked=asked, by_master=by_master, now_ms=now_ms)
    )


async def signing_up(
    *, application: ApplicationSnapshot, asked: Mapping[str, Any], by_master: bool, now_ms: int
) -> Write[LoggedIn]:
    """Prepare a user of a user name, a password and whatever else is asked.

    Raises UsernameMissing, PasswordMissing and the other errors of a column; UsernameTaken, EmailTaken, PhoneTaken;
    ThirdPartyRefused, LinkedToAnother.
    """
    columns = profiles.columns_in(asked)
    # Before the hash, which is dear, and once more with what else is stored.
    _new_profile(application, columns, by_master=by_master)
    password = await passwords.encoded(application, passwords.readable(asked.get("password")))

    def store(more: Mapping[str, Any]) -> LoggedIn:
        profile = _new_profile(application, {**columns, **profiles.columns_in(more)}, by_master=by_master)
        return _stored(application, profile, password, now_ms=now_ms)

    return Write(store)


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
    profile = _new_profile(application, columns, by_master=by_master)
    links = profiles.links(profile)
    if not links:
        raise ThirdPartyIdMissing
    known = await in_database(storage.find_linked, application=application.pk, links=links)
    if known is None and may_create:
        try:
            made = await in_database(_stored, application, profile, make_password(None), now_ms=now_ms)
            return made, True
        except LinkedToAnother:
            # Two devices came with it at a time, or one that was impatient.
            known = await in_database(storage.find_linked, application=application.pk, links=links)
    if known is None:
        raise UserNotFound
    return await logged_in(application, known), False


def _stored(application: ApplicationSnapshot, profile: Profile, password: str, *, now_ms: int) -> LoggedIn:
    session = sessions.new_session(application)
    account = storage.create(
        application=application.pk,
        object_id=identifiers.object_id(now_ms),
        profile=profile,
        password=password,
        session=session,
        links=profiles.links(profile),
        now_ms=now_ms,
    )
    return LoggedIn(account, sessions.token_of(application, session.seed))


def _new_profile(application: ApplicationSnapshot, columns: Mapping[str, Any], *, by_master: bool) -> Profile:
    profile = profiles.changed(profiles.NOBODY, columns, by_master=by_master)
    trusts_clients = by_master or application.of(AccountSettings).third_party_logins
    profiles.check_trusted(profiles.NOBODY, profile, trusts_clients=trusts_clients)
    return profile
