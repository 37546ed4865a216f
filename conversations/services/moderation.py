"""Silences and block lists: who may speak, who may be here, and who may say so (realtime-protocol 4.8)."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, Protocol

from conversations.events import (
    ClientsBlocked,
    ClientsUnblocked,
    MembersSilenced,
    MembersUnsilenced,
    RosterChanged,
    RosterChangedUntold,
)
from conversations.policy import POLICIES, Action, Kind, Roster, Standing, may_change, standing
from conversations.services import directory, permissions
from conversations.services.permissions import facts, features_of
from conversations.services.requests import Request, conversation_of, permitted, with_targets
from conversations.storage import moderation
from conversations.storage.changes import Change, Judge, Verdict
from conversations.storage.conversations import ConversationInfo
from conversations.storage.moderation import Page
from imcore import limits
from imcore.bridge import in_database
from imcore.delivery import router
from imcore.errors import (
    BlockListDisabled,
    BlockListFull,
    ConversationRequestInvalid,
    ImError,
    MembershipRequired,
    OperationUnauthorized,
    SilenceListFull,
)

__all__ = ["Page", "Request", "Verdict"]


class ListBound(NamedTuple):
    """How a list is bounded: who is on it, how many may be, and what is said to the others."""

    listed: Callable[[Roster], Collection[str]]
    max_of_normal: int
    full: type[ImError]
    only_members: bool

    def max_of(self, kind: Kind) -> int:
        """Return how many may be on the list of a conversation of this kind."""
        return self.max_of_normal if kind is Kind.NORMAL else limits.LISTED_IN_ROOM_MAX


def _silenced_for_good(roster: Roster) -> Collection[str]:
    return {client_id for client_id, until_ms in roster.silenced.items() if until_ms is None}


def _silenced_for_time(roster: Roster) -> Collection[str]:
    return {client_id for client_id, until_ms in roster.silenced.items() if until_ms is not None}


_SILENCED = ListBound(_silenced_for_good, limits.SILENCED_MAX, SilenceListFull, only_members=True)
_BLOCKED = ListBound(lambda roster: roster.blocked, limits.BLOCKED_MAX, BlockListFull, only_members=False)


class Write(Protocol):
    """A storage function that puts those the judge allows on a list, or takes them off."""

    def __call__(self, *, conversation: int, judge: Judge, by: str, now_ms: int) -> Change: ...


class ListChange(NamedTuple):
    """One way to change a list: who may, how it is written and told, and the bound of a list that grows by it."""

    action: Action
    write: Write
    event: Callable[[Change, dict[str, Any]], RosterChanged]
    bound: ListBound | None = None


_SILENCE = ListChange(
    Action.SILENCE,
    partial(moderation.silence, until_ms=None),
    lambda change, facts: MembersSilenced(silenced=change.changed, **facts),
    _SILENCED,
)
_UNSILENCE = ListChange(
    Action.SILENCE,
    moderation.unsilence,
    lambda change, facts: MembersUnsilenced(unsilenced=change.changed, **facts),
)
_END_SILENCE = ListChange(
    Action.SILENCE,
    moderation.end_silence,
    lambda change, facts: RosterChangedUntold(**facts),
)
_BLOCK = ListChange(
    Action.BLOCK,
    moderation.block,
    lambda change, facts: ClientsBlocked(blocked=change.changed, removed=change.removed, **facts),
    _BLOCKED,
)
_UNBLOCK = ListChange(
    Action.BLOCK,
    moderation.unblock,
    lambda change, facts: ClientsUnblocked(unblocked=change.changed, **facts),
)


async def silence(request: Request, *, client_ids: Sequence[str], all_or_nothing: bool) -> Verdict:
    """Silence members for good: they read on and cannot send. Repeating it is harmless.

    Those who do not stand lower fail with 4320, those who are no members with 4317, those for whom the list has no
    room with 4561. Raises ConversationNotFound, ConversationNotAllowed, RolesDisabled, MembershipRequired,
    OperationUnauthorized if nobody is left, ConversationRequestInvalid.
    """
    return await _change(request, _SILENCE, client_ids, all_or_nothing)


async def unsilence(request: Request, *, client_ids: Sequence[str], all_or_nothing: bool) -> Verdict:
    """Let silenced members send again. Repeating it is harmless. Raises as `silence` does."""
    return await _change(request, _UNSILENCE, client_ids, all_or_nothing)


async def silence_for(request: Request, *, client_id: str, seconds: int) -> None:
    """Silence a member for a time that begins now; nobody is told (rest-api 8.10).

    Who is silenced for good stays so. Raises as `silence` does, SilenceListFull for as many who are for a time.
    """
    write = partial(moderation.silence, until_ms=request.now_ms + seconds * 1000)
    bound = _SILENCED._replace(listed=_silenced_for_time)
    await _change(request, _END_SILENCE._replace(write=write, bound=bound), [client_id], all_or_nothing=True)


async def end_silence(request: Request, *, client_id: str) -> None:
    """Let a client send again that is silenced for a time; nobody is told. Repeating it is harmless.

    Raises as `silence` does.
    """
    await _change(request, _END_SILENCE, [client_id], all_or_nothing=True)


async def list_silenced(request: Request, *, after: int, limit: int) -> Page:
    """Return a page of those who are silenced for good. For members; raises MembershipRequired."""
    conversation = await permitted(request, Action.LIST_SILENCED)
    return await in_database(moderation.list_silenced, conversation=conversation.pk, after=after, limit=limit)


async def silenced_among(request: Request, *, client_ids: Sequence[str]) -> list[str]:
    """Return those of the clients that cannot send here. For members; raises MembershipRequired."""
    roster = (await permitted(request, Action.LIST_SILENCED)).roster
    ends = {one: roster.silenced[one] for one in dict.fromkeys(client_ids) if one in roster.silenced}
    return [one for one, until_ms in ends.items() if until_ms is None or until_ms > request.now_ms]


async def block(request: Request, *, client_ids: Sequence[str], all_or_nothing: bool) -> Verdict:
    """Block clients: members are out at once, and nobody blocked can come back. Repeating it is harmless.

    Fails and raises as `silence` does, but anybody can be blocked; the list's errors are 4543 and BlockListDisabled.
    """
    return await _change(request, _BLOCK, client_ids, all_or_nothing)


async def unblock(request: Request, *, client_ids: Sequence[str], all_or_nothing: bool) -> Verdict:
    """Take clients off the block list. They do not become members again. Raises as `block` does."""
    return await _change(request, _UNBLOCK, client_ids, all_or_nothing)


async def list_blocked(request: Request, *, after: int, limit: int) -> Page:
    """Return a page of those who are blocked. For Owner and Managers.

    Raises MembershipRequired, OperationUnauthorized, BlockListDisabled.
    """
    conversation = await permitted(request, Action.LIST_BLOCKED)
    return await in_database(moderation.list_blocked, conversation=conversation.pk, after=after, limit=limit)


async def blocked_among(request: Request, *, client_ids: Sequence[str]) -> list[str]:
    """Return those of the clients that are blocked here. For Owner and Managers; raises as `list_blocked`."""
    roster = (await permitted(request, Action.LIST_BLOCKED)).roster
    return [one for one in dict.fromkeys(client_ids) if one in roster.blocked]


async def refuse_invitations(request: Request, *, conversation_ids: Sequence[str]) -> Verdict:
    """Note that the client does not want to be pulled into conversations. `conversation_id` of the request is unused.

    Fails with 4543 for those over the limit, with the error of finding them for those that are not there. Raises
    BlockListDisabled, ConversationRequestInvalid for more conversations than one request may name.
    """
    return await _each_refusal(request, conversation_ids, is_refusing=True)


async def accept_invitations(request: Request, *, conversation_ids: Sequence[str]) -> Verdict:
    """Note that the client may be pulled into conversations again. As `refuse_invitations`."""
    return await _each_refusal(request, conversation_ids, is_refusing=False)


async def list_refused(request: Request, *, after: int, limit: int) -> Page:
    """Return a page of the ids of conversations the client does not want to be pulled into."""
    _check_block_lists(request)
    return await in_database(
        moderation.list_refused,
        application=request.application,
        client_id=request.client_id,
        after=after,
        limit=limit,
    )


async def _change(request: Request, change: ListChange, client_ids: Sequence[str], all_or_nothing: bool) -> Verdict:
    conversation, wanted = await with_targets(request, client_ids)
    judge = await _judge(request, conversation, wanted, change, all_or_nothing)
    done = await in_database(
        change.write, conversation=conversation.pk, judge=judge, by=request.client_id, now_ms=request.now_ms
    )
    directory.remember(done.conversation)
    if done.changed:
        router.publish(request.application, change.event(done, facts(done.conversation, request.client_id)))
    return done.verdict


async def _judge(
    request: Request, conversation: ConversationInfo, wanted: tuple[str, ...], change: ListChange, all_or_nothing: bool
) -> Judge:
    """Return the rule for actions on others: who stands lower, and for whom the list has room."""
    is_here = await permissions.is_present(conversation, request.client_id, request.session)
    features = features_of(request.settings)
    kind, bound = conversation.kind, change.bound

    def judge(roster: Roster) -> Verdict:
        actor = standing(kind, roster, request.client_id, is_present=is_here)
        permissions.check(change.action, kind, actor, features)
        reasons: dict[str, type[ImError]] = {}
        listed = () if bound is None else bound.listed(roster)
        room = 0 if bound is None else bound.max_of(kind) - len(listed)
        for one in wanted:
            target = standing(kind, roster, one)
            if one == request.client_id or not may_change(actor, target, features):
                reasons[one] = OperationUnauthorized
            elif bound is None or one in listed:
                continue
            elif bound.only_members and POLICIES[kind].keeps_members and target is Standing.OUTSIDER:
                reasons[one] = MembershipRequired
            elif room <= 0:
                reasons[one] = bound.full
            else:
                room -= 1
        return permissions.verdict(wanted, reasons, all_or_nothing=all_or_nothing, is_partial=False)

    return judge


def _check_block_lists(request: Request) -> None:
    if not (request.for_client or request.settings.block_lists_enabled):
        raise BlockListDisabled


async def _each_refusal(request: Request, conversation_ids: Sequence[str], *, is_refusing: bool) -> Verdict:
    _check_block_lists(request)
    wanted = dict.fromkeys(conversation_ids)
    if len(wanted) > limits.LIST_PAGE_MAX:
        raise ConversationRequestInvalid(f"At most {limits.LIST_PAGE_MAX} conversations.")
    allowed: list[str] = []
    failed: list[ImError] = []
    for conversation_id in wanted:
        try:
            conversation = await conversation_of(replace(request, conversation_id=conversation_id))
            await _write_refusal(request, conversation, is_refusing)
        except ImError as error:
            failed.append(type(error)(error.detail, client_ids=(conversation_id,)))
        else:
            allowed.append(conversation_id)
    return Verdict(tuple(allowed), tuple(failed))


async def _write_refusal(request: Request, conversation: ConversationInfo, is_refusing: bool) -> None:
    if not is_refusing:
        await in_database(moderation.accept, conversation=conversation.pk, client_id=request.client_id)
    elif not await in_database(
        moderation.refuse,
        conversation=conversation.pk,
        client_id=request.client_id,
        limit=limits.BLOCKED_MAX,
        now_ms=request.now_ms,
    ):
        raise BlockListFull
