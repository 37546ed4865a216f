"""Checking the session token of a client outside its connection: the app above, which issues them, says how."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from imcore.appsettings import ApplicationSnapshot
from imcore.errors import SessionTokenExpired


class Verifier(Protocol):
    """Return if the token is the client's and opens its session now; raise SessionTokenExpired otherwise."""

    def __call__(self, *, application: ApplicationSnapshot, client_id: str, token: str) -> Awaitable[None]: ...


VerifierT = TypeVar("VerifierT", bound=Callable[..., Awaitable[None]])

_verifiers: list[Verifier] = []


def session_tokens_verified_by(verifier: VerifierT) -> VerifierT:
    """Register who knows which session tokens are good."""
    _verifiers[:] = [verifier]
    return verifier


async def verify_session_token(*, application: ApplicationSnapshot, client_id: str, token: str) -> None:
    """Return if a client's session could be opened with the token now. Raises SessionTokenExpired."""
    if not _verifiers:
        raise SessionTokenExpired
    await _verifiers[0](application=application, client_id=client_id, token=token)
