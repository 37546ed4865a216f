"""Make the tables in an empty database and serve: `python -m bench.servers.orm PORT`, with the settings beside this."""

import sys
from typing import Any

import django
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.db import connection
from django.urls import re_path

from bench.servers.on_uvicorn import serve


def main() -> None:
    """Set Django up, make the tables, run the server."""
    django.setup()

    from bench.servers.orm.consumer import ChatConsumer
    from bench.servers.orm.models import Conversation, Message

    with connection.schema_editor() as editor:
        editor.create_model(Conversation)
        editor.create_model(Message)
    routes: Any = [re_path(r"ws/(?P<client>[\w-]+)/$", ChatConsumer.as_asgi())]  # type: ignore[arg-type]
    application = ProtocolTypeRouter({"websocket": URLRouter(routes), "http": get_asgi_application()})
    serve(application, int(sys.argv[1]))


if __name__ == "__main__":
    main()
