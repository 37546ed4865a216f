"""Which commands need a signature, and of what (realtime-protocol 9). Checked before anything is looked up."""

from collections.abc import Iterable

from conversations.models import ConversationSettings
from imcore.errors import BlockListSignatureFailed, ConversationSignatureFailed, ImError
from imcore.gateway.connection import Context
from imcore.identifiers import now_ms
from imcore.protocol.message_pb2 import BlacklistCommand, ConvCommand
from imcore.signatures import ADDING, JOINING, REMOVING, Claim, Signature, is_valid, on_members


def check_start(context: Context, conv: ConvCommand) -> None:
    """Refuse to start an unsigned conversation where signatures are on. Raises ConversationSignatureFailed.

    JavaScript has its members signed with the caller among them, C# without.
    """
    if not context.application.of(ConversationSettings).sign_conversations:
        return
    others = set(conv.m) - {context.client_id}
    claims = [
        on_members(context.application.app_id, context.client_id, members)
        for members in (list(conv.m), list(others), [*others, context.client_id])
    ]
    _check(context, conv, claims, ConversationSignatureFailed)


def check_add(context: Context, conv: ConvCommand) -> None:
    """Refuse to add anybody unsigned where signatures are on, oneself included. Raises ConversationSignatureFailed."""
    if not context.application.of(ConversationSettings).sign_conversations:
        return
    actions = (*ADDING, JOINING) if _is_about_oneself(context, conv) else ADDING
    _check(context, conv, _changes(context, conv, actions), ConversationSignatureFailed)


def check_remove(context: Context, conv: ConvCommand) -> None:
    """Refuse to remove others unsigned where signatures are on; leaving is free, for Java does not sign it.

    Raises ConversationSignatureFailed.
    """
    if not context.application.of(ConversationSettings).sign_conversations or _is_about_oneself(context, conv):
        return
    _check(context, conv, _changes(context, conv, REMOVING), ConversationSignatureFailed)


def check_block_list(context: Context, asked: BlacklistCommand, action: str) -> None:
    """Refuse to change the block list of a conversation unsigned where that is on. Raises BlockListSignatureFailed.

    JavaScript up to 5.0.0-rc.4 has the client's and the conversation's id signed in each other's place.
    """
    if not context.application.of(ConversationSettings).sign_block_lists:
        return
    app_id, client_id = context.application.app_id, context.client_id
    claims = (
        on_members(app_id, client_id, asked.toPids, conversation_id=asked.srcCid, action=action),
        on_members(app_id, asked.srcCid, asked.toPids, conversation_id=client_id, action=action),
    )
    _check(context, asked, claims, BlockListSignatureFailed)


def _is_about_oneself(context: Context, conv: ConvCommand) -> bool:
    return set(conv.m) == {context.client_id}


def _changes(context: Context, conv: ConvCommand, actions: Iterable[str]) -> list[Claim]:
    app_id, client_id = context.application.app_id, context.client_id
    return [on_members(app_id, client_id, conv.m, conversation_id=conv.cid, action=action) for action in actions]


def _check(
    context: Context, signed: ConvCommand | BlacklistCommand, claims: Iterable[Claim], error: type[ImError]
) -> None:
    signature = Signature(signed.s, signed.t, signed.n)
    if not is_valid(signature, claims, master_key=context.application.master_key, now_ms=now_ms()):
        raise error
