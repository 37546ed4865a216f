"""What becomes of a session's place in a chat room when its connection is lost."""

from conversations.models import ConversationSettings
from conversations.services import rooms
from imcore.appsettings import ApplicationSnapshot
from imcore.gateway.connection import Session
from imcore.gateway.registry import before_stop, session_ended
from imcore.identifiers import now_ms


@session_ended
def depart(application: ApplicationSnapshot, session: Session) -> None:
    """Keep the place for a while (realtime-protocol 4.13); `session/close` has given it up before."""
    rooms.depart(settings=application.of(ConversationSettings), session=session, now_ms=now_ms())


@before_stop
async def settle() -> None:
    """Let a process that ends write down who may come back, and until when."""
    await rooms.settle()
