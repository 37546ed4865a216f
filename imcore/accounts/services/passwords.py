"""Passwords: hashed on threads of their own, since one hash takes a processor a quarter of a second."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from django.conf import settings as operator
from django.contrib.auth.hashers import make_password, verify_password

from imcore.accounts.errors import InvalidPassword, PasswordMissing, TooManyPasswords
from imcore.bridge import calculated
from imcore.objects import InvalidType

P = ParamSpec("P")
T = TypeVar("T")

_waiting = 0


def readable(value: object) -> str:
    """Return a password as it was sent. Raises PasswordMissing, InvalidType, InvalidPassword (rest-api 4.1)."""
    if value is None or value == "":
        raise PasswordMissing
    if not isinstance(value, str):
        raise InvalidType("password")
    if not value.strip():
        raise InvalidPassword
    return value


async def encoded(password: str) -> str:
    """Return what to store for a password. Raises TooManyPasswords."""
    return await _hashed(make_password, password)


async def is_right(password: str, stored: str) -> tuple[bool, str | None]:
    """Return whether a password is the stored one, and what to store instead if there is a better hash by now.

    Raises TooManyPasswords.
    """
    is_same, wants_update = await _hashed(verify_password, password, stored)
    return is_same, await encoded(password) if is_same and wants_update else None


async def _hashed(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    global _waiting  # noqa: PLW0603 - the bound is the process's, as its threads are
    if _waiting >= operator.PASSWORD_BACKLOG:
        raise TooManyPasswords
    _waiting += 1
    try:
        return await calculated(work, *args, **kwargs)
    finally:
        _waiting -= 1
