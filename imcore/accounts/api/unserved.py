"""What needs electronic mail or text messages, which this server does not send (rest-api 10.2)."""

from rest_framework.request import Request
from rest_framework.response import Response

from imcore.accounts.errors import InvalidEmail
from imcore.accounts.services import managing
from imcore.bridge import in_async
from imcore.rest.authentication import Who, caller_of
from imcore.rest.bodies import body_of
from imcore.rest.endpoints import endpoint
from imcore.rest.exceptions import NotForClients
from imcore.rest.openapi import STRING


@endpoint(Who.APPLICATION, needs={"email": STRING})
def mail(request: Request) -> Response:
    """Refuse to send mail: 205 for an address that no user has, 119 otherwise."""
    email = body_of(request).get("email")
    if not isinstance(email, str) or not email:
        raise InvalidEmail
    in_async(managing.check_email, caller_of(request).application, email)
    raise NotForClients("This server sends no mail.")


@endpoint(Who.APPLICATION)
def text_message(request: Request, code: str = "") -> Response:
    """Refuse to send a text message, or to take a code out of one: 119."""
    raise NotForClients("This server sends no text messages.")
