"""HTTP requests as SDKs make them for a client that has a session."""

from typing import Any
from urllib.parse import urlencode

from django.test import AsyncClient

from imcore.models import Application
from tests.imclient import ImClient


async def ask(application: Application, client: ImClient, path: str, /, **options: Any) -> Any:
    """Make a GET request for a client. `headers` and `client_id` stand in for its own; other options are the query."""
    headers = {
        "X-LC-Id": application.app_id,
        "X-LC-Key": application.app_key,
        "X-LC-IM-Session-Token": client.token,
        **options.pop("headers", {}),
    }
    query = {"client_id": options.pop("client_id", client.client_id), **options}
    said = {name: value for name, value in headers.items() if value is not None}
    return await AsyncClient().get(f"http://testserver{path}?{urlencode(query)}", headers=said)
