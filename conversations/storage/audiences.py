"""Whom a conversation's messages are for, and how far they have got: what a node compares with what came to it.

A door for messaging's storage, as `positions.py` is (docs/adr/0008).
"""

from collections.abc import Sequence
from typing import NamedTuple

from conversations.models import Conversation, Member
from conversations.policy import Kind

__all__ = ["Audience", "Latest", "audience", "latest"]


class Audience(NamedTuple):
    """Who a conversation is, and its members, each with the time of its joining in milliseconds."""

    conversation_id: str
    kind: Kind
    joined_ms: dict[str, int]


class Latest(NamedTuple):
    """A conversation's last message, and which of the clients asked for are members; none for a chat room."""

    conversation: int
    last_seq: int
    last_message_ms: int
    client_ids: tuple[str, ...]


def audience(*, conversation: int) -> Audience | None:
    """Return who may be told of the messages of a conversation, or None if there is none such."""
    found = Conversation.objects.filter(pk=conversation).values_list("object_id", "kind").first()
    if found is None:
        return None
    members = Member.objects.filter(conversation_id=conversation).order_by("id").values_list("client_id", "joined_ms")
    return Audience(found[0], Kind(found[1]), dict(members))


def latest(*, application: int, client_ids: Sequence[str], rooms: Sequence[int], since_ms: int) -> list[Latest]:
    """Return the conversations of clients, and chat rooms, that have had messages since a time in milliseconds."""
    fields = ("conversation_id", "conversation__last_seq", "conversation__last_message_ms", "client_id")
    rows = Member.objects.filter(
        application_id=application, client_id__in=client_ids, conversation__last_message_ms__gte=since_ms
    ).values_list(*fields)
    found: dict[int, Latest] = {}
    for conversation, last_seq, last_message_ms, client_id in rows.order_by():
        one = found.setdefault(conversation, Latest(conversation, last_seq, last_message_ms, ()))
        found[conversation] = one._replace(client_ids=(*one.client_ids, client_id))
    rows_of_rooms = Conversation.objects.filter(pk__in=rooms, last_message_ms__gte=since_ms)
    for pk, last_seq, last_message_ms in rows_of_rooms.values_list("pk", "last_seq", "last_message_ms"):
        found[pk] = Latest(pk, last_seq, last_message_ms or 0, ())
    return list(found.values())
