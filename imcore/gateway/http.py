"""uvicorn's HTTP protocol with bounds it lacks: on the time a request's head may take, on its size, and on the time in
which a peer takes nothing of its answer.

Without them a peer that connects and stays silent, sends headers without end, or does not read, is kept for ever.
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
        self._answer_timer: asyncio.TimerHandle | None = None
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        self._stop_watching()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Begin to watch whether the peer reads: so much waits for it that the answer is held back."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """Go on; little is left that the peer has not read."""
        self._stop_watching()
        super().resume_writing()

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

    def _watch(self) -> None:
        self._stop_watching()
        left = self.transport.get_write_buffer_size()
        self._answer_timer = self.loop.call_later(settings.ANSWER_IDLE_SECONDS, self._look, left)

    def _look(self, left_before: int) -> None:
        """Cut off a peer that has read nothing since the last look."""
        if self.transport.get_write_buffer_size() >= left_before:
            self._abort()
        else:
            self._watch()

    def _stop_watching(self) -> None:
        if self._answer_timer is not None:
            self._answer_timer.cancel()
            self._answer_timer = None

    def _is_within_bound(self, piece: bytes) -> bool:
        self._head_bytes += len(piece)
        if self._head_bytes > HEAD_MAX_BYTES:
            self._abort()
            return False
        return True

    def _abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()
