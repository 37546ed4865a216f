"""Endpoints: a function each, told whom it serves; and resources, which are what is at one path.

    @endpoint(Who.MASTER, needs={"message": STRING}, takes={"transient": BOOLEAN}, answers=SENT, rate=MESSAGES)
    def send(request, conversation_id):
        asked = parameters.of(request)
        …

    path("rtm/conversations/<str:conversation_id>/messages", resource(GET=history.page, POST=messages.send))

docs/adding.md walks through one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from django.http import HttpResponseBase
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.request import Request
from rest_framework.views import APIView

from imcore.rest import openapi, rates, upstream
from imcore.rest.authentication import Who, authenticate
from imcore.rest.bodies import open_tunnel
from imcore.rest.exceptions import NotFound
from imcore.rest.openapi import NOTHING, Schema
from imcore.rest.rates import Rate

View = Callable[..., HttpResponseBase]

METHODS: Final = frozenset({"GET", "POST", "PUT", "DELETE"})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A view, whom it serves, and what it takes and answers, for the OpenAPI document."""

    view: View
    who: Who
    rate: Rate | None = None
    needs: Mapping[str, Schema] = field(default_factory=dict)
    takes: Mapping[str, Schema] = field(default_factory=dict)
    answers: Schema = field(default_factory=lambda: NOTHING)
    status: int = 200


def endpoint(
    who: Who,
    *,
    rate: Rate | None = None,
    needs: Mapping[str, Schema] | None = None,
    takes: Mapping[str, Schema] | None = None,
    answers: Schema = NOTHING,
    status: int = 200,
) -> Callable[[View], Endpoint]:
    """Make an endpoint of a view: a function of the request and of what the path names, which returns the answer.

    `rate` counts every request; `needs` and `takes` are the parameters that must and may be there, by name.
    `status`: 201 if it answers so when it has made something.
    """

    def make(view: View) -> Endpoint:
        return Endpoint(view, who, rate, needs or {}, takes or {}, answers, status)

    return make


def resource(**endpoints: Endpoint) -> Callable[..., HttpResponseBase]:
    """Return the view of a path with one endpoint for each method: `resource(GET=find, POST=create)`."""
    assert endpoints.keys() <= METHODS
    handlers = {method.lower(): _handler(method, one) for method, one in endpoints.items()}
    view_class: Any = type("Resource", (Resource,), {"endpoints": endpoints, **handlers})
    view: Callable[..., HttpResponseBase] = view_class.as_view()
    return view


def _handler(method: str, of: Endpoint) -> Callable[..., HttpResponseBase]:
    def handle(self: "Resource", request: Request, *args: Any, **path: Any) -> HttpResponseBase:
        return of.view(request, **path)

    described = openapi.describe(
        method, of.view, who=of.who, needs=of.needs, takes=of.takes, answers=of.answers, status=of.status
    )
    handler: Callable[..., HttpResponseBase] = described(handle)
    return handler


class Resource(APIView):
    """What is at one path."""

    endpoints: ClassVar[Mapping[str, Endpoint]] = {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Do what comes before every endpoint."""
        if any("\0" in value for value in kwargs.values()):  # no database stores it, so nothing has such an id
            raise NotFound
        open_tunnel(request)
        super().initial(request, *args, **kwargs)

    def perform_authentication(self, request: Request) -> None:
        """Let in whom the endpoint serves, as often as it may."""
        asked = self.endpoints.get("GET" if request.method == "HEAD" else request.method or "")
        if asked is None:
            return
        caller = authenticate(request, asked.who)
        request.auth = caller
        if asked.rate is not None and caller is not None:
            rates.count(asked.rate, caller)

    def http_method_not_allowed(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Answer a method that none of the endpoints here has: it may be the upstream server's."""
        if upstream.is_configured(request._request):
            return upstream.unserved(request)
        raise MethodNotAllowed(request.method or "")
