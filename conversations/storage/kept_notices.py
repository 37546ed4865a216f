"""Notices for those who are away: written in the transaction of the change they tell of (realtime-protocol 10.3)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db.models import F, QuerySet, TextField
from django.db.models.functions import Cast, Length

from conversations.models import Conversation, ConversationSettings, KeptNotice
from conversations.policy import POLICIES, Kind
from conversations.storage.json_text import read_json
from imcore.identifiers import iso_date
from imcore.models import Application

EVERYBODY = ""
RECEIPT = "rcp"  # a command of its own among the operations of `conv`


class Kept(NamedTuple):
    """One notice to keep: for a client, or for `EVERYBODY` who is a member; the operation as the wire spells it."""

    client_id: str
    op: str
    fields: dict[str, Any]


def keep(conversation: Conversation, at_ms: int, notices: Iterable[Kept]) -> None:
    """Keep notices of one change. Call it inside the transaction that makes the change.

    Where there are no member rows, there is nobody who could ask later for what was told to everybody.
    """
    has_members = POLICIES[Kind(conversation.kind)].keeps_members
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
        if has_members or notice.client_id != EVERYBODY
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


class ReadReceipt(NamedTuple):
    """That `receiver` has read a message of `sender` at `at_ms`."""

    application: int
    conversation: int
    sender: str
    receiver: str
    message_id: str
    at_ms: int


def keep_read_receipts(*, receipts: Iterable[ReadReceipt], at_ms: int) -> None:
    """Keep read receipts for their senders, who may be away. Call it inside the transaction of the reads."""
    KeptNotice.objects.bulk_create(
        KeptNotice(
            application_id=receipt.application,
            conversation_id=receipt.conversation,
            client_id=receipt.sender,
            at_ms=at_ms,
            op=RECEIPT,
            fields={"id": receipt.message_id, "t": receipt.at_ms, "read": True, "from": receipt.receiver},
        )
        for receipt in receipts
    )


@dataclass(frozen=True, slots=True)
class MissedNotice:
    """A kept notice as it is handed out; `fields` are named as on the wire."""

    at_ms: int
    op: str
    conversation_id: str
    kind: Kind
    ttl_seconds: int | None
    fields: dict[str, Any]


class MissedPage(NamedTuple):
    """Notices in the order of their time. `has_more`: there are later ones, none of them at the time of the last."""

    notices: list[MissedNotice]
    has_more: bool


def of_client(*, application: int, client_id: str, after_ms: int, limit: int) -> MissedPage:
    """Return a page of the notices about a client itself, later than `after_ms`.

    Whoever asks on goes by the time of the last one, so a page ends between two times, though that makes it longer.
    """
    rows = KeptNotice.objects.filter(application=application, client_id=client_id, at_ms__gt=after_ms)
    # The index has none of those to everybody, and must be seen to suffice.
    rows = rows.exclude(client_id=EVERYBODY).order_by("at_ms", "id")
    keys = list(rows.values_list("at_ms", "id")[: limit + 1])
    if len(keys) <= limit:
        return MissedPage(_read(rows), False)
    last_ms = keys[limit - 1][0]
    return MissedPage(_read(rows.filter(at_ms__lte=last_ms)), rows.filter(at_ms__gt=last_ms).exists())


def of_conversations(
    *, application: int, client_id: str, after_ms: int, until_ms: int | None, limit: int, bytes_max: int
) -> list[MissedNotice] | None:
    """Return the notices to everybody in the conversations a client is in, of the time since it is.

    None if there are more than `limit`, or `bytes_max` of them.
    """
    rows = KeptNotice.objects.filter(
        client_id=EVERYBODY,
        at_ms__gt=after_ms,
        conversation__members__application=application,
        conversation__members__client_id=client_id,
        at_ms__gte=F("conversation__members__joined_ms"),
    )
    if until_ms is not None:
        rows = rows.filter(at_ms__lte=until_ms)
    # In no order: the database may stop at one too many.
    sizes = dict(rows.order_by().values_list("pk", Length(Cast("fields", TextField())))[: limit + 1])
    if len(sizes) > limit or sum(sizes.values()) > bytes_max:
        return None
    return _read(KeptNotice.objects.filter(pk__in=list(sizes)).order_by("at_ms", "id"))


def kept_days() -> list[tuple[int, int]]:
    """Return the numbers of all applications, and how many days each keeps notices."""
    chosen = dict(ConversationSettings.objects.values_list("application_id", "notices_kept_days"))
    default = ConversationSettings().notices_kept_days
    numbers = Application.objects.order_by("pk").values_list("pk", flat=True)
    return [(number, chosen.get(number, default)) for number in numbers]


def forget(*, application: int, before_ms: int, limit: int) -> int:
    """Delete up to `limit` notices of an application that are older; return how many there were."""
    old = KeptNotice.objects.filter(application=application, at_ms__lt=before_ms).order_by("at_ms")
    return KeptNotice.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:limit])).delete()[0]


def _read(rows: QuerySet[KeptNotice]) -> list[MissedNotice]:
    found = rows.values_list(
        "at_ms",
        "op",
        "conversation__object_id",
        "conversation__kind",
        "conversation__ttl_seconds",
        Cast("fields", TextField()),
    )
    return [
        MissedNotice(at_ms, op, conversation_id, Kind(kind), ttl_seconds, read_json(fields))
        for at_ms, op, conversation_id, kind, ttl_seconds, fields in found
    ]
