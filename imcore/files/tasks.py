"""Celery entry points of files."""

from typing import Any

from celery import shared_task

from imcore.bridge import in_async
from imcore.files.services import managing
from imcore.identifiers import now_ms


@shared_task(name="files.clean")
def clean(**kwargs: Any) -> int:
    """Delete files that were announced and never came, and those of deleted applications. Twice does no harm."""
    return in_async(managing.clean, now_ms=now_ms())
