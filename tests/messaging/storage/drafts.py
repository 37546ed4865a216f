"""Conversations and drafts for tests of the store."""

from dataclasses import replace
from typing import Any

from conversations.models import Conversation, Member
from conversations.policy import Kind
from conversations.storage import conversations, members
from conversations.storage.changes import Judge, Verdict
from conversations.storage.conversations import ConversationInfo, NewConversation
from imcore import identifiers
from imcore.models import Application
from messaging.models import Message
from messaging.storage.messages import Draft

T = 1_700_000_000_000


def new_conversation(application: Application, *member_ids: str) -> ConversationInfo:
    """Create a conversation."""
    new = NewConversation(
        object_id=identifiers.object_id(T), creator=member_ids[0], members=member_ids, attributes={}, is_unique=False
    )
    return conversations.create(application=application.pk, kind=Kind.NORMAL, new=new, now_ms=T)[0]


def draft(conversation: ConversationInfo, sender: str, text: str | None = "", **fields: Any) -> Draft:
    """Make a draft of a text message."""
    values: dict[str, Any] = {
        "message_id": identifiers.message_id(T),
        "application": conversation.application,
        "conversation": conversation.pk,
        "kind": conversation.kind,
        "members_version": conversation.members_version,
        "sender": sender,
        "text": text,
        "data": None,
        "is_binary": False,
        "message_type": None,
        "mention_ids": (),
        "mention_all": False,
        "wants_receipt": False,
        "deduplication_token": None,
    }
    return Draft(**values | fields)


def everybody(*client_ids: str) -> Judge:
    """Judge that all may."""
    return lambda roster: Verdict(client_ids)


def with_version(conversation: ConversationInfo, version: int) -> ConversationInfo:
    """Return the conversation as a server knows it that last looked at this version."""
    return replace(conversation, roster=conversation.roster._replace(members_version=version))


def joined(conversation: ConversationInfo, *client_ids: str) -> ConversationInfo:
    """Add members; return the conversation as it is then."""
    return members.add(conversation=conversation.pk, judge=everybody(*client_ids), by="", now_ms=T).conversation


def left(conversation: ConversationInfo, *client_ids: str) -> ConversationInfo:
    """Remove members; return the conversation as it is then."""
    return members.remove(conversation=conversation.pk, judge=everybody(*client_ids), by="", now_ms=T).conversation


def stored(conversation: ConversationInfo) -> list[Message]:
    """Return the messages of a conversation in the order of their seq."""
    return list(Message.objects.filter(conversation_id=conversation.pk).order_by("seq"))


def row(conversation: ConversationInfo) -> Conversation:
    """Return the row of a conversation."""
    return Conversation.objects.get(pk=conversation.pk)


def member(conversation: ConversationInfo, client_id: str) -> Member:
    """Return the row of a member."""
    return Member.objects.get(conversation_id=conversation.pk, client_id=client_id)
