"""What is said when a session is lost."""

from imcore.appsettings import ApplicationSnapshot
from imcore.gateway.connection import Session
from imcore.gateway.registry import before_stop, session_ended
from messaging.services import wills


@session_ended
def execute(application: ApplicationSnapshot, session: Session) -> None:
    """Deliver its will; `session/close` has deleted it before.

    Not of a client that the server has sent away: it comes back to another, or to the next life of this one, and its
    will is still there.
    """
    if session.is_lost:
        wills.execute(session=session)


@before_stop
async def settle() -> None:
    """Let a process that ends say what is to be said."""
    await wills.settle()
