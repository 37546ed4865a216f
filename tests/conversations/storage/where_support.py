"""Conversations as the documents a `where` asks about, and the answers: the database's and the model's."""

import json
from collections.abc import Iterable
from typing import Any, cast

from django.db import connection

from conversations.models import HOUR_MS, Conversation, Member
from conversations.storage import where
from conversations.storage.where_matching import MISSING, Value, matcher, value_at
from conversations.storage.where_tree import Attribute, Condition, Every, Leaf, Not, Some
from imcore.models import Application

Document = dict[str, Any]


def store(application: Application, documents: Iterable[Document]) -> None:
    """Store documents in the form of the wire, with instants in milliseconds; `objectId` is required."""
    for document in documents:
        attributes = {key: value for key, value in document.items() if key not in _COLUMNS}
        members = document.get("m", [])
        conversation = Conversation.objects.create(
            application=application,
            object_id=document["objectId"],
            kind=document.get("conv_type", 1),
            creator=document.get("c", ""),
            attributes=attributes,
            is_unique=document.get("unique", False),
            unique_id=document.get("uniqueId"),
            member_count=len(members),
            last_message_ms=document.get("lm"),
            last_message_hour=None if (lm := document.get("lm")) is None else lm // HOUR_MS,
            created_ms=document.get("createdAt", 0),
            updated_ms=document.get("updatedAt", 0),
        )
        muted = document.get("mu", [])
        Member.objects.bulk_create(
            Member(
                conversation=conversation,
                application=application,
                client_id=client_id,
                is_muted=client_id in muted,
                joined_ms=0,
            )
            for client_id in members
        )


def found(application: Application, query: Document | str, *, seconds: float = 30) -> list[str]:
    """Return the ids that the database finds, nearest first where `$nearSphere` asks for that."""
    tree = where.parse(query if isinstance(query, str) else json.dumps(query))
    sql, params = where.compile_where(tree, vendor=connection.vendor, application_id=application.pk)
    distance, distance_params = where.distance_order(tree, vendor=connection.vendor) or ("c.id", [])
    with where.time_limit(connection, seconds), connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.object_id FROM conversations_conversation c"
            f" WHERE c.application_id = %s AND ({sql}) ORDER BY {distance}, c.id",
            cast("Any", [application.pk, *params, *distance_params]),
        )
        return [object_id for (object_id,) in cursor.fetchall()]


def matching(documents: Iterable[Document], query: Document | str) -> list[str]:
    """Return the ids that the model in Python finds."""
    tree = where.parse(query if isinstance(query, str) else json.dumps(query))
    return [
        document["objectId"]
        for document in documents
        if all(holds(condition, _completed(document)) for condition in tree.conditions)
    ]


def holds(condition: Condition, document: Document) -> bool:
    match condition:
        case Every(parts):
            return all(holds(part, document) for part in parts)
        case Some(parts):
            return any(holds(part, document) for part in parts)
        case Not(part):
            return not holds(part, document)
        case Leaf(field, test):
            value: Value
            if isinstance(field, Attribute):
                value = value_at(document, field.path) if field.path[0] not in _COLUMNS else MISSING
            else:
                value = document.get(field.value, MISSING)
            return matcher(test)(value)


def _completed(document: Document) -> Document:
    kind = document.get("conv_type", 1)
    defaults = {"m": [], "mu": [], "createdAt": 0, "updatedAt": 0, "unique": False, "conv_type": 1}
    flags = {"tr": kind == 2, "sys": kind == 3, "temp": kind == 4}
    members = {key: sorted(document.get(key, [])) for key in ("m", "mu")}
    return {**defaults, **document, **flags, **members}


_COLUMNS = frozenset(
    [
        "objectId",
        "c",
        "m",
        "mu",
        "lm",
        "createdAt",
        "updatedAt",
        "conv_type",
        "tr",
        "sys",
        "temp",
        "unique",
        "uniqueId",
    ],
)
