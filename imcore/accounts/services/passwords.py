"""Passwords: hashed on threads of their own, since one hash takes a processor a quarter of a second.

Applications share these threads and the room to wait for them fairly: they take turns, whatever waits in one of them,
and each that has passwords waiting may have an equal part of PASSWORD_BACKLOG.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

from django.conf import settings as operator
from django.contrib.auth.hashers import make_password, verify_password

from imcore.accounts.errors import InvalidPassword, PasswordMissing, TooManyPasswords
from imcore.appsettings import ApplicationSnapshot
from imcore.bridge import calculated
from imcore.objects import InvalidType

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class _Queue:
    """Passwords of one application: no more of them at a time are before the threads than there are threads."""

    length: int = 0
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(operator.PASSWORD_THREADS))


# Of the applications that have any, which all ask on one loop.
_queues: dict[int, _Queue] = {}


def readable(value: object) -> str:
    """Return a password as it was sent. Raises PasswordMissing, InvalidType, InvalidPassword (rest-api 4.1)."""
    if value is None or value == "":
        raise PasswordMissing
    if not isinstance(value, str):
        raise InvalidType("password")
    if not value.strip():
        raise InvalidPassword
    return value


async def encoded(application: ApplicationSnapshot, password: str) -> str:
    """Return what to store for a password. Raises TooManyPasswords."""
    return await _hashed(application, make_password, password)


async def is_right(application: ApplicationSnapshot, password: str, stored: str) -> tuple[bool, str | None]:
    """Return whether a password is the stored one, and what to store instead if there is a better hash by now.

    Raises TooManyPasswords.
    """
    is_same, wants_update = await _hashed(application, verify_password, password, stored)
    return is_same, await encoded(application, password) if is_same and wants_update else None


async def _hashed(application: ApplicationSnapshot, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    queue = _queues.setdefault(application.pk, _Queue())
    queue.length += 1
    try:
        if queue.length > operator.PASSWORD_BACKLOG // len(_queues):
            raise TooManyPasswords
        async with queue.turns:
            return await calculated(work, *args, **kwargs)
    finally:
        queue.length -= 1
        if not queue.length:
            del _queues[application.pk]
