"""Celery entry points of messaging."""

from datetime import UTC, datetime
from typing import Any

from celery import shared_task

from imcore.bridge import in_async
from messaging.services import sessions


@shared_task(name="messaging.forget_devices")
def forget_devices(**kwargs: Any) -> int:
    """Delete devices not seen for over a year. Running it twice does no harm."""
    return in_async(sessions.forget_devices, now=datetime.now(UTC))
