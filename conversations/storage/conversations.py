"""Loading and creating conversations."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from django.db import IntegrityError, transaction

from conversations.models import Conversation, Member
from conversations.policy import THE_APPLICATION, Kind, Roster
from conversations.storage import rosters
from conversations.storage.kept_notices import joining, keep
from imcore.models import Application

TRIES = 10
# The roster of a conversation that is yet to be made.
NOBODY: Final = Roster(creator="", members=(), members_version=0)


@dataclass(frozen=True, slots=True)
class ConversationInfo:
    """What a server must know of a conversation to serve its commands: identity, kind and who stands how.

    A store that finds another `roster.members_version` looks again.
    """

    pk: int
    application: int
    object_id: str
    kind: Kind
    roster: Roster
    created_ms: int
    updated_ms: int
    unique_id: str | None
    ttl_seconds: int | None
    expires_ms: int | None

    @property
    def members(self) -> tuple[str, ...]:
        """The members, in the order they joined."""
        return self.roster.members

    @property
    def members_version(self) -> int:
        """The version the roster belongs to."""
        return self.roster.members_version


@dataclass(frozen=True, slots=True)
class NewConversation:
    """What `create` needs beside the kind. `members` are distinct; a chat room has none.

    `by`: who is told to have started it. `is_told`: whether members who are away will hear of it when they return.
    """

    object_id: str
    creator: str
    members: Sequence[str]
    attributes: dict[str, Any]
    is_unique: bool
    ttl_seconds: int | None = None
    by: str = THE_APPLICATION
    is_told: bool = True
    muted: Collection[str] = ()


def unique_id(members: Sequence[str]) -> str:
    """Return the protocol's id of a member set: MD5 of the sorted ids without separator (realtime-protocol 4.2)."""
    return hashlib.md5("".join(sorted(members)).encode(), usedforsecurity=False).hexdigest()


def unique_key(members: Sequence[str]) -> str:
    """Return a digest that two member sets share only if they are equal."""
    return hashlib.sha256(orjson.dumps(sorted(members))).hexdigest()


def info(row: Conversation, roster: Roster) -> ConversationInfo:
    """Put together what servers keep of a conversation from its row and its roster."""
    return ConversationInfo(
        pk=row.pk,
        application=row.application_id,
        object_id=row.object_id,
        kind=Kind(row.kind),
        roster=roster,
        created_ms=row.created_ms,
        updated_ms=row.updated_ms,
        unique_id=row.unique_id,
        ttl_seconds=row.ttl_seconds,
        expires_ms=row.expires_ms,
    )


def load(*, application: int, object_id: str) -> ConversationInfo | None:
    """Return a conversation with its members, or None."""
    row = Conversation.objects.filter(application_id=application, object_id=object_id).first()
    return None if row is None else _info(row)


def ids_of(*, numbers: Collection[int]) -> dict[int, str]:
    """Return the ids of conversations by their numbers; those that are gone are left out."""
    return dict(Conversation.objects.filter(pk__in=numbers).values_list("pk", "object_id"))


def numbers_of_ids(*, application: int, object_ids: Collection[str]) -> dict[str, int]:
    """Return the numbers of an application's conversations by their ids; those that are not there are left out."""
    rows = Conversation.objects.filter(application=application, object_id__in=object_ids)
    return dict(rows.values_list("object_id", "pk"))


def numbers_of(*, object_id: str) -> list[int]:
    """Return the numbers of the conversations with an id, whichever their application."""
    # Named, the applications let the index serve that begins with them.
    of_all = Conversation.objects.filter(application__in=Application.objects.all(), object_id=object_id)
    return list(of_all.values_list("pk", flat=True))


def create(*, application: int, kind: Kind, new: NewConversation, now_ms: int) -> tuple[ConversationInfo, bool]:
    """Create a conversation, or find the unique one with the same members; the flag says it existed.

    Two creators at once get the same conversation: the constraint decides, the loser finds the winner's.
    """
    key = unique_key(new.members) if new.is_unique else None
    for _ in range(TRIES):
        with transaction.atomic():
            existing = None if key is None else _unique(application, kind, key, now_ms)
            if existing is not None:
                return _info(existing), True
            try:
                with transaction.atomic():
                    return _info(_insert(application, kind, new, key, now_ms)), False
            except IntegrityError:
                # Somebody was faster. Look again: by now the winner may even have other members already.
                continue
    raise RuntimeError("The unique conversation of these members keeps appearing and disappearing.")


def _unique(application: int, kind: Kind, key: str, now_ms: int) -> Conversation | None:
    found = Conversation.objects.filter(application_id=application, kind=kind, unique_key=key).first()
    if found is not None and found.expires_ms is not None and found.expires_ms <= now_ms:
        # It lives on until the clean-up, but its member set is free again.
        Conversation.objects.filter(pk=found.pk).update(unique_key=None)
        return None
    return found


def _insert(application: int, kind: Kind, new: NewConversation, key: str | None, now_ms: int) -> Conversation:
    conversation = Conversation.objects.create(
        application_id=application,
        object_id=new.object_id,
        kind=kind,
        creator=new.creator,
        attributes=new.attributes,
        is_unique=new.is_unique,
        unique_id=unique_id(new.members) if new.is_unique else None,
        unique_key=key,
        member_count=len(new.members),
        created_ms=now_ms,
        updated_ms=now_ms,
        ttl_seconds=new.ttl_seconds,
        expires_ms=None if new.ttl_seconds is None else now_ms + new.ttl_seconds * 1000,
    )
    Member.objects.bulk_create(
        Member(
            conversation=conversation,
            application_id=application,
            client_id=client_id,
            joined_ms=now_ms,
            is_muted=client_id in new.muted,
        )
        for client_id in new.members
    )
    if new.members and new.is_told:
        keep(conversation, now_ms, joining(new.members, new.members, new.by, now_ms))
    return conversation


def _info(row: Conversation) -> ConversationInfo:
    return info(row, rosters.of([row])[row.pk])
