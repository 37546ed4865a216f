"""uvicorn's HTTP protocol with two bounds it lacks: on the time a request's head may take, and on its size.

Without them a peer that connects and stays silent, or sends headers without end, is kept for ever.
"""

import asyncio
from typing import Any

from django.conf import settings
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_MAX_BYTES = 64 * 1024


class HttpProtocol(HttpToolsProtocol):
    """One HTTP connection on uvicorn, or the beginning of a WebSocket. Relies on uvicorn's internals too."""

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Wait for the rest of the head."""
        super().on_message_begin()
        self._head_bytes = 0
        self._expect_head()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the URL."""
        if self._is_within_bound(url):
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        if self._is_within_bound(name + value):
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Stop waiting: the head is here."""
        self._stop_waiting()
        super().on_headers_complete()

    def _expect_head(self) -> None:
        self._stop_waiting()
        self._head_timer = self.loop.call_later(settings.HEAD_SECONDS, self._abort)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _is_within_bound(self, piece: bytes) -> bool:
        self._head_bytes += len(piece)
        if self._head_bytes > HEAD_MAX_BYTES:
            self._abort()
            return False
        return True

    def _abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()
