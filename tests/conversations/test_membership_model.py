"""Any sequence of comings and goings leaves every client with the truth.

A client that is connected knows what it fetched when it connected and what it was told since. After each step that
must equal the database, and the database must equal a model of a few lines.
"""

import asyncio
import os
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from conversations.models import Conversation, Member
from imcore.bridge import in_database
from imcore.models import Application
from imcore.protocol.message_pb2 import ConvCommand, OpType
from tests.conversations.talking import add, heard, look_up, query, refusal, remove, start
from tests.imclient import ImClient, InProcess, sign_in

# `IMCORE_MEMBERSHIP_EXAMPLES=1000` for a thorough run.
EXAMPLES = int(os.environ.get("IMCORE_MEMBERSHIP_EXAMPLES", "12"))
NAMES = ["a", "b", "ab", "c"]
names = st.sampled_from(NAMES)
some_names = st.lists(names, max_size=4)


@pytest.fixture(scope="session")
async def loop() -> asyncio.AbstractEventLoop:
    """The loop of the run. It stands still during a synchronous test, which may then run it."""
    return asyncio.get_running_loop()


class View:
    """What one connected client knows: the members of each conversation it is in."""

    def __init__(self, client: ImClient) -> None:
        self.client = client
        self.members: dict[str, set[str]] = {}

    async def fetch(self) -> None:
        """Look afresh, as after connecting."""
        self.members = {found["objectId"]: set(found["m"]) for found in await query(self.client, limit=100)}

    async def listen(self) -> None:
        """Take in what was told since, as an SDK does: a conversation one is new in is looked up."""
        for frame in await heard(self.client):
            body = frame.convMessage
            match frame.op:
                case OpType.joined:
                    self.members[body.cid] = set((await look_up(self.client, body.cid))["m"])
                case OpType.members_joined:
                    self.members[body.cid] |= set(body.m)
                case OpType.left:
                    del self.members[body.cid]
                case OpType.members_left:
                    self.members[body.cid] -= set(body.m)


class Comings(RuleBasedStateMachine):
    """Clients start conversations, add, remove, join, leave, connect and disconnect."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.loop = loop
        self.application: Application = self.run(in_database(lambda: Application.objects.create(name="model")))
        self.views: list[View] = []
        # The model: members by conversation, which of them are unique, and which one each member set leads to.
        self.members: dict[str, set[str]] = {}
        self.unique: set[str] = set()
        self.leads_to: dict[frozenset[str], str] = {}
        self.versions_seen: dict[str, tuple[int, set[str]]] = {}
        for name in NAMES:
            self.connect(name)

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
        return list(self.members)[number % len(self.members)]

    @precondition(lambda self: len(self.views) < 6)
    @rule(name=names)
    def connect(self, name: str) -> None:
        """A client comes, perhaps on a second device."""

        async def come() -> View:
            view = View(await sign_in(await InProcess.connect(), self.application.app_id, name))
            await view.fetch()
            return view

        self.views.append(self.run(come()))

    @precondition(lambda self: len(self.views) > 1)
    @rule(number=st.integers(0, 5))
    def disconnect(self, number: int) -> None:
        """A client goes. Before, it looks afresh: that makes no difference."""
        view = self.views.pop(number % len(self.views))
        told = view.members
        self.run(view.fetch())
        assert view.members == told
        self.run(view.client.wire.close())

    @rule(number=st.integers(0, 5), others=some_names, is_unique=st.booleans())
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
        assert reply.cid not in self.members
        self.members[reply.cid] = set(everybody)
        if is_unique:
            self.unique.add(reply.cid)
            self.leads_to[everybody] = reply.cid

    @precondition(lambda self: self.members)
    @rule(number=st.integers(0, 5), conversation=st.integers(0, 9), others=some_names, is_adding=st.booleans())
    def change(self, number: int, conversation: int, others: list[str], is_adding: bool) -> None:
        """A client adds or removes some, itself perhaps among them."""
        client, cid = self.client(number), self.cid(conversation)
        if not others or (client.client_id not in self.members[cid] and set(others) != {client.client_id}):
            refused = self.run(refusal(client, OpType.add if is_adding else OpType.remove, cid=cid, m=others))
            assert refused.code == (4317 if others else 4301)
            return

        reply: ConvCommand = self.run((add if is_adding else remove)(client, cid, *others))

        assert set(reply.allowedPids) == set(others)
        before = self.members[cid]
        self.set_members(cid, before | set(others) if is_adding else before - set(others))

    @precondition(lambda self: self.members)
    @rule(number=st.integers(0, 5), conversation=st.integers(0, 9), is_joining=st.booleans())
    def come_or_go(self, number: int, conversation: int, is_joining: bool) -> None:
        """A client joins or leaves."""
        self.change(number, conversation, [self.client(number).client_id], is_joining)

    def set_members(self, cid: str, members: set[str]) -> None:
        """Note a change in the model."""
        before, self.members[cid] = self.members[cid], members
        if cid not in self.unique or before == members:
            return
        if self.leads_to.get(frozenset(before)) == cid:
            del self.leads_to[frozenset(before)]
        self.leads_to.setdefault(frozenset(members), cid)

    @invariant()
    def database_agrees_with_the_model(self) -> None:
        """Members, their number, and a version that rises with every change and with nothing else."""
        for cid, (members, member_count, version) in self.run(in_database(self.rows)).items():
            assert (members, member_count) == (self.members[cid], len(self.members[cid]))
            known, known_members = self.versions_seen.get(cid, (0, set()))
            assert version > known if members != known_members else version == known
            self.versions_seen[cid] = (version, members)

    @invariant()
    def clients_agree_with_the_database(self) -> None:
        """Whoever is connected knows who is where."""
        for view in self.views:
            self.run(view.listen())
            client_id = view.client.client_id
            assert view.members == {cid: members for cid, members in self.members.items() if client_id in members}

    def rows(self) -> dict[str, tuple[set[str], int, int]]:
        """Return what the database has: members, their stored number, and the version, by conversation."""
        found = {
            one.pk: (one.object_id, set[str](), one.member_count, one.members_version)
            for one in Conversation.objects.filter(application=self.application)
        }
        for conversation, client_id in Member.objects.filter(application=self.application).values_list(
            "conversation_id", "client_id"
        ):
            found[conversation][1].add(client_id)
        return {cid: (members, member_count, version) for cid, members, member_count, version in found.values()}


def test_after_any_comings_and_goings_every_client_knows_the_truth(loop: asyncio.AbstractEventLoop) -> None:
    """What one was told and what one fetches afresh agree, after every step."""
    run_state_machine_as_test(
        lambda: Comings(loop),  # type: ignore[arg-type]  # hypothesis takes any factory
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=15,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
