"""Session tokens of users: one for each user, the same on all devices until it is renewed (rest-api 10.2).

    seed (stored, random)  ──HMAC, master key──►  token (told at each log-in)  ──HMAC, master key──►  digest (stored)

So a copy of the table opens no session, and a new master key ends all of them.
"""

import hashlib
import hmac
import secrets
import string

from imcore import limits
from imcore.accounts import storage
from imcore.accounts.errors import Forbidden
from imcore.accounts.records import Account, Session
from imcore.accounts.storage import Change
from imcore.appsettings import ApplicationSnapshot
from imcore.bridge import in_database
from imcore.user_sessions import users_resolved_by

_ALPHABET = string.digits + string.ascii_lowercase


@users_resolved_by
async def user_of(application: ApplicationSnapshot, token: str) -> Account | None:
    """Return the user whose session token this is, or None: one indexed query, and a comparison in constant time."""
    if not token:
        return None
    digest = digest_of(application, token)
    account = await in_database(storage.find, application=application.pk, field="session_digest", value=digest)
    return account if account is not None and hmac.compare_digest(account.session.digest, digest) else None


async def renew(*, application: ApplicationSnapshot, account: Account, by_master: bool, now_ms: int) -> Account:
    """Give a user another session token and end the old one. Raises UserNotFound, and as `check_unended`."""
    renewed = Change(session=new_session(application))

    def change(before: Account) -> Change:
        check_unended(account, before, by_master=by_master)
        return renewed

    return await in_database(storage.change, user=account.pk, change=change, now_ms=now_ms)


def check_unended(account: Account, now: Account, *, by_master: bool) -> None:
    """Raise Forbidden if a user's session, by which he asks, has ended since he was let in as `account`.

    Else a stolen token would outlive its end in a request that waits, for a password to be hashed for instance.
    """
    if not by_master and now.session.seed != account.session.seed:
        raise Forbidden


def new_session(application: ApplicationSnapshot) -> Session:
    """Return a session that nobody has yet."""
    return session_of(application, secrets.token_hex(16))


def session_of(application: ApplicationSnapshot, seed: str) -> Session:
    """Return the session of a seed, under the master key of now."""
    return Session(seed, digest_of(application, token_of(application, seed)))


def token_of(application: ApplicationSnapshot, seed: str) -> str:
    """Return the token of a seed: what a log-in answers."""
    number = int.from_bytes(_keyed(application, "token", seed))
    characters = []
    for _ in range(limits.USER_TOKEN_CHARACTERS):
        number, digit = divmod(number, len(_ALPHABET))
        characters.append(_ALPHABET[digit])
    return "".join(characters)


def digest_of(application: ApplicationSnapshot, token: str) -> str:
    """Return what a token is stored and found as."""
    return _keyed(application, "digest", token).hex()


def _keyed(application: ApplicationSnapshot, purpose: str, text: str) -> bytes:
    key = application.master_key.encode()
    return hmac.digest(key, f"imcore.user-session.{purpose}:{text}".encode(errors="replace"), hashlib.sha256)
