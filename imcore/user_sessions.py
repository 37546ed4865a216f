"""Whose a user's session token is: the app that keeps accounts, above, says so (rest-api 2.4)."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from imcore.appsettings import ApplicationSnapshot


class User(Protocol):
    """A user who is logged in, as far as the core cares; what is given is whatever the resolver returned."""

    @property
    def object_id(self) -> str:
        """His object id."""


Resolver = Callable[[ApplicationSnapshot, str], Awaitable[User | None]]
ResolverT = TypeVar("ResolverT", bound=Resolver)

_resolvers: list[Resolver] = []


def users_resolved_by(resolver: ResolverT) -> ResolverT:
    """Register who knows whose session tokens are. It returns None for a token that is unknown or over."""
    _resolvers[:] = [resolver]
    return resolver


async def user_of_token(application: ApplicationSnapshot, token: str) -> User | None:
    """Return the user who is logged in with the token; None if nobody is, or there are no accounts."""
    return await _resolvers[0](application, token) if token and _resolvers else None
