"""Changing the attributes of a conversation under its lock."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import F, TextField
from django.db.models.functions import Cast

from conversations.models import Conversation
from conversations.policy import Roster
from conversations.storage.changes import changed, lock, next_update_ms
from conversations.storage.conversations import ConversationInfo, info
from conversations.storage.json_text import read_json
from conversations.storage.kept_notices import EVERYBODY, Kept, keep
from imcore.identifiers import iso_date


@dataclass(frozen=True, slots=True)
class AttributesChange:
    """What an update did: the version it led to, the touched top-level keys that are still there, and the rest.

    `before_ms` is when the conversation had been changed before.
    """

    version: int
    before_ms: int
    modified: dict[str, Any]
    conversation: ConversationInfo


@transaction.atomic
def update(
    *,
    conversation: int,
    check: Callable[[Roster], None],
    change: Callable[[Mapping[str, Any]], dict[str, Any]],
    touched: Sequence[str],
    requested: dict[str, Any],
    creator: str | None = None,
    by: str,
    now_ms: int,
) -> AttributesChange:
    """Write the attributes that `change` makes of those that are there; `check` raises what forbids it.

    `creator`: whose it is from now on, if that changes, too. Raises ConversationNotFound and what `check` and `change`
    raise.
    """
    row, roster = lock(conversation)
    check(roster)
    attributes = change(read(row))
    modified = {key: attributes[key] for key in touched if key in attributes}
    if creator is not None:
        modified["c"] = creator
    at_ms = next_update_ms(row, now_ms)
    version, before_ms = row.attributes_version + 1, row.updated_ms
    Conversation.objects.filter(pk=row.pk).update(
        attributes=attributes, attributes_version=F("attributes_version") + 1, updated_ms=at_ms
    )
    row.updated_ms = at_ms
    fields = {"initBy": by, "udate": iso_date(at_ms), "attr": requested, "attrModified": modified}
    keep(row, at_ms, [Kept(EVERYBODY, "updated", fields)])
    if creator is None:
        return AttributesChange(version, before_ms, modified, info(row, roster))
    after = changed(row, roster._replace(creator=creator), at_ms, creator=creator)
    return AttributesChange(version, before_ms, modified, after)


def read(row: Conversation) -> dict[str, Any]:
    """Return the attributes of a conversation as they can be written again."""
    rows = Conversation.objects.filter(pk=row.pk)
    text: str = rows.values_list(Cast("attributes", TextField()), flat=True).get()
    attributes: dict[str, Any] = read_json(text)
    return attributes
