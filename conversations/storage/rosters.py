"""Reading who stands how in a conversation."""

from collections.abc import Iterable, Sequence

from conversations.models import Block, Conversation, Member, MemberInfo, Silence
from conversations.policy import POLICIES, Kind, Role, Roster


def load(*, conversations: Sequence[int]) -> dict[int, Roster]:
    """Return the rosters of those conversations that exist, by number."""
    return of(Conversation.objects.filter(pk__in=conversations))


def of(rows: Iterable[Conversation]) -> dict[int, Roster]:
    """Return the rosters of conversations whose rows were just read, in at most one query per list that has entries."""
    rows = list(rows)
    members = _by_conversation(Member, [row.pk for row in rows if POLICIES[Kind(row.kind)].keeps_members])
    managers = _by_conversation(MemberInfo, [row.pk for row in rows if row.has_roles], role=Role.MANAGER)
    with_blocks = [row.pk for row in rows if row.has_blocked]
    blocked = _by_conversation(Block, with_blocks, is_by_client=False)
    refusing = _by_conversation(Block, with_blocks, is_by_client=True)
    silenced = _silenced([row.pk for row in rows if row.has_silenced])
    return {
        row.pk: Roster(
            creator=row.creator,
            members=tuple(members.get(row.pk, ())),
            members_version=row.members_version,
            managers=frozenset(managers.get(row.pk, ())),
            silenced=silenced.get(row.pk, {}),
            blocked=frozenset(blocked.get(row.pk, ())),
            refusing=frozenset(refusing.get(row.pk, ())),
            has_roles=row.has_roles,
        )
        for row in rows
    }


def _by_conversation(
    model: type[Member | MemberInfo | Block], conversations: list[int], **conditions: object
) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    if conversations:
        rows = model._default_manager.filter(conversation_id__in=conversations, **conditions).order_by("id")
        for conversation, client_id in rows.values_list("conversation_id", "client_id"):
            found.setdefault(conversation, []).append(client_id)
    return found


def _silenced(conversations: list[int]) -> dict[int, dict[str, int | None]]:
    found: dict[int, dict[str, int | None]] = {}
    if conversations:
        rows = Silence.objects.filter(conversation_id__in=conversations).order_by("id")
        for conversation, client_id, until_ms in rows.values_list("conversation_id", "client_id", "until_ms"):
            found.setdefault(conversation, {})[client_id] = until_ms
    return found
