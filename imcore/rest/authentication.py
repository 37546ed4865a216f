"""Who calls over HTTP: an application by its keys, a user or a client of it by a session token (rest-api 2.1 to 2.5).

    X-LC-Id: APP_ID                       which application
    X-LC-Key: APP_KEY                     … and that the caller knows it; `MASTER_KEY,master` is the developer
    X-LC-Sign: md5,timestamp[,master]     the same without sending the key: md5 of timestamp and key
    X-LC-Session: token                   a user who is logged in; or `?session_token=`
    X-LC-IM-Session-Token: st             with `?client_id=`, a client with an open session

`endpoint` in `endpoints.py` says of each endpoint whom it serves, with a `Who`; views ask `caller_of`.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from rest_framework.request import Request

from imcore.appsettings import ApplicationSnapshot, applications
from imcore.bridge import in_async
from imcore.errors import ApplicationUnknown, InvalidOrigin, SessionTokenExpired
from imcore.identifiers import now_ms
from imcore.models import GatewaySettings, RestSettings
from imcore.rest.exceptions import MasterKeyRequired, Unauthorized, UserSessionRequired
from imcore.session_tokens import verify_session_token
from imcore.user_sessions import User, user_of_token

# The present name first, then those of older SDKs; the first that says something counts (rest-api 2.1).
APP_ID: Final = ("X-LC-Id", "X-AVOSCloud-Application-Id", "X-Uluru-Application-Id")
KEY: Final = ("X-LC-Key", "X-AVOSCloud-Application-Key", "X-Uluru-Application-Key")
MASTER_KEY: Final = ("X-AVOSCloud-Master-Key", "X-Uluru-Master-Key")
SIGNATURE: Final = ("X-LC-Sign", "X-AVOSCloud-Request-Sign")
USER_SESSION: Final = ("X-LC-Session", "X-AVOSCloud-Session-Token", "X-Uluru-Session-Token")
IM_SESSION: Final = ("X-LC-IM-Session-Token",)

MASTER = "master"
# Android apps that ship an App ID only sign with a secret of their own (rest-api 2.3).
ANDROID = "ax-sig-1"


class Who(Enum):
    """Whom an endpoint serves."""

    ANYBODY = "without keys"
    APPLICATION = "who knows a key of the application; `Caller.user` if a user is logged in"
    USER = "… and is a user who is logged in"
    CLIENT = "… and is a client with an open session"
    MASTER = "the developer, who knows the master key"


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose request this is.

    `is_master`: the developer's. `client_id`: a client's, whose session was verified. `user`: a user's, where an
    endpoint may serve one.
    """

    application: ApplicationSnapshot
    is_master: bool
    client_id: str = ""
    user: User | None = None


def caller_of(request: Request) -> Caller:
    """Return who was let in."""
    caller: Any = request.auth
    assert isinstance(caller, Caller)
    return caller


def authenticate(request: Request, who: Who) -> Caller | None:
    """Return who asks, or None where nobody need say so.

    Raises Unauthorized, ApplicationUnknown if the application is switched off, InvalidOrigin; MasterKeyRequired,
    UserSessionRequired or SessionTokenExpired if it is somebody the endpoint does not serve.
    """
    if who is Who.ANYBODY:
        return None
    application, is_master = _authenticated(request)
    match who:
        case Who.MASTER if not is_master:
            raise MasterKeyRequired
        case Who.CLIENT:
            return Caller(application, is_master, client_id=_client_id(request, application))
        case Who.APPLICATION | Who.USER:
            token = user_token_of(request)
            user = in_async(user_of_token, application, token) if token else None
            if user is None and who is Who.USER:
                raise UserSessionRequired
            return Caller(application, is_master, user=user)
    return Caller(application, is_master)


def user_token_of(request: Request) -> str:
    """Return the session token of a user as it was sent, or nothing. Java's is empty when nobody is logged in."""
    return first_of(request.headers, USER_SESSION) or request.query_params.get("session_token", "").strip()


def first_of(headers: Mapping[str, str], names: tuple[str, ...]) -> str:
    """Return the first of the headers that says something."""
    return next((value for name in names if (value := headers.get(name, "").strip())), "")


def _authenticated(request: Request) -> tuple[ApplicationSnapshot, bool]:
    """Return which application's the caller is, and whether its developer."""
    app_id = first_of(request.headers, APP_ID)
    # The loop is another thread's: it is asked only for what is not at hand.
    application = applications.known(app_id) or in_async(applications.get, app_id)
    if application is None:
        raise Unauthorized
    is_master = _rights(request, application)
    if not application.is_active:
        raise ApplicationUnknown
    if not application.of(GatewaySettings).admits(request.headers.get("Origin")):
        raise InvalidOrigin
    return application, is_master


def _client_id(request: Request, application: ApplicationSnapshot) -> str:
    client_id = request.query_params.get("client_id", "")
    token = first_of(request.headers, IM_SESSION)
    if not client_id or not token:
        raise SessionTokenExpired("X-LC-IM-Session-Token and client_id are needed.")
    in_async(verify_session_token, application=application, client_id=client_id, token=token)
    return client_id


def _rights(request: Request, application: ApplicationSnapshot) -> bool:
    """Return whether the caller is the developer. Raises Unauthorized (rest-api 2.3: a valid key, else a signature)."""
    given = (
        # First: it came beside the app key in the SDKs that sent it.
        _same(first_of(request.headers, MASTER_KEY), application.master_key) or None,
        _rights_of_key(first_of(request.headers, KEY), application),
        _rights_of_signature(first_of(request.headers, SIGNATURE), application),
    )
    rights = next((one for one in given if one is not None), None)
    if rights is None:
        raise Unauthorized
    return rights


def _rights_of_key(text: str, application: ApplicationSnapshot) -> bool | None:
    key, _, suffix = (part.strip() for part in text.rpartition(","))
    if suffix == MASTER and key:
        return True if _same(key, application.master_key) else None
    # The master key by itself is good for no more than the app key (rest-api 2.2).
    is_known = _same(text, application.app_key) | _same(text, application.master_key)
    return False if is_known else None


def _rights_of_signature(text: str, application: ApplicationSnapshot) -> bool | None:
    digest, timestamp, suffix, *more = [*(part.strip() for part in text.split(",")), "", "", ""][:4]
    keys = {"": application.app_key, MASTER: application.master_key, ANDROID: application.android_secure_key}
    key = keys.get(suffix)
    if not key or any(more) or not _is_recent(timestamp, application.of(RestSettings).rest_signature_max_age_seconds):
        return None
    expected = hashlib.md5(f"{timestamp}{key}".encode(), usedforsecurity=False).hexdigest()
    return suffix == MASTER if _same(digest.lower(), expected) else None


def _is_recent(timestamp: str, max_age_seconds: int) -> bool:
    """Return whether the time of a signature is one, and near enough where the application has a bound for it."""
    if not timestamp.isascii() or not timestamp.isdecimal():
        return False
    return not max_age_seconds or (len(timestamp) < 20 and abs(now_ms() - int(timestamp)) <= max_age_seconds * 1000)


def _same(given: str, secret: str) -> bool:
    return bool(secret) and hmac.compare_digest(given.encode(), secret.encode())
