"""URLs of a server with endpoints that tell what reached them, beside its own."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from imcore import urls
from imcore.rest import parameters, rates
from imcore.rest.authentication import Caller, Who, caller_of
from imcore.rest.bodies import body_of
from imcore.rest.endpoints import endpoint, resource

LARGE = [{"number": number, "text": "something to say"} for number in range(1000)]


def told(caller: Caller) -> dict[str, Any]:
    """Write who was let in."""
    user = caller.user and caller.user.object_id
    return {"is_master": caller.is_master, "client_id": caller.client_id, "user": user}


@endpoint(Who.ANYBODY)
def anybody(request: Request) -> Response:
    """Serve anybody."""
    return Response({})


@endpoint(Who.APPLICATION)
def application(request: Request) -> Response:
    """Serve who knows a key."""
    return Response(told(caller_of(request)))


@endpoint(Who.USER)
def user(request: Request) -> Response:
    """Serve users."""
    return Response(told(caller_of(request)))


@endpoint(Who.CLIENT)
def client(request: Request) -> Response:
    """Serve clients."""
    return Response(told(caller_of(request)))


@endpoint(Who.MASTER)
def master(request: Request) -> Response:
    """Serve the developer."""
    return Response(told(caller_of(request)))


@endpoint(Who.APPLICATION)
def echo(request: Request) -> Response:
    """Answer what was asked."""
    query = {name: value for name, value in request.query_params.items() if name != "session_token"}
    body = {} if request.method == "GET" else body_of(request)
    return Response({"method": request.method, "body": body, "query": query})


@endpoint(Who.ANYBODY)
def read(request: Request) -> Response:
    """Answer some parameters."""
    asked = parameters.of(request)
    return Response(
        {
            "reversed": asked.boolean("reversed", False),
            "timestamp": asked.integer("timestamp", None),
            "client_ids": asked.client_ids("client_ids", [], at_most=3),
            "limit": asked.limit(),
        }
    )


@endpoint(Who.ANYBODY)
def large(request: Request) -> Response:
    """Answer much."""
    return Response(LARGE)


@endpoint(Who.ANYBODY)
def crash(request: Request) -> Response:
    """Fail."""
    raise RuntimeError("the secret detail")


def crash_outside(request: HttpRequest) -> HttpResponse:
    """Fail where no view of DRF catches it."""
    raise RuntimeError("the secret detail")


def page(request: HttpRequest) -> HttpResponse:
    """Answer as Django's own pages do."""
    return HttpResponse("<h1>Forbidden</h1>", status=403)


@endpoint(Who.MASTER, rate=rates.MESSAGES)
def send(request: Request) -> Response:
    """Count as a message."""
    return Response({})


@endpoint(Who.MASTER, rate=rates.SUBSCRIBER_MESSAGES)
def send_to_subscribers(request: Request) -> Response:
    """Count as a message to subscribers."""
    return Response({})


@endpoint(Who.MASTER, rate=rates.BROADCASTS)
def broadcast(request: Request) -> Response:
    """Count as a broadcast."""
    return Response({})


urlpatterns = [
    path("1.1/test/anybody", resource(GET=anybody)),
    path("1.1/test/application", resource(GET=application)),
    path("1.1/test/user", resource(GET=user)),
    path("1.1/test/client", resource(GET=client)),
    path("1.1/test/master", resource(GET=master)),
    path("1.1/test/echo", resource(GET=echo, POST=echo, PUT=echo, DELETE=echo)),
    path("1.1/test/read", resource(GET=read, POST=read, DELETE=read)),
    path("1.1/test/large", resource(GET=large)),
    path("1.1/test/crash", resource(GET=crash)),
    path("1.1/test/crash-outside", crash_outside),
    path("1.1/test/page", page),
    path("1.1/test/send", resource(POST=send)),
    path("1.1/test/send-to-subscribers", resource(POST=send_to_subscribers)),
    path("1.1/test/broadcast", resource(POST=broadcast)),
    *urls.urlpatterns,
]

handler400 = urls.handler400
handler404 = urls.handler404
handler500 = urls.handler500
