"""Who calls over HTTP: an application by its keys, and a client of it by its session token (rest-api 2.1 to 2.5).

    X-LC-Id: APP_ID                       which application
    X-LC-Key: APP_KEY                     … and that the caller knows it; `MASTER_KEY,master` is the developer
    X-LC-Sign: md5,timestamp[,master]     the same without sending the key: md5 of timestamp and key
    X-LC-IM-Session-Token: st             with `?client_id=`, a client with an open session

Views ask `caller_of`. Signatures have no expiry: clocks of devices are wrong, and Objective-C sends
requests again much later (rest-api 2.3).
"""

import hashlib
import hmac
from dataclasses import dataclass, replace
from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from imcore.appsettings import ApplicationSnapshot, applications
from imcore.bridge import in_async
from imcore.errors import ApplicationUnknown, InvalidOrigin, SessionTokenExpired
from imcore.models import GatewaySettings
from imcore.rest.exceptions import Unauthorized
from imcore.session_tokens import verify_session_token

# The present name first, then those of older SDKs; the first that is there counts (rest-api 2.1).
APP_ID = ("X-LC-Id", "X-AVOSCloud-Application-Id", "X-Uluru-Application-Id")
KEY = ("X-LC-Key", "X-AVOSCloud-Application-Key", "X-Uluru-Application-Key")
MASTER_KEY = ("X-AVOSCloud-Master-Key", "X-Uluru-Master-Key")
SIGNATURE = ("X-LC-Sign", "X-AVOSCloud-Request-Sign")
SESSION_TOKEN = ("X-LC-IM-Session-Token",)

MASTER = "master"


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose request this is. `is_master`: the developer's; `client_id`: a client's, whose session was verified."""

    application: ApplicationSnapshot
    is_master: bool
    client_id: str = ""


def caller_of(request: Request) -> Caller:
    """Return who was let in."""
    caller: Any = request.auth
    assert isinstance(caller, Caller)
    return caller


class ByKey(BaseAuthentication):
    """Lets in who knows a key of the application."""

    def authenticate(self, request: Request) -> tuple[None, Caller]:
        """Return the caller. Raises Unauthorized, ApplicationUnknown if it is switched off, InvalidOrigin."""
        application = in_async(applications.get, _header(request, APP_ID))
        if application is None:
            raise Unauthorized
        is_master = _rights(request, application)
        if not application.is_active:
            raise ApplicationUnknown
        if not application.of(GatewaySettings).admits(request.headers.get("Origin")):
            raise InvalidOrigin
        return None, Caller(application, is_master)


class BySession(ByKey):
    """Lets in a client of the application that has a session."""

    def authenticate(self, request: Request) -> tuple[None, Caller]:
        """Return the caller with its client id. Raises as ByKey, and SessionTokenExpired."""
        _, caller = super().authenticate(request)
        client_id = request.query_params.get("client_id", "")
        token = _header(request, SESSION_TOKEN)
        if not client_id or not token:
            raise SessionTokenExpired("X-LC-IM-Session-Token and client_id are needed.")
        in_async(verify_session_token, application=caller.application, client_id=client_id, token=token)
        return None, replace(caller, client_id=client_id)


def _header(request: Request, names: tuple[str, ...]) -> str:
    """Return the first of the headers that says something; Java sends some of them empty."""
    return next((value for name in names if (value := request.headers.get(name, "").strip())), "")


def _rights(request: Request, application: ApplicationSnapshot) -> bool:
    """Return whether the caller is the developer. Raises Unauthorized (rest-api 2.3: a valid key, else a signature)."""
    given = (
        _rights_of_key(_header(request, KEY), application),
        _same(_header(request, MASTER_KEY), application.master_key) or None,
        _rights_of_signature(_header(request, SIGNATURE), application),
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
    if not timestamp.isdecimal() or suffix not in ("", MASTER) or any(more):
        return None
    key = application.master_key if suffix else application.app_key
    expected = hashlib.md5(f"{timestamp}{key}".encode(), usedforsecurity=False).hexdigest()
    return suffix == MASTER if _same(digest.lower(), expected) else None


def _same(given: str, secret: str) -> bool:
    return bool(secret) and hmac.compare_digest(given.encode(), secret.encode())
