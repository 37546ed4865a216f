"""Background work inside the server's own process, for when there is no broker to share.

A Celery worker and its beat in two threads on the in-memory broker. What is queued dies with the process; so nothing
is queued there that the database does not know to be due (tasks look for what is to do, they are not told).
"""

import threading

from celery.beat import EmbeddedService
from celery.worker import WorkController, state
from django.conf import settings

from imcore.celery import app

STOP_SECONDS = 3.0


def is_embedded() -> bool:
    """Return whether background work runs in this process, because its broker is this process's memory."""
    return str(settings.CELERY_BROKER_URL).startswith("memory:")


class EmbeddedWorker:
    """The worker and the beat of this process. Start once, stop once."""

    def __init__(self) -> None:
        self._worker = WorkController(
            app=app, hostname="embedded", pool_cls="solo", concurrency=1, without_gossip=True, without_mingle=True,
            without_heartbeat=True, quiet=True,
        )  # fmt: skip
        self._thread = threading.Thread(target=self._worker.start, name="celery", daemon=True)
        self._beat = EmbeddedService(app, thread=True, scheduler_cls="celery.beat:Scheduler")

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()
        self._beat.start()  # type: ignore[union-attr]

    def stop(self) -> None:
        """Let the running task end, but wait for it no longer than STOP_SECONDS."""
        # Not its own `stop`, which waits until the beat wakes up. It is a daemon thread that only ever queues.
        self._beat.service.stop()  # type: ignore[union-attr]
        state.should_stop = 0  # type: ignore[assignment]
        self._thread.join(timeout=STOP_SECONDS)
