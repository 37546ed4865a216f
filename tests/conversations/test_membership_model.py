"""Any sequence of comings and goings, blocks, silences and roles leaves every client with the truth.

A client that is connected knows what it fetched when it connected and what it was told since. After each step that
must equal the database, and the database must equal a model of a few lines.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from conversations.models import Block, Conversation, ConversationSettings, Member, MemberInfo, Silence
from imcore.bridge import in_database
from imcore.models import Application
from imcore.protocol.message_pb2 import BlacklistCommand, CommandType, ConvCommand, GenericCommand, OpType
from tests.conversations.moderating import ask_list, ask_role, attempt
from tests.conversations.talking import ask, start
from tests.conversations.views import Talk, View
from tests.imclient import ImClient, InProcess, sign_in

# `IMCORE_MEMBERSHIP_EXAMPLES=1000` for a thorough run.
EXAMPLES = int(os.environ.get("IMCORE_MEMBERSHIP_EXAMPLES", "12"))
NAMES = ["a", "b", "ab", "c"]
OUTSIDER, MEMBER, MANAGER, OWNER = range(4)
names = st.sampled_from(NAMES)
some_names = st.lists(names, max_size=4)
numbers = st.integers(0, 9)


@pytest.fixture(scope="session")
async def loop() -> asyncio.AbstractEventLoop:
    """The loop of the run. It stands still during a synchronous test, which may then run it."""
    return asyncio.get_running_loop()


class Comings(RuleBasedStateMachine):
    """Clients start conversations, add, remove, join, leave, block, silence, promote, speak, connect and disconnect."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.loop = loop
        self.application: Application = self.run(in_database(self.new_application))
        self.views: list[View] = []
        # The model: who stands how by conversation, who created it, in which a role was given once, which of them are
        # unique, and which one each member set leads to.
        self.talks: dict[str, Talk] = {}
        self.creators: dict[str, str] = {}
        self.pinned: set[str] = set()
        self.unique: set[str] = set()
        self.leads_to: dict[frozenset[str], str] = {}
        self.versions_seen: dict[str, tuple[int, str]] = {}
        for name in NAMES:
            self.connect(name)

    def new_application(self) -> Application:
        """Make an application with roles and block lists."""
        application = Application.objects.create(name="model")
        ConversationSettings.objects.create(application=application, roles_enabled=True, block_lists_enabled=True)
        return application

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the loop of the run."""
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        """Disconnect everybody."""
        while self.views:
            self.disconnect(0)

    def client(self, number: int) -> ImClient:
        """Return one of those who are connected."""
        return self.views[number % len(self.views)].client

    def cid(self, number: int) -> str:
        """Return one of the conversations."""
        return list(self.talks)[number % len(self.talks)]

    def standing(self, cid: str, name: str) -> int:
        """Return what somebody is in a conversation."""
        talk = self.talks[cid]
        if name not in talk.members:
            return OUTSIDER
        if name == self.creators[cid]:
            return OWNER
        return MANAGER if talk.roles.get(name) == "Manager" else MEMBER

    @precondition(lambda self: len(self.views) < 6)
    @rule(name=names)
    def connect(self, name: str) -> None:
        """A client comes, perhaps on a second device."""

        async def come() -> View:
            client = await sign_in(await InProcess.connect(), self.application.app_id, name)
            view = View(client, self.application)
            await view.fetch()
            return view

        self.views.append(self.run(come()))

    @precondition(lambda self: len(self.views) > 1)
    @rule(number=numbers)
    def disconnect(self, number: int) -> None:
        """A client goes. Before, it looks afresh: that makes no difference."""
        view = self.views.pop(number % len(self.views))
        told = (view.talks, view.barred)
        self.run(view.fetch())
        assert (view.talks, view.barred) == told
        self.run(view.client.wire.close())

    @rule(number=numbers, others=some_names, is_unique=st.booleans())
    def start(self, number: int, others: list[str], is_unique: bool) -> None:
        """A client starts a conversation, or finds the unique one."""
        client = self.client(number)
        everybody = frozenset([*others, client.client_id])

        reply: ConvCommand = self.run(start(client, *others, unique=is_unique))

        known = self.leads_to.get(everybody) if is_unique else None
        assert reply.existing == (known is not None)
        if known is not None:
            assert reply.cid == known
            return
        assert reply.cid not in self.talks
        self.talks[reply.cid] = Talk(set(everybody))
        self.creators[reply.cid] = client.client_id
        if is_unique:
            self.unique.add(reply.cid)
            self.leads_to[everybody] = reply.cid

    @precondition(lambda self: self.talks)
    @rule(number=numbers, conversation=numbers, others=some_names)
    def add(self, number: int, conversation: int, others: list[str]) -> None:
        """A client adds some, itself perhaps among them; those who are blocked fail."""
        client, cid = self.client(number), self.cid(conversation)
        talk = self.talks[cid]
        failing = {one: 4548 for one in others if one in talk.blocked and one not in talk.members}
        refused = 0
        if not others:
            refused = 4301
        elif self.standing(cid, client.client_id) == OUTSIDER and set(others) != {client.client_id}:
            refused = 4317

        reply: GenericCommand = self.run(ask(client, OpType.add, cid=cid, m=others))

        if not assert_answer(reply, OpType.added, others, failing, refused):
            return
        with self.moving(cid):
            talk.members |= set(others) - set(failing)

    @precondition(lambda self: self.talks)
    @rule(number=numbers, conversation=numbers, others=some_names)
    def remove(self, number: int, conversation: int, others: list[str]) -> None:
        """A client removes some, itself perhaps among them; the owner stays where there are roles."""
        client, cid = self.client(number), self.cid(conversation)
        me, talk = client.client_id, self.talks[cid]
        mine = self.standing(cid, me)
        failing = {one: 4320 for one in others if one != me and (mine < MANAGER or self.standing(cid, one) >= mine)} | {
            one: 4324 for one in others if cid in self.pinned and self.standing(cid, one) == OWNER
        }
        refused = 0
        if not others:
            refused = 4301
        elif mine == OUTSIDER and set(others) != {me}:
            refused = 4317
        elif mine == MEMBER and me not in others:
            refused = 4320

        reply: GenericCommand = self.run(ask(client, OpType.remove, cid=cid, m=others))

        if not assert_answer(reply, OpType.removed, others, failing, refused):
            return
        with self.moving(cid):
            talk.lose(set(others) - set(failing))

    @precondition(lambda self: self.talks)
    @rule(number=numbers, conversation=numbers, is_joining=st.booleans())
    def come_or_go(self, number: int, conversation: int, is_joining: bool) -> None:
        """A client joins or leaves."""
        (self.add if is_joining else self.remove)(number, conversation, [self.client(number).client_id])

    @precondition(lambda self: self.talks)
    @rule(number=numbers, conversation=numbers, others=some_names, is_blocking=st.booleans())
    def block(self, number: int, conversation: int, others: list[str], is_blocking: bool) -> None:
        """A client blocks some, who are out at once, or unblocks them."""
        client, cid = self.client(number), self.cid(conversation)
        talk = self.talks[cid]
        op, replied = (OpType.block, OpType.blocked) if is_blocking else (OpType.unblock, OpType.unblocked)
        failing, refused = self.judged(cid, client.client_id, others, lambda one: False)

        reply: GenericCommand = self.run(ask_list(client, op, srcCid=cid, toPids=others))

        if not assert_answer(reply, replied, others, failing, refused):
            return
        changed = set(others) - set(failing)
        talk.blocked = talk.blocked | changed if is_blocking else talk.blocked - changed
        if is_blocking:
            with self.moving(cid):
                talk.lose(changed)

    @precondition(lambda self: self.talks)
    @rule(number=numbers, conversation=numbers, others=some_names, is_silencing=st.booleans())
    def silence(self, number: int, conversation: int, others: list[str], is_silencing: bool) -> None:
        """A client silences some members, or lets some speak, whether or not they are members still."""
        client, cid = self.client(number), self.cid(conversation)
        talk = self.talks[cid]
        op, replied = (
            (OpType.add_shutup, OpType.shutup_added) if is_silencing else (OpType.remove_shutup, OpType.shutup_removed)
        )
        failing, refused = self.judged(
            cid,
            client.client_id,
            others,
            lambda one: is_silencing and one not in talk.silenced and one not in talk.members,
        )

        reply: GenericCommand = self.run(ask(client, op, cid=cid, m=others))

        if assert_answer(reply, replied, others, failing, refused):
            changed = set(others) - set(failing)
            talk.silenced = talk.silenced | changed if is_silencing else talk.silenced - changed

    @precondition(lambda self: self.talks)
    @rule(number=numbers, conversation=numbers, other=names, role=st.sampled_from(["Manager", "Member", "Owner"]))
    def promote(self, number: int, conversation: int, other: str, role: str) -> None:
        """A client gives another a role."""
        client, cid = self.client(number), self.cid(conversation)
        mine, theirs = self.standing(cid, client.client_id), self.standing(cid, other)

        reply: GenericCommand = self.run(ask_role(client, cid, other, role))

        if mine == OUTSIDER:
            assert reply.errorMessage.code == 4317
        elif mine < OWNER or role == "Owner" or theirs == OWNER:
            assert reply.errorMessage.code == 4320
        elif theirs == OUTSIDER:
            assert reply.errorMessage.code == 4317
        else:
            assert reply.op == OpType.member_info_updated
            self.talks[cid].roles[other] = role
            self.pinned.add(cid)

    @precondition(lambda self: self.talks)
    @rule(number=numbers, conversation=numbers, is_transient=st.booleans())
    def speak(self, number: int, conversation: int, is_transient: bool) -> None:
        """A client says something, if it may."""
        client, cid = self.client(number), self.cid(conversation)
        talk = self.talks[cid]

        code, _ = self.run(attempt(client, cid, transient=is_transient))

        assert code == (
            4401 if client.client_id not in talk.members else 4563 if client.client_id in talk.silenced else 0
        )

    def judged(
        self, cid: str, me: str, others: Sequence[str], is_missing: Callable[[str], bool]
    ) -> tuple[dict[str, int], int]:
        """Return who of the others a moderator's command fails for, and with what it fails as a whole, or 0."""
        mine = self.standing(cid, me)
        if not others or mine < MANAGER:
            return {}, 4301 if not others else 4317 if mine == OUTSIDER else 4320
        failing = {}
        for one in others:
            if one == me or self.standing(cid, one) >= mine:
                failing[one] = 4320
            elif is_missing(one):
                failing[one] = 4317
        return failing, failing[others[0]] if set(failing) == set(others) else 0

    @contextmanager
    def moving(self, cid: str) -> Iterator[None]:
        """Note to which unique conversation member sets lead while members change."""
        talk = self.talks[cid]
        before = frozenset(talk.members)
        yield
        if cid not in self.unique or before == talk.members:
            return
        if self.leads_to.get(before) == cid:
            del self.leads_to[before]
        self.leads_to.setdefault(frozenset(talk.members), cid)

    @invariant()
    def database_agrees_with_the_model(self) -> None:
        """Everybody's standing, the number of members, and a version that rises with every change and nothing else."""
        found = self.run(in_database(self.rows))
        assert {cid: talk for cid, (talk, _) in found.items()} == self.talks
        for cid, (talk, version) in found.items():
            known, known_talk = self.versions_seen.get(cid, (0, ""))
            state = repr(
                [sorted(talk.members), sorted(talk.roles.items()), sorted(talk.silenced), sorted(talk.blocked)]
            )
            assert version > known if state != known_talk else version == known
            self.versions_seen[cid] = (version, state)

    @invariant()
    def clients_agree_with_the_database(self) -> None:
        """Whoever is connected knows who stands how where he is, and where he is blocked."""
        for view in self.views:
            self.run(view.listen())
            client_id = view.client.client_id
            assert view.talks == {cid: talk for cid, talk in self.talks.items() if client_id in talk.members}
            assert view.barred == {cid for cid, talk in self.talks.items() if client_id in talk.blocked}

    def rows(self) -> dict[str, tuple[Talk, int]]:
        """Return who stands how in each conversation, and the version, as the database has them."""
        found = {one.pk: (one, Talk(set())) for one in Conversation.objects.filter(application=self.application)}

        def listed(model: type[Member | Silence | Block]) -> Iterator[tuple[Talk, str]]:
            rows = model._default_manager.filter(application=self.application)
            for conversation, client_id in rows.values_list("conversation_id", "client_id"):
                yield found[conversation][1], client_id

        for talk, client_id in listed(Member):
            talk.members.add(client_id)
        for talk, client_id in listed(Silence):
            talk.silenced.add(client_id)
        for talk, client_id in listed(Block):
            talk.blocked.add(client_id)
        for info in MemberInfo.objects.filter(application=self.application):
            found[info.conversation_id][1].roles[info.client_id] = info.role
        for row, talk in found.values():
            assert row.member_count == len(talk.members)
            assert (row.has_silenced, row.has_blocked) == (bool(talk.silenced), bool(talk.blocked))
            assert row.has_roles == (row.object_id in self.pinned)
        return {row.object_id: (talk, row.members_version) for row, talk in found.values()}


def assert_answer(
    reply: GenericCommand, replied: OpType, others: Sequence[str], failing: dict[str, int], refused: int
) -> bool:
    """Assert that a reply lets everybody through but those who fail, or is refused as a whole; return whether not."""
    if refused:
        assert (reply.cmd, reply.errorMessage.code) == (CommandType.error, refused), reply
        return False
    assert reply.op == replied, reply
    body: ConvCommand | BlacklistCommand = (
        reply.blacklistMessage if reply.cmd == CommandType.blacklist else reply.convMessage
    )
    assert set(body.allowedPids) == set(others) - set(failing)
    assert {pid: failed.code for failed in body.failedPids for pid in failed.pids} == failing
    return True


def test_after_any_comings_and_goings_every_client_knows_the_truth(loop: asyncio.AbstractEventLoop) -> None:
    """What one was told and what one fetches afresh agree, after every step."""
    run_state_machine_as_test(
        lambda: Comings(loop),  # type: ignore[arg-type]  # hypothesis takes any factory
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
