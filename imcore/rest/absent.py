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


def _class_unknown(unserved: str) -> ImError:
    """Return that there is no such class, nor an upstream server that may have it."""
    return ClassUnknown(unserved.partition("/")[0][:100])


def _absent(told: Callable[[str], ImError]) -> Callable[..., Coroutine[Any, Any, HttpResponseBase]]:
    """Return the view of a path at which there is nothing, whatever the method; `told` what is asked for there."""

    @csrf_exempt
    async def view(request: HttpRequest, unserved: str = "") -> HttpResponseBase:
        if upstream.is_configured(request):
            return await upstream.unknown_path(request)
        return error_response(told(unserved))

    return view


urlpatterns = [
    path("classes/<path:unserved>", _absent(_class_unknown)),
    path("scan/classes/<path:unserved>", _absent(_class_unknown)),
    path("cloudQuery", _absent(lambda unserved: CqlUnknown())),
    path("LiveQuery/<path:unserved>", _absent(lambda unserved: BadParameter("LiveQuery is not enabled."))),
    path("functions/<path:unserved>", _absent(lambda unserved: FunctionUnknown())),
    path("call/<path:unserved>", _absent(lambda unserved: FunctionUnknown())),
]
