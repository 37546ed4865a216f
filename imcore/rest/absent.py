"""What the hosted service has and this server has not, told in the hosted service's words.

Last of all paths, and the upstream server's, where there is one: what storage has beside classes lives there.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from imcore.errors import ImError
from imcore.objects import ClassUnknown
from imcore.rest import upstream
from imcore.rest.exceptions import BadParameter, error_response


class CqlUnknown(ImError):
    """Queries in CQL (rest-api 10.1)."""

    code = 300
    reason = "CQL is not supported."


class FunctionUnknown(ImError):
    """Functions of the developer's that run in the hosted service's cloud (rest-api 10.1)."""

    code = 1
    reason = "There are no functions here."
    http_status = 404


def _absent(error: ImError) -> Callable[..., Coroutine[Any, Any, HttpResponseBase]]:
    """Return the view of a path at which there is nothing, whatever the method."""

    @csrf_exempt
    async def view(request: HttpRequest, **named: Any) -> HttpResponseBase:
        if upstream.is_configured(request):
            return await upstream.unknown_path(request)
        return error_response(error)

    return view


urlpatterns = [
    path("classes/<path:unserved>", _absent(ClassUnknown())),
    path("scan/classes/<path:unserved>", _absent(ClassUnknown())),
    path("cloudQuery", _absent(CqlUnknown())),
    path("LiveQuery/<path:unserved>", _absent(BadParameter("LiveQuery is not enabled."))),
    path("functions/<path:unserved>", _absent(FunctionUnknown())),
    path("call/<path:unserved>", _absent(FunctionUnknown())),
]
