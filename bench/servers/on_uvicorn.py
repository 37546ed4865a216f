"""Run another ASGI application exactly as `manage.py serve` runs ours: same loop, protocols, options and collector."""

from collections.abc import Awaitable, Callable
from typing import Any

Application = Callable[..., Awaitable[Any]]


def serve(application: Application, port: int) -> None:
    """Serve on 127.0.0.1 until a signal ends the process. Django must be set up, on settings that have imcore's."""
    from imcore.server import Server, make_config

    config = make_config("127.0.0.1", port)
    config.app = application
    config.lifespan = "off"
    Server(config).run()
