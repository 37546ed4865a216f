"""Wills: written when they are left, and taken by whoever delivers them."""

from collections.abc import Sequence
from typing import NamedTuple

from django.db import transaction

from messaging.events import Body, Mentions
from messaging.models import Device, Will

_REPLACED = (
    "device", "conversation_id", "message_id", "text", "data", "is_binary", "mention_ids", "mention_all", "created_ms",
)  # fmt: skip


class LeftWill(NamedTuple):
    """What a client left on a device to be said, and where. `text` and `data` are as messages keep them."""

    application: int
    client_id: str
    device: int
    conversation_id: str
    message_id: str
    text: str | None
    data: bytes | None
    is_binary: bool
    mentions: Mentions

    @property
    def body(self) -> Body:
        """The body as it was sent."""
        if self.is_binary:
            return Body(None, self.data or b"")
        return Body(self.text if self.data is None else self.data.decode(), None)


class Lost(NamedTuple):
    """A session that was lost: its device, and its key, which tells whether that has come back since."""

    device: int
    key: str


@transaction.atomic
def store(will: LeftWill, *, session_key: str, now_ms: int) -> bool:
    """Keep a will in place of the one its client had; return False if its device has opened another session since."""
    device = Device.objects.select_for_update().filter(pk=will.device, session_key=session_key)
    if not list(device.values_list("pk")):
        return False
    row = Will(
        application_id=will.application,
        client_id=will.client_id,
        device_id=will.device,
        conversation_id=will.conversation_id,
        message_id=will.message_id,
        text=will.text,
        data=will.data,
        is_binary=will.is_binary,
        mention_ids=will.mentions.client_ids or None,
        mention_all=will.mentions.everybody,
        created_ms=now_ms,
    )
    Will.objects.bulk_create(
        [row], update_conflicts=True, unique_fields=["application", "client_id"], update_fields=_REPLACED
    )
    return True


@transaction.atomic
def take(lost: Sequence[Lost]) -> list[LeftWill | None]:
    """Take the wills of sessions that were lost, for good; None for one that left none, or whose device is back."""
    # A key is of one session, so there is no need to look for pairs.
    gone = Device.objects.filter(pk__in=[one.device for one in lost], session_key__in=[one.key for one in lost])
    wills = Will.objects.filter(device__in=gone).select_for_update(of=("self",)).order_by("pk")
    taken = {row.device_id: row for row in wills}
    Will.objects.filter(pk__in=[row.pk for row in taken.values()]).delete()
    return [None if (row := taken.pop(one.device, None)) is None else _left(row) for one in lost]


def _left(row: Will) -> LeftWill:
    return LeftWill(
        application=row.application_id,
        client_id=row.client_id,
        device=row.device_id,
        conversation_id=row.conversation_id,
        message_id=row.message_id,
        text=row.text,
        data=None if row.data is None else bytes(row.data),
        is_binary=row.is_binary,
        mentions=Mentions(tuple(row.mention_ids or ()), row.mention_all),
    )
