"""`/login`, `/users/me`, new tokens and passwords (rest-api 10.2); the signature to log in to messaging with (8.13)."""

from collections.abc import Mapping
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from imcore.accounts.api.representation import SESSION, session
from imcore.accounts.api.visitors import visitor_of
from imcore.accounts.errors import UserNotFound
from imcore.accounts.services import logging_in, managing, sessions, signing
from imcore.accounts.services.logging_in import LoggedIn
from imcore.bridge import in_async
from imcore.identifiers import now_ms
from imcore.rest import objects
from imcore.rest.authentication import Who, caller_of, user_token_of
from imcore.rest.bodies import body_of
from imcore.rest.endpoints import endpoint
from imcore.rest.exceptions import NotForClients
from imcore.rest.openapi import INTEGER, STRING, record
from imcore.rest.rates import LOG_INS


@endpoint(
    Who.APPLICATION,
    takes={"username": STRING, "email": STRING, "mobilePhoneNumber": STRING, "password": STRING},
    answers=SESSION,
    rate=LOG_INS,
)
def log_in(request: Request) -> Response:
    """Answer the user that a name and a password are of. Old scripts ask with GET."""
    asked: dict[str, Any] = request.query_params.dict() if request.method == "GET" else body_of(request)
    if asked.get("smsCode") and not asked.get("password"):
        raise NotForClients("This server sends no text messages.")
    application = caller_of(request).application
    return _told(request, in_async(logging_in.log_in, application=application, asked=asked, now_ms=now_ms()))


@endpoint(Who.APPLICATION, takes={"session_token": STRING}, answers=SESSION)
def me(request: Request) -> Response:
    """Answer the user of a session token. SDKs take code 211, and no other, for one that is over."""
    token = _token_in(request, request.query_params)
    account = in_async(sessions.user_of, caller_of(request).application, token)
    if account is None:
        raise UserNotFound
    return _told(request, LoggedIn(account, token))


@endpoint(Who.APPLICATION, answers=SESSION)
def refresh_token(request: Request, object_id: str) -> Response:
    """Give a user another session token; on all devices the old one is over."""
    application, visitor = caller_of(request).application, visitor_of(request)
    account = in_async(managing.own, application=application, object_id=object_id, visitor=visitor)
    account = in_async(
        sessions.renew, application=application, account=account, by_master=visitor.is_master, now_ms=now_ms()
    )
    return _told(request, LoggedIn(account, sessions.token_of(application, account.session.seed)))


@endpoint(Who.APPLICATION, needs={"old_password": STRING, "new_password": STRING}, answers=SESSION)
def change_password(request: Request, object_id: str) -> Response:
    """Change a password for who knows the old one; JavaScript reads its session token anew from the answer."""
    asked = body_of(request)
    application = caller_of(request).application
    changed = in_async(
        managing.change_password,
        application=application,
        account=in_async(managing.own, application=application, object_id=object_id, visitor=visitor_of(request)),
        old=asked.get("old_password"),
        new=asked.get("new_password"),
        now_ms=now_ms(),
    )
    return _told(request, changed)


@endpoint(
    Who.APPLICATION,
    takes={"session_token": STRING},
    answers=record(client_id=STRING, nonce=STRING, signature=STRING, timestamp=INTEGER),
)
def sign(request: Request) -> Response:
    """Answer what the user of a session token opens a session of messaging with."""
    asked = body_of(request) if request.method == "POST" else request.query_params
    signed = in_async(
        signing.sign_login,
        application=caller_of(request).application,
        token=_token_in(request, asked),
        now_ms=now_ms(),
    )
    return Response(
        {
            "client_id": signed.client_id,
            "nonce": signed.signature.nonce,
            "signature": signed.signature.digest,
            "timestamp": signed.signature.timestamp,
        }
    )


def _told(request: Request, logged_in: LoggedIn) -> Response:
    return Response(objects.filled(request, session(logged_in)))


def _token_in(request: Request, asked: Mapping[str, Any]) -> str:
    """Return the token that is asked about, else that of who asks: Python, with a user current, asks about another."""
    token = asked.get("session_token")
    return token if isinstance(token, str) and token else user_token_of(request)
