"""Passwords: hashed on threads of their own, since one hash takes a processor a quarter of a second.

Applications share these threads and the room to wait for them fairly: they take turns, whatever waits in one of them,
and when there are PASSWORD_BACKLOG in all, the newest of the application with the most makes room for one of another.
So there are never more, each of which holds one of REQUEST_THREADS.
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

    at_work: int = 0
    waiting: list[asyncio.Timeout] = field(default_factory=list)
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(operator.PASSWORD_THREADS))

    @property
    def length(self) -> int:
        return self.at_work + len(self.waiting)


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
    try:
        await _take_turn(queue)
        try:
            return await calculated(work, *args, **kwargs)
        finally:
            queue.at_work -= 1
            queue.turns.release()
    finally:
        # Whoever had to make room may find another one by now.
        if not queue.length and _queues.get(application.pk) is queue:
            del _queues[application.pk]


async def _take_turn(queue: _Queue) -> None:
    """Wait until a password may go to a thread. Raises TooManyPasswords if there is no room, or others need it."""
    place = asyncio.timeout(None)
    queue.waiting.append(place)
    try:
        _make_room(queue)
        async with place:
            await queue.turns.acquire()
        queue.at_work += 1
    except TimeoutError:
        raise TooManyPasswords from None
    finally:
        if place in queue.waiting:
            queue.waiting.remove(place)


def _make_room(queue: _Queue) -> None:
    """Give up the last in the longest queue if there are too many. Raises TooManyPasswords if that is this one."""
    if sum(one.length for one in _queues.values()) <= operator.PASSWORD_BACKLOG:
        return
    longest = max(_queues.values(), key=lambda one: one.length)
    if longest.length <= queue.length or not longest.waiting:
        raise TooManyPasswords
    longest.waiting.pop().reschedule(asyncio.get_running_loop().time())
