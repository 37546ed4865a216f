"""What SDKs ask of every server: the time, whether it is there, and to take their statistics (rest-api 10.7)."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from rest_framework.request import Request
from rest_framework.response import Response

from imcore.identifiers import iso_date, now_ms
from imcore.rest.authentication import Who
from imcore.rest.endpoints import endpoint
from imcore.rest.openapi import DATE, STRING, record


@endpoint(Who.ANYBODY, answers=record(__type=STRING, iso=DATE))
def date(request: Request) -> Response:
    """Answer the server's clock."""
    return Response({"__type": "Date", "iso": iso_date(now_ms())})


@endpoint(Who.ANYBODY)
def ping(request: Request) -> Response:
    """Answer that the server is there."""
    return Response({})


@csrf_exempt
def drop_statistics(request: HttpRequest, **path: str) -> HttpResponse:
    """Take what old SDKs report about themselves, by whatever method, and forget it."""
    return JsonResponse({})
