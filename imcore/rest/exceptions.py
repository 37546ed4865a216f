"""Errors as HTTP: the REST twin of `gateway/dispatch.py`."""

import logging
from typing import Any

from django.http import HttpRequest, JsonResponse
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.views import exception_handler

from imcore.errors import ImError

logger = logging.getLogger(__name__)


class Unauthorized(ImError):
    """No application, or nothing that shows that the caller is of it (rest-api 2.7)."""

    code = 401
    reason = "Unauthorized."
    http_status = 401


class NotForClients(ImError):
    """Closed to clients by a setting (rest-api 2.7); LeanCloud's demo stops asking on it."""

    code = 119
    reason = "That operation isn't allowed for clients."


class BadParameter(ImError):
    """A parameter that cannot be read; the detail says which (rest-api 4.1)."""

    code = 1
    reason = "Bad parameter."


def to_response(error: Exception, context: dict[str, Any]) -> Response:
    """Turn whatever a view raised into `{"code": …, "error": …}`; DRF calls this for every view."""
    if isinstance(error, ImError):
        body = {"code": error.code, "error": error.reason}
        if error.detail:
            body["detail"] = error.detail
        return Response(body, status=error.http_status)
    if isinstance(error, exceptions.APIException):
        response = exception_handler(error, context)
        assert response is not None
        response.data = {"code": error.status_code, "error": str(error.detail)}
        return response
    logger.error("Unforeseen error in %s", context["request"].path, exc_info=error)
    return Response({"code": 1, "error": "Internal server error."}, status=status.HTTP_500_INTERNAL_SERVER_ERROR)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> JsonResponse:
    """Answer a request that Django refuses by itself, for a `Host` that is none, for instance."""
    return JsonResponse({"code": 400, "error": "Bad request."}, status=400)


def not_found(request: HttpRequest, exception: Exception | None = None) -> JsonResponse:
    """Answer an unknown path (rest-api 1.6)."""
    return JsonResponse({"code": 404, "error": "Not found."}, status=404)


def server_error(request: HttpRequest) -> JsonResponse:
    """Answer a request whose view failed outside DRF. Django has logged the traceback."""
    return JsonResponse({"code": 1, "error": "Internal server error."}, status=500)
