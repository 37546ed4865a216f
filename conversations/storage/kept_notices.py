"""Notices for those who are away: written in the transaction of the change they tell of (realtime-protocol 10.3)."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from conversations.models import Conversation, KeptNotice
from imcore.identifiers import iso_date

EVERYBODY = ""


class Kept(NamedTuple):
    """One notice to keep: for a client, or for `EVERYBODY` who is a member; the operation as the wire spells it."""

    client_id: str
    op: str
    fields: dict[str, Any]


def keep(conversation: Conversation, at_ms: int, notices: Iterable[Kept]) -> None:
    """Keep notices of one change. Call it inside the transaction that makes the change."""
    KeptNotice.objects.bulk_create(
        KeptNotice(
            application_id=conversation.application_id,
            conversation=conversation,
            client_id=notice.client_id,
            at_ms=at_ms,
            op=notice.op,
            fields=notice.fields,
        )
        for notice in notices
    )


def joining(new: Sequence[str], named: Sequence[str], by: str, at_ms: int) -> Iterator[Kept]:
    """Yield the notices to keep when clients become members; `named` are those the other members are told of."""
    fields = {"initBy": by, "udate": iso_date(at_ms)}
    yield from (Kept(client_id, "joined", fields) for client_id in new)
    yield Kept(EVERYBODY, "members_joined", {**fields, "m": list(named)})


def leaving(gone: Sequence[str], by: str, at_ms: int) -> Iterator[Kept]:
    """Yield the notices to keep when clients stop being members."""
    fields = {"initBy": by, "udate": iso_date(at_ms)}
    yield from (Kept(client_id, "left", fields) for client_id in gone)
    yield Kept(EVERYBODY, "members_left", {**fields, "m": list(gone)})


def concerning(clients: Sequence[str], op: str, by: str, at_ms: int) -> Iterator[Kept]:
    """Yield the notices to keep when something happens to clients: `op` to each, `members_op` to everybody."""
    fields = {"initBy": by, "udate": iso_date(at_ms)}
    yield from (Kept(client_id, op, fields) for client_id in clients)
    yield Kept(EVERYBODY, f"members_{op}", {**fields, "m": list(clients)})
