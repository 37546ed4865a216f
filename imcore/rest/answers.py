"""How answers are written: JSON, whatever the request says it accepts (rest-api 1.7)."""

from collections.abc import Iterable
from typing import Any

import orjson
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class JsonRenderer(BaseRenderer):
    """Writes JSON in UTF-8."""

    media_type = "application/json"
    format = "json"
    charset = "utf-8"

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        """Return the bytes of an answer; one without content has none."""
        return b"" if data is None else orjson.dumps(data)


class AlwaysFirst(BaseContentNegotiation):
    """Takes the view's first renderer: no SDK means what its `Accept` says, and there is no other."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        """Choose none: bodies are read by `imcore.rest.parameters`."""
        return None

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """Choose the renderer."""
        renderer = next(iter(renderers))
        return renderer, str(renderer.media_type)
