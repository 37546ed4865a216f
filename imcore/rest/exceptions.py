"""Errors as HTTP: the REST twin of `gateway/dispatch.py`."""

import logging
from http import HTTPStatus
from typing import Any, Final

from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent
from django.http import HttpRequest, JsonResponse
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.views import exception_handler

from imcore.errors import (
    ConversationQueryFailed,
    ConversationQueryTooSlow,
    ConversationRequestInvalid,
    ImError,
)
from imcore.objects import QueryTooSlow, UnfitQuery

logger = logging.getLogger(__name__)

# Told of whatever was not foreseen (rest-api 4.1); the log says what it was.
CRASHED: Final = {"code": 1, "error": "Internal server error."}


class Unauthorized(ImError):
    """No application, or nothing that shows that the caller is of it (rest-api 2.7)."""

    code = 401
    reason = "Unauthorized."
    http_status = 401


class MasterKeyRequired(ImError):
    """For the developer only (rest-api 2.7)."""

    code = 403
    reason = "The master key is required for this operation."
    http_status = 403


class UserSessionRequired(ImError):
    """For users who are logged in; the session token is missing, unknown or over (rest-api 2.4)."""

    code = 403
    reason = "A valid session token is required for this operation."
    http_status = 403


class NotForClients(ImError):
    """Closed to clients by a setting (rest-api 2.7); LeanCloud's demo stops asking on it."""

    code = 119
    reason = "That operation isn't allowed for clients."


class BadParameter(ImError):
    """A parameter that cannot be read; the detail, which is what callers are told, says which (rest-api 4.1)."""

    code = 1
    reason = "Bad parameter."


class InvalidJson(ImError):
    """A body that is no JSON object (rest-api 4.1)."""

    code = 107
    reason = "The body is not a JSON object."


class NotFound(ImError):
    """An unknown path (rest-api 1.6)."""

    code = 404
    reason = "Not found."
    http_status = 404


class BodyTooLarge(ImError):
    """More than a request may have (rest-api 3.8)."""

    code = 413
    reason = "The body is too large."
    http_status = 413


class BodyTooSlow(ImError):
    """A body that is not here in time; nothing was done."""

    code = 408
    reason = "The body came too slowly."
    http_status = 408


class TooManyRequests(ImError):
    """The application asks more often than it may (rest-api 7); it may again in `retry_after_seconds`."""

    code = 429
    reason = "Too many requests."
    http_status = 429

    def __init__(self, *, retry_after_seconds: int) -> None:
        super().__init__()
        self.retry_after_seconds = retry_after_seconds


class ServerBusy(ImError):
    """More requests than this process can work on at a time, and than may wait; nothing was done (rest-api 4.1)."""

    code = 503
    reason = "The server is busy."
    http_status = 503
    retry_after_seconds = 5


class UpstreamFailed(ImError):
    """What this server does not serve was handed on, and there was no answer that could be handed back."""

    code = 502
    reason = "The upstream server did not answer."
    http_status = 502


def body_of_error(error: ImError) -> dict[str, Any]:
    """Return the body of an answer that tells an error (rest-api 4)."""
    # What the socket answers with 4301 and 4310 is a parameter that cannot be used, too (4.1).
    if isinstance(error, BadParameter | ConversationRequestInvalid | ConversationQueryFailed):
        # SDKs show a developer `error` alone.
        return {"code": BadParameter.code, "error": error.detail or BadParameter.reason}
    text = error.reason
    # The names of the socket's errors are matched on; sentences are read, and SDKs drop `detail`.
    if error.detail and text.endswith("."):
        text = f"{text.removesuffix('.')}: {error.detail}"
    body: dict[str, Any] = {"code": error.code, "error": text}
    if error.detail:
        body["detail"] = error.detail
    if error.app_code is not None:
        body |= {"appCode": error.app_code, "appMsg": error.app_message}
    return body


def to_response(error: Exception, context: dict[str, Any]) -> Response:
    """Turn whatever a view raised into `{"code": …, "error": …}`; DRF calls this for every view."""
    if isinstance(error, RequestDataTooBig):
        error = BodyTooLarge()
    if isinstance(error, TooManyFieldsSent):
        error = BadParameter("There are too many parameters.")
    if isinstance(error, ConversationQueryTooSlow):
        error = QueryTooSlow()
    if isinstance(error, UnfitQuery):
        error = BadParameter(str(error))
    if isinstance(error, ImError):
        return Response(body_of_error(error), status=error.http_status, headers=headers_of_error(error))
    if isinstance(error, exceptions.APIException):
        answer = exception_handler(error, context)
        assert answer is not None
        answer.data = {"code": error.status_code, "error": str(error.detail)}
        return answer
    logger.error("Unforeseen error in %s", context["request"].path, exc_info=error)
    return Response(CRASHED, status=status.HTTP_500_INTERNAL_SERVER_ERROR)


def error_response(error: ImError) -> JsonResponse:
    """Return the answer that tells an error, where no view of DRF's does."""
    return JsonResponse(body_of_error(error), status=error.http_status, headers=headers_of_error(error))


def headers_of_error(error: ImError) -> dict[str, str]:
    """Return when to ask again, where that helps (rest-api 7)."""
    is_passing = error.http_status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
    return {"Retry-After": str(error.retry_after_seconds)} if is_passing else {}


def bad_request(request: HttpRequest, exception: Exception | None = None) -> JsonResponse:
    """Answer a request that Django refuses by itself, for a `Host` that is none, for instance."""
    return JsonResponse({"code": 400, "error": "Bad request."}, status=400)


def not_found(request: HttpRequest, exception: Exception | None = None) -> JsonResponse:
    """Answer an unknown path (rest-api 1.6)."""
    return error_response(NotFound())


def server_error(request: HttpRequest) -> JsonResponse:
    """Answer a request whose view failed outside DRF. Django has logged the traceback."""
    return JsonResponse(CRASHED, status=500)
