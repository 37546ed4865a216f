"""From a session here to a log-in to messaging: the server signs in the user's name (rest-api 8.13)."""

import secrets
import string
from dataclasses import dataclass

from imcore import signatures
from imcore.accounts.errors import UserNotFound
from imcore.accounts.services import sessions
from imcore.appsettings import ApplicationSnapshot
from imcore.signatures import Signature

_NONCE_CHARACTERS = 10
_ALPHABET = string.digits + string.ascii_lowercase


@dataclass(frozen=True, slots=True)
class SignedLogin:
    """What a client logs in to messaging with, and as whom."""

    client_id: str
    signature: Signature


async def sign_login(*, application: ApplicationSnapshot, token: str, now_ms: int) -> SignedLogin:
    """Sign the log-in of the user with this session token, under his object id. Raises UserNotFound.

    Good for as long as any signature is (`signatures.is_valid`), whether or not the application wants any.
    """
    account = await sessions.user_of(application, token)
    if account is None:
        raise UserNotFound
    # Letters and digits only: a nonce that ends in an action would be refused.
    nonce = "".join(secrets.choice(_ALPHABET) for _ in range(_NONCE_CHARACTERS))
    claim = signatures.login(application.app_id, account.object_id)
    signature = signatures.sign(claim, timestamp=now_ms, nonce=nonce, master_key=application.master_key)
    return SignedLogin(account.object_id, signature)
