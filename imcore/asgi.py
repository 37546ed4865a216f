"""The server's one ASGI application: WebSockets to the gateway, HTTP to Django, life cycle to both.

Plain ASGI: `manage.py serve` runs it on uvicorn, daphne runs it too.
"""

import os
from typing import Any

# ruff: noqa: E402 - Django must be set up before anything that has models is imported
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "imcore.settings")

import django

django.setup(set_prefix=False)

from channels.routing import ProtocolTypeRouter

from imcore.files.api.uploads import before
from imcore.gateway import lifecycle
from imcore.gateway.consumer import GatewayConsumer
from imcore.http import Handler
from imcore.rest import upstream
from imcore.rest.bounds import bounded


async def lifespan(scope: Any, receive: Any, send: Any) -> None:
    """Start and stop the background work with the server."""
    while True:
        event = await receive()
        if event["type"] == "lifespan.startup":
            await lifecycle.ensure_started()
            await send({"type": "lifespan.startup.complete"})
        elif event["type"] == "lifespan.shutdown":
            await lifecycle.stop()
            await upstream.close()
            await send({"type": "lifespan.shutdown.complete"})
            return


application = ProtocolTypeRouter(
    {"http": before(bounded(Handler())), "websocket": GatewayConsumer.as_asgi(), "lifespan": lifespan}
)
