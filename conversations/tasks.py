"""Celery entry points of conversations."""

from typing import Any

from celery import shared_task

from conversations.services import lifecycle
from imcore.bridge import in_async
from imcore.identifiers import now_ms


@shared_task(name="conversations.delete_expired")
def delete_expired(**kwargs: Any) -> int:
    """Delete temporary conversations whose time is over. Running it twice does no harm."""
    return in_async(lifecycle.delete_expired, now_ms=now_ms())
