"""What roles, silences and block lists are asked with, and the conversation that is asked about."""

from collections.abc import Sequence
from dataclasses import dataclass

from conversations.models import ConversationSettings
from conversations.policy import Action, Kind
from conversations.services import directory, permissions
from conversations.services.permissions import Seated, check_client_ids, features_of
from conversations.storage.conversations import ConversationInfo
from imcore.errors import ConversationRequestInvalid


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Who asks for something in which conversation, and when.

    `kind`: of which it must be, if that is not all the same. `session`: what shows that one is in a chat room.
    `for_client`: the application asks in the client's name, whatever is enabled for clients.
    """

    application: int
    settings: ConversationSettings
    conversation_id: str
    client_id: str
    now_ms: int
    kind: Kind | None = None
    session: Seated | None = None
    for_client: bool = False


async def conversation_of(request: Request) -> ConversationInfo:
    """Return the conversation, asked of the database.

    Raises ConversationNotFound, or what names the kind it is not (`directory.check_kind`).
    """
    found = await directory.find(
        application=request.application,
        conversation_id=request.conversation_id,
        now_ms=request.now_ms,
        max_age_seconds=0,
    )
    if request.kind is not None:
        directory.check_kind(found, request.kind)
    return found


async def permitted(request: Request, action: Action) -> ConversationInfo:
    """Return the conversation if the action is allowed there, as things stand; raises what forbids it."""
    conversation = await conversation_of(request)
    await permissions.check_of(
        action, conversation, request.client_id, features_of(request.settings), session=request.session
    )
    return conversation


async def with_targets(request: Request, client_ids: Sequence[str]) -> tuple[ConversationInfo, tuple[str, ...]]:
    """Return the conversation, and each of the clients once. Raises ConversationRequestInvalid for what can be none."""
    conversation = await conversation_of(request)
    wanted = tuple(dict.fromkeys(client_ids))
    if not wanted:
        raise ConversationRequestInvalid("No client ids.")
    check_client_ids(wanted)
    return conversation, wanted
