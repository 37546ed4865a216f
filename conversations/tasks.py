"""Celery entry points of conversations."""

from typing import Any

from celery import shared_task

from conversations.services import missed, rooms
from imcore.bridge import in_async
from imcore.identifiers import now_ms


@shared_task(name="conversations.forget_notices")
def forget_notices(**kwargs: Any) -> int:
    """Delete notices older than their application keeps them. Running it twice does no harm."""
    return in_async(missed.forget, now_ms=now_ms())


@shared_task(name="conversations.forget_seats")
def forget_seats(**kwargs: Any) -> int:
    """Delete places in chat rooms that nobody can come back to. Running it twice does no harm."""
    return in_async(rooms.forget_seats, now_ms=now_ms())
