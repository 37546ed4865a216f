"""Celery entry points of messaging."""

import logging
from datetime import UTC, datetime
from typing import Any

from celery import shared_task

from imcore.bridge import in_async
from imcore.identifiers import now_ms
from messaging.services import retention, sessions

logger = logging.getLogger(__name__)

# It looks at every conversation there is.
RETENTION_SECONDS = 6 * 3600


@shared_task(name="messaging.forget_devices")
def forget_devices(**kwargs: Any) -> int:
    """Delete devices not seen for over a year. Running it twice does no harm."""
    return in_async(sessions.forget_devices, now=datetime.now(UTC))


@shared_task(name="messaging.forget_kicks")
def forget_kicks(**kwargs: Any) -> int:
    """Delete notes of kicks that void no signature any more. Running it twice does no harm."""
    return in_async(sessions.forget_kicks, now_ms=now_ms())


@shared_task(name="messaging.delete_expired")
def delete_expired(**kwargs: Any) -> int:
    """Delete temporary conversations whose time is over, with their messages. Running it twice does no harm."""
    return in_async(retention.delete_expired, now_ms=now_ms())


@shared_task(name="messaging.apply_retention", time_limit=RETENTION_SECONDS)
def apply_retention(**kwargs: Any) -> None:
    """Delete what each application does not keep. Running it twice, or both at a time, does no harm."""
    for application in in_async(retention.applications):
        outcome = in_async(retention.apply, application=application, now_ms=now_ms())
        if outcome.conversations or outcome.messages:
            logger.info(
                "Retention of %s: deleted %d messages and %d conversations",
                application.app_id,
                outcome.messages,
                outcome.conversations,
            )
