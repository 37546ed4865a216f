"""Celery entry points of installations."""

from typing import Any

from celery import shared_task

from imcore.bridge import in_async
from imcore.identifiers import now_ms
from imcore.installations import services


@shared_task(name="installations.forget")
def forget(**kwargs: Any) -> int:
    """Delete installations that nobody uses any more. Running it twice does no harm."""
    return in_async(services.forget, now_ms=now_ms())
