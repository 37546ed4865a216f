"""Who may do what to whom in which kind of conversation with which features: every case, through the wire.

What is expected stands in permission_tables.py. A further command is a line in each table and an entry in `COMMANDS`.
"""

import json
from collections.abc import Awaitable, Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import groupby, product
from operator import attrgetter
from typing import Any, NamedTuple

import pytest
from django.db.models import Model

from conversations.models import (
    Block,
    Conversation,
    ConversationSettings,
    KeptNotice,
    Member,
    MemberInfo,
    RoomSeat,
    Silence,
    Subscription,
)
from conversations.policy import (
    THE_APPLICATION,
    Action,
    Features,
    Kind,
    Roster,
    Standing,
    may_change,
    refusal,
    standing,
)
from imcore import identifiers
from imcore.bridge import in_database
from imcore.models import Application
from imcore.protocol.message_pb2 import (
    BlacklistCommand,
    CommandType,
    ConvCommand,
    ConvMemberInfo,
    DirectCommand,
    GenericCommand,
    LogsCommand,
    OpType,
)
from messaging.models import Message, SysMessage
from tests.conftest import SignIn
from tests.conversations.permission_tables import APPLICATION, TABLES
from tests.conversations.talking import add, attr, heard
from tests.imclient import ImClient

SWITCHES = {
    "roles": "roles_enabled",
    "blocks": "block_lists_enabled",
    "delegated": "managers_change_roles",
}
# Commands that change nothing even when they are allowed.
READING = {
    "list_silenced",
    "check_silenced",
    "list_blocked",
    "check_blocked",
    "history",
    "max_read",
    "is_member",
    "count",
}
TRACES: list[type[Model]] = [
    Member, MemberInfo, Silence, Block, Subscription, KeptNotice, RoomSeat, Message, SysMessage
]  # fmt: skip
by_actor: Callable[["Case"], str] = attrgetter("actor")


class Case(NamedTuple):
    """Who asks for what, and what the answer must be. `target` is empty for commands without one."""

    command: str
    target: str
    actor: str
    answer: str


@dataclass(frozen=True)
class Asked:
    """What a command is about."""

    cid: str
    me: str
    target: str


def conv(op: OpType, **fields: Any) -> dict[str, Any]:
    """Make the parts of a `conv` command."""
    return {"cmd": CommandType.conv, "op": op, "convMessage": ConvCommand(**fields)}


def blacklist(op: OpType, **fields: Any) -> dict[str, Any]:
    """Make the parts of a `blacklist` command."""
    return {"cmd": CommandType.blacklist, "op": op, "blacklistMessage": BlacklistCommand(**fields)}


def role(asked: Asked, name: str) -> dict[str, Any]:
    """Make the parts of a change of role."""
    info = ConvMemberInfo(pid=asked.target, role=name)
    return conv(OpType.member_info_update, cid=asked.cid, targetClientId=asked.target, info=info)


# What each command is on the wire, and the operation it is answered with if it is not refused.
COMMANDS: dict[str, tuple[Callable[[Asked], dict[str, Any]], OpType | None]] = {
    "join": (lambda a: conv(OpType.add, cid=a.cid, m=[a.me]), OpType.added),
    "leave": (lambda a: conv(OpType.remove, cid=a.cid, m=[a.me]), OpType.removed),
    "invite": (lambda a: conv(OpType.add, cid=a.cid, m=[a.target]), OpType.added),
    "remove": (lambda a: conv(OpType.remove, cid=a.cid, m=[a.target]), OpType.removed),
    "promote": (lambda a: role(a, "Manager"), OpType.member_info_updated),
    "demote": (lambda a: role(a, "Member"), OpType.member_info_updated),
    "enthrone": (lambda a: role(a, "Owner"), OpType.member_info_updated),
    "silence": (lambda a: conv(OpType.add_shutup, cid=a.cid, m=[a.target]), OpType.shutup_added),
    "unsilence": (lambda a: conv(OpType.remove_shutup, cid=a.cid, m=[a.target]), OpType.shutup_removed),
    "list_silenced": (lambda a: conv(OpType.query_shutup, cid=a.cid), OpType.shutup_result),
    "check_silenced": (lambda a: conv(OpType.check_shutup, cid=a.cid, m=[a.target]), OpType.check_result),
    "block": (lambda a: blacklist(OpType.block, srcCid=a.cid, toPids=[a.target]), OpType.blocked),
    "unblock": (lambda a: blacklist(OpType.unblock, srcCid=a.cid, toPids=[a.target]), OpType.unblocked),
    "list_blocked": (lambda a: blacklist(OpType.query, srcCid=a.cid), OpType.query_result),
    "check_blocked": (lambda a: blacklist(OpType.check_block, srcCid=a.cid, toPids=[a.target]), OpType.check_result),
    "update": (lambda a: conv(OpType.update, cid=a.cid, attr=attr({"name": "T & J"})), OpType.updated),
    "mute": (lambda a: conv(OpType.mute, cid=a.cid), OpType.updated),
    "unmute": (lambda a: conv(OpType.unmute, cid=a.cid), OpType.updated),
    "send": (lambda a: {"cmd": CommandType.direct, "directMessage": DirectCommand(cid=a.cid, msg="hello")}, None),
    "history": (lambda a: {"cmd": CommandType.logs, "logsMessage": LogsCommand(cid=a.cid)}, None),
    "max_read": (lambda a: conv(OpType.max_read, cid=a.cid), OpType.max_read),
    "is_member": (lambda a: conv(OpType.is_member, cids=[a.cid]), OpType.result),
    "count": (lambda a: conv(OpType.count, cid=a.cid), OpType.result),
}


def cases(table: str, features: Collection[str]) -> Iterator[Case]:
    """Read the lines of a table that hold with these features."""
    head, *lines = table.strip().splitlines()
    actors = head.partition("=")[2].split()
    for line in lines:
        question, _, answers = line.partition("=")
        asked, _, conditions = question.partition("?")
        if not all((name.removeprefix("!") in features) is not name.startswith("!") for name in conditions.split()):
            continue
        command, _, target = asked.strip().partition(" ")
        for actor, answer in zip(actors, answers.split(), strict=True):
            yield Case(command, target.strip(), actor, answer)


def target_of(case: Case) -> str:
    """Return whom a command is about: another one who stands so; there is one owner only."""
    match case.target:
        case "" | "self":
            return case.actor
        case "owner":
            return "owner"
        case standing:
            return f"other {standing}"


def outcome(command: str, asked: Asked, reply: GenericCommand) -> str:
    """Write a reply as the tables do."""
    if reply.cmd == CommandType.error:
        return str(reply.errorMessage.code)
    if reply.cmd == CommandType.ack:
        return str(reply.ackMessage.code) if reply.ackMessage.HasField("code") else "ok"
    assert (reply.op if reply.HasField("op") else None) == COMMANDS[command][1], reply
    if command == "is_member":
        return "true" if json.loads(reply.convMessage.results.data)[asked.cid] else "false"
    body = reply.blacklistMessage if reply.cmd == CommandType.blacklist else reply.convMessage
    if command in READING or reply.op in (OpType.member_info_updated, OpType.updated):
        return "ok"
    if body.failedPids:
        [failed] = body.failedPids
        assert (list(failed.pids), list(body.allowedPids)) == ([asked.target], []), reply
        return f"F{failed.code}"
    assert list(body.allowedPids) == [asked.target], reply
    return "ok"


def make(application: Application, kind: Kind) -> str:
    """Put a conversation into the database in which there is somebody of every standing; return its id."""
    now_ms = identifiers.now_ms()
    standings = ["member", "silenced", "manager"] if kind is Kind.NORMAL else ["member"]
    members = [] if kind in (Kind.CHAT_ROOM, Kind.SYSTEM) else ["owner", *both(*standings)]
    has_lists = kind is not Kind.TEMPORARY
    row = Conversation.objects.create(
        application=application,
        object_id=("_tmp:" if kind is Kind.TEMPORARY else "") + identifiers.object_id(now_ms),
        kind=kind,
        creator="" if kind is Kind.SYSTEM else "owner",
        member_count=len(members),
        has_roles=kind is Kind.NORMAL,
        has_silenced=has_lists,
        has_blocked=has_lists,
        created_ms=now_ms,
        updated_ms=now_ms,
        ttl_seconds=3600 if kind is Kind.TEMPORARY else None,
        expires_ms=now_ms + 3_600_000 if kind is Kind.TEMPORARY else None,
    )
    here = {"conversation": row, "application": application}
    Member.objects.bulk_create(Member(**here, client_id=one, joined_ms=now_ms) for one in members)
    if kind is Kind.NORMAL:
        MemberInfo.objects.bulk_create(
            MemberInfo(
                **here,
                info_id=identifiers.object_id(now_ms),
                client_id=one,
                role="Manager",
                created_ms=now_ms,
                updated_ms=now_ms,
            )
            for one in both("manager")
        )
    if kind is Kind.SYSTEM:
        Subscription.objects.bulk_create(
            Subscription(**here, client_id=one, subscribed_ms=now_ms) for one in both("member")
        )
    if has_lists:
        Silence.objects.bulk_create(Silence(**here, client_id=one, created_ms=now_ms) for one in both("silenced"))
        Block.objects.bulk_create(Block(**here, client_id=one, created_ms=now_ms) for one in both("blocked"))
    return row.object_id


def both(*standings: str) -> list[str]:
    """Return those who stand so: the one who acts, and the one who is acted on."""
    return [name for standing in standings for name in (standing, f"other {standing}")]


def traces(cid: str) -> list[Any]:
    """Return all that the database has of a conversation."""
    [row] = Conversation.objects.filter(object_id=cid).values()
    return [row, *(list(model._default_manager.filter(conversation_id=row["id"]).values()) for model in TRACES)]


class Stage:
    """Clients of every standing on connections of their own, and conversations to ask for something in."""

    def __init__(self, application: Application, kind: Kind, clients: dict[str, ImClient]) -> None:
        self.application = application
        self.kind = kind
        self.clients = clients

    async def conversation(self) -> str:
        """Make a conversation; whoever is a member of a chat room is in it."""
        cid = await in_database(make, self.application, self.kind)
        if self.kind is Kind.CHAT_ROOM:
            for name in both("member", "silenced"):
                await add(self.clients[name], cid, name)
        return cid

    async def ask(self, case: Case, cid: str) -> list[str]:
        """Let the actor ask; say what is wrong if the answer is not the table's."""
        asked = Asked(cid, me=case.actor, target=target_of(case))
        reply = await self.clients[case.actor].request(**COMMANDS[case.command][0](asked))
        found = outcome(case.command, asked, reply)
        return [] if found == case.answer else [f"{case}: {found}"]

    async def hear(self) -> dict[str, list[GenericCommand]]:
        """Return what anybody was told since."""
        return {name: frames for name, client in self.clients.items() if (frames := await heard(client))}


def combinations() -> Iterator[Any]:
    """Yield every kind with every combination of features on and off; delegation matters where there are roles."""
    for kind, *switched in product(Kind, [False, True], [False, True], [False, True]):
        features = frozenset(name for name, is_on in zip(SWITCHES, switched, strict=True) if is_on)
        if kind is Kind.NORMAL or "delegated" not in features:
            yield pytest.param(kind, features, id=" ".join([kind.label, *sorted(features)]))


@pytest.mark.parametrize(("kind", "features"), list(combinations()))
async def test_everybody_may_do_what_the_tables_say_and_a_refusal_leaves_no_trace(
    application: Application,
    signed_in: SignIn,
    obey_settings: Callable[..., Awaitable[None]],
    kind: Kind,
    features: frozenset[str],
) -> None:
    """Checklist 31 to 33, 42, 44 to 47, 53, 63, 70 for every standing, kind and combination of features."""
    await obey_settings(ConversationSettings, **{field: name in features for name, field in SWITCHES.items()})
    names = ["owner", *both("outsider", "blocked", "member", "silenced", "manager")]
    stage = Stage(application, kind, {name: await signed_in(name) for name in names})
    wanted = list(cases(TABLES[kind], features))
    without_effect = [case for case in wanted if case.answer != "ok" or case.command in READING]
    with_effect = [case for case in wanted if case not in without_effect]

    wrong = []

    cid = await stage.conversation()
    before = await in_database(traces, cid)
    for actor, asked in groupby(sorted(without_effect, key=by_actor), by_actor):
        for case in asked:
            wrong += await stage.ask(case, cid)
        assert await in_database(traces, cid) == before, f"what {actor} was refused"
    assert await stage.hear() == {}
    for case in with_effect:
        wrong += await stage.ask(case, await stage.conversation())

    assert wrong == []


@pytest.mark.parametrize(("kind", "features"), list(combinations()))
def test_the_tables_leave_no_command_out(kind: Kind, features: frozenset[str]) -> None:
    """Every command has a line, and no case two, whichever features are on."""
    found = [case[:3] for case in cases(TABLES[kind], features)]

    assert len(found) == len(set(found))
    assert {command for command, _, _ in found} >= set(COMMANDS) - {"demote", "enthrone"}


@pytest.mark.parametrize("features", [Features(*switched) for switched in product([False, True], repeat=3)])
def test_the_application_may_do_what_its_table_says_whatever_is_enabled(features: Features) -> None:
    """REST checklist 36: every action in every kind; the table leaves none out."""
    _, *lines = APPLICATION.strip().splitlines()
    expected = {line.partition("=")[0].strip(): line.partition("=")[2].split() for line in lines}

    def answer(action: Action, kind: Kind) -> str:
        error = refusal(action, kind, Standing.APPLICATION, features)
        return "ok" if error is None else str(error.code)

    assert {action.value: [answer(action, kind) for kind in Kind] for action in Action} == expected


@pytest.mark.parametrize("kind", Kind)
def test_the_application_stands_above_everybody(kind: Kind) -> None:
    """REST checklist 36: it has no client's id, and may change whoever is there; nobody may change it."""
    roster = Roster("owner", ("owner", "manager", "member"), 1, managers=frozenset(["manager"]))
    everybody = [standing(kind, roster, name) for name in ("owner", "manager", "member", "stranger")]

    assert standing(kind, roster, THE_APPLICATION) is Standing.APPLICATION
    for features in (Features(), Features(roles=True)):
        assert all(may_change(Standing.APPLICATION, one, features) for one in everybody)
    assert not any(may_change(one, Standing.APPLICATION, Features(roles=True)) for one in everybody)
