"""Where clients reach this server."""

from django.conf import settings
from rest_framework.request import Request


def origin_of(request: Request) -> str:
    """Return the scheme and the host of this server: what the operator says, else what a client has asked by."""
    return settings.PUBLIC_URL or f"{request.scheme}://{request.get_host()}"
