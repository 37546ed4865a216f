"""Messages from clients to system conversations: rows of `_SysMessage`."""

from collections.abc import Sequence
from typing import NamedTuple

from django.db import transaction
from django.db.models import Q

from messaging.models import SysMessage


class UpstreamDraft(NamedTuple):
    """An upstream message to be stored. `timestamp_ms` is the time it was accepted."""

    message_id: str
    application: int
    conversation: int
    timestamp_ms: int
    sender: str
    sender_address: str | None
    text: str | None
    data: bytes | None
    is_binary: bool
    deduplication_token: str | None
    message_type: int | None = None


@transaction.atomic
def store(drafts: Sequence[UpstreamDraft]) -> list[tuple[str, int]]:
    """Store a batch and return, in its order, the id and time of each message: a resend's are those of the first."""
    SysMessage.objects.bulk_create(
        (
            SysMessage(
                message_id=draft.message_id,
                application_id=draft.application,
                conversation_id=draft.conversation,
                timestamp_ms=draft.timestamp_ms,
                sender=draft.sender,
                sender_address=draft.sender_address,
                text=draft.text,
                data=draft.data,
                is_binary=draft.is_binary,
                message_type=draft.message_type,
                deduplication_token=draft.deduplication_token,
            )
            # In one order, so that no two batches with the same resends wait for each other.
            for draft in sorted(drafts, key=_resend_order)
        ),
        ignore_conflicts=True,
    )
    stored = set(
        SysMessage.objects.filter(pk__in=[draft.message_id for draft in drafts]).values_list("message_id", flat=True)
    )
    firsts = _firsts([draft for draft in drafts if draft.message_id not in stored])
    return [
        (draft.message_id, draft.timestamp_ms)
        if draft.message_id in stored
        else firsts[draft.conversation, draft.sender, draft.deduplication_token]
        for draft in drafts
    ]


def _resend_order(draft: UpstreamDraft) -> tuple[int, str, str]:
    return draft.conversation, draft.sender, draft.deduplication_token or ""


def _firsts(repeats: Sequence[UpstreamDraft]) -> dict[tuple[int, str, str | None], tuple[str, int]]:
    if not repeats:
        return {}
    wanted = Q()
    for draft in repeats:
        wanted |= Q(
            conversation_id=draft.conversation, sender=draft.sender, deduplication_token=draft.deduplication_token
        )
    rows = SysMessage.objects.filter(wanted).values_list(
        "conversation_id", "sender", "deduplication_token", "message_id", "timestamp_ms"
    )
    return {(conversation, sender, token): (pk, at_ms) for conversation, sender, token, pk, at_ms in rows}
