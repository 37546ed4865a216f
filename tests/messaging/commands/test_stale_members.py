"""Members changed by another node: this one's memory is old, and only the database decides.

Another node is played by `members.add` and `members.remove`, called behind the back of this node's directory.
"""

from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from conversations.models import Block, Conversation
from conversations.policy import Kind, Roster
from conversations.services import directory
from conversations.storage import conversations, members, moderation, positions
from imcore.bridge import in_database
from imcore.models import Application
from imcore.protocol.message_pb2 import AckCommand, CommandType, ConvCommand, LogsCommand, OpType
from messaging.models import SysMessage
from messaging.services import sending
from messaging.storage import messages
from tests.conftest import SignIn
from tests.messaging.gate import Gate, together
from tests.messaging.storage.drafts import everybody
from tests.messaging.support import (
    attempt,
    frozen,
    heard,
    history,
    member,
    rows,
    say,
    started,
    stored_conversation,
    texts,
)

Elsewhere = Callable[..., Awaitable[None]]


def change(application: Application, conversation_id: str, *, add: tuple[str, ...], remove: tuple[str, ...]) -> None:
    """Change members in the database alone."""
    found = conversations.load(application=application.pk, object_id=conversation_id)
    assert found is not None
    if add:
        members.add(conversation=found.pk, judge=everybody(*add), by="", now_ms=0)
    if remove:
        members.remove(conversation=found.pk, judge=everybody(*remove), by="", now_ms=0)


@pytest.fixture
def elsewhere(application: Application) -> Elsewhere:
    """Change members as another node would: `await elsewhere(room, add=("mary",))`."""

    async def by_another_node(room: str, *, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()) -> None:
        await in_database(change, application, room, add=add, remove=remove)

    return by_another_node


@pytest.fixture
def monotonic(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The clock by which this node's memory ages; set `seconds`."""
    clock = SimpleNamespace(seconds=1000.0)
    monkeypatch.setattr(directory, "time", SimpleNamespace(monotonic=lambda: clock.seconds))
    return clock


async def test_a_sender_removed_by_another_node_is_refused_at_its_next_send(
    application: Application, signed_in: SignIn, elsewhere: Elsewhere
) -> None:
    """Checklist 53."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    await say(tom, room, "before")
    await elsewhere(room, remove=("tom",))

    refused = await attempt(tom, room, "after")

    assert (refused.code, refused.reason) == (4401, "INVALID_MESSAGING_TARGET")
    assert (await heard(jerry)).msg == "before"
    await jerry.nothing_more()
    assert await texts(jerry, room) == ["before"]


async def test_a_refused_message_leaves_no_gap(
    application: Application, signed_in: SignIn, elsewhere: Elsewhere
) -> None:
    """Checklist 53."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    await say(tom, room, "one")
    await elsewhere(room, remove=("tom",))

    await attempt(tom, room, "refused")
    await say(jerry, room, "two")

    assert [(row.seq, row.text) for row in await rows(room)] == [(1, "one"), (2, "two")]
    assert (await stored_conversation(room)).last_seq == 2
    assert (await member(room, "jerry")).own_since_read == 1


async def test_a_member_added_by_another_node_gets_the_next_message(
    application: Application, signed_in: SignIn, elsewhere: Elsewhere
) -> None:
    """Checklist 51."""
    room = await started(application, "tom", "jerry")
    tom, mary = await signed_in("tom"), await signed_in("mary")
    await say(tom, room, "before")
    await elsewhere(room, add=("mary",))

    ack = await say(tom, room, "after")

    assert (await heard(mary)).id == ack.uid
    assert await texts(mary, room) == ["before", "after"]


async def test_a_receiver_removed_by_another_node_gets_nothing_more(
    application: Application, signed_in: SignIn, elsewhere: Elsewhere
) -> None:
    """Checklist 51."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    await say(tom, room, "before")
    await heard(jerry)
    await elsewhere(room, remove=("jerry",))

    await say(tom, room, "after")

    await jerry.nothing_more()


async def test_a_sender_added_by_another_node_may_send(
    application: Application, signed_in: SignIn, elsewhere: Elsewhere
) -> None:
    """Checklist 53."""
    room = await started(application, "tom", "jerry")
    mary, jerry = await signed_in("mary"), await signed_in("jerry")
    assert (await attempt(mary, room, "too early")).code == 4401
    await elsewhere(room, add=("mary",))

    ack = await say(mary, room, "thanks")

    assert (await heard(jerry)).id == ack.uid
    assert (await member(room, "mary")).own_since_read == 1


async def test_who_left_and_came_back_behind_this_nodes_back_may_send(
    application: Application, signed_in: SignIn, elsewhere: Elsewhere
) -> None:
    """Checklist 53."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    await say(tom, room, "one")
    await elsewhere(room, remove=("tom",))
    await elsewhere(room, add=("tom",))

    await say(tom, room, "two")

    assert [(await heard(jerry)).msg for _ in range(2)] == ["one", "two"]
    assert (await member(room, "tom")).own_since_read == 1


async def test_members_that_change_while_a_batch_waits_are_checked_one_by_one(
    application: Application, signed_in: SignIn, elsewhere: Elsewhere, store_gate: Gate
) -> None:
    """Checklist 53: of one batch, who was removed is refused and the others are stored, without a gap."""
    room = await started(application, "tom", "jerry", "mary", "anna")
    tom, jerry, mary, anna, paul = [await signed_in(name) for name in ("tom", "jerry", "mary", "anna", "paul")]

    async def change_then_send() -> AckCommand:
        await elsewhere(room, remove=("jerry",), add=("paul",))
        return await attempt(anna, room, "third")

    acks = await together(
        store_gate,
        attempt(tom, room, "first"),
        attempt(jerry, room, "refused"),
        attempt(mary, room, "second"),
        change_then_send(),
    )

    assert store_gate.batches == [1, 3]
    assert [ack.code for ack in acks] == [0, 4401, 0, 0]
    assert [(row.seq, row.text) for row in await rows(room)] == [(1, "first"), (2, "second"), (3, "third")]
    assert [(await heard(paul)).msg for _ in range(3)] == ["first", "second", "third"]
    await jerry.nothing_more()


async def test_members_that_never_stop_changing_fail_the_send_in_the_end(
    application: Application, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checklist 53: the store gives up after a bounded number of tries, and nothing is stored."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    tries = 0

    def changing(**arguments: Any) -> dict[int, Roster]:
        nonlocal tries
        tries += 1
        found = {pk: Roster("tom", ("tom", "jerry"), tries) for pk in arguments["conversations"]}
        Conversation.objects.filter(object_id=room).update(members_version=tries + 1000)
        return found

    await in_database(lambda: Conversation.objects.filter(object_id=room).update(members_version=1000))
    monkeypatch.setattr(positions, "rosters", changing)

    ack = await attempt(tom, room, "hello")

    assert ack.HasField("code")
    assert tries == messages.TRIES
    assert await rows(room) == []
    await jerry.nothing_more()


async def test_a_deleted_conversation_is_unknown(application: Application, signed_in: SignIn) -> None:
    """Checklist 53: at the first send after another node deleted it, and at those that follow."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    await say(tom, room, "before")
    await heard(jerry)
    await in_database(lambda: Conversation.objects.filter(object_id=room).delete())

    acks = [await attempt(tom, room, "after"), await attempt(tom, room, "again")]

    assert [(ack.code, ack.reason) for ack in acks] == [(4303, "CONVERSATION_NOT_FOUND")] * 2
    await jerry.nothing_more()


async def test_an_expired_temporary_conversation_is_unknown(application: Application, signed_in: SignIn) -> None:
    """Checklist 28, 53: JavaScript turns an ack of 4303 into 4323 itself, and no other."""
    with frozen() as clock:
        room = await started(application, "tom", "jerry", kind=Kind.TEMPORARY, ttl_seconds=60)
        tom, jerry = await signed_in("tom"), await signed_in("jerry")
        clock.at_ms += 59_999
        await say(tom, room, "in time")
        await heard(jerry)
        clock.at_ms += 1

        acks = [await attempt(tom, room, "too late"), await attempt(tom, room, "typing…", transient=True)]

    assert [(ack.code, ack.reason) for ack in acks] == [(4303, "CONVERSATION_NOT_FOUND")] * 2
    await jerry.nothing_more()


async def test_a_transient_message_goes_to_the_members_of_this_moment(
    application: Application, signed_in: SignIn
) -> None:
    """Checklist 55: a change made here is obeyed at once."""
    room = await started(application, "tom", "jerry")
    tom, jerry, mary = await signed_in("tom"), await signed_in("jerry"), await signed_in("mary")
    await say(tom, room, "typing…", transient=True)
    await heard(jerry)

    await tom.request(CommandType.conv, OpType.add, convMessage=ConvCommand(cid=room, m=["mary"]))
    await tom.request(CommandType.conv, OpType.remove, convMessage=ConvCommand(cid=room, m=["jerry"]))
    ack = await say(tom, room, "typing…", transient=True)

    assert [(await mary.next_notice()).op for _ in range(3)] == [
        OpType.joined,
        OpType.members_joined,
        OpType.members_left,
    ]
    assert (await heard(mary)).id == ack.uid
    assert [(await jerry.next_notice()).op for _ in range(2)] == [OpType.members_joined, OpType.left]
    await jerry.nothing_more()


async def test_a_transient_message_trusts_this_nodes_memory_for_a_few_seconds_only(
    application: Application, signed_in: SignIn, elsewhere: Elsewhere, monotonic: SimpleNamespace
) -> None:
    """Checklist 55."""
    room = await started(application, "tom", "jerry")
    tom, jerry, mary = await signed_in("tom"), await signed_in("jerry"), await signed_in("mary")
    await elsewhere(room, add=("mary",), remove=("jerry", "tom"))

    monotonic.seconds += sending.TRANSIENT_MAX_AGE_SECONDS - 0.001
    within = await attempt(tom, room, "typing…", transient=True)
    monotonic.seconds += 0.001
    after = await attempt(tom, room, "typing…", transient=True)

    assert not within.HasField("code")
    assert after.code == 4401
    await heard(jerry)
    await jerry.nothing_more()
    await mary.nothing_more()


async def test_history_is_refused_at_once_to_whom_another_node_removed(
    application: Application, signed_in: SignIn, elsewhere: Elsewhere
) -> None:
    """Checklist 63."""
    room = await started(application, "tom", "jerry")
    tom, mary = await signed_in("tom"), await signed_in("mary")
    await say(tom, room, "hello")
    await elsewhere(room, remove=("tom",), add=("mary",))

    reply = await tom.request(CommandType.logs, logsMessage=LogsCommand(cid=room))

    assert (reply.cmd, reply.errorMessage.code) == (CommandType.error, 4312)
    assert [item.data for item in await history(mary, room)] == ["hello"]


async def test_a_sender_silenced_by_another_node_is_refused_at_its_next_send(
    application: Application, signed_in: SignIn
) -> None:
    """Checklist 46: and heard again at the first after it was let speak there."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    await say(jerry, room, "before")
    await heard(tom)

    await silence_elsewhere(application, room, "jerry", is_silenced=True)
    refused = [await attempt(jerry, room, "during"), await attempt(jerry, room, "during")]
    await silence_elsewhere(application, room, "jerry", is_silenced=False)
    ack = await say(jerry, room, "after")

    assert [(one.code, one.reason) for one in refused] == [(4563, "SILIENCED")] * 2
    assert (await heard(tom)).id == ack.uid
    assert await texts(jerry, room) == ["before", "after"]


async def test_a_silence_that_begins_while_a_batch_waits_is_obeyed(
    application: Application, signed_in: SignIn, store_gate: Gate
) -> None:
    """Checklist 46: of one batch, the silenced is refused and the others are stored, without a gap."""
    room = await started(application, "tom", "jerry", "mary")
    tom, jerry, mary = [await signed_in(name) for name in ("tom", "jerry", "mary")]

    async def silence_then_send() -> AckCommand:
        await silence_elsewhere(application, room, "jerry", is_silenced=True)
        return await attempt(mary, room, "second")

    acks = await together(store_gate, attempt(tom, room, "first"), attempt(jerry, room, "refused"), silence_then_send())

    assert [ack.code for ack in acks] == [0, 4563, 0]
    assert [(row.seq, row.text) for row in await rows(room)] == [(1, "first"), (2, "second")]


async def test_whom_another_node_removed_is_no_member_here(
    application: Application, signed_in: SignIn, elsewhere: Elsewhere
) -> None:
    """4.5: `is_member` asks the database, however well this node remembers."""
    room = await started(application, "tom", "jerry")
    tom = await signed_in("tom")
    await say(tom, room, "before")
    await elsewhere(room, remove=("tom",))

    answer = await tom.request(CommandType.conv, OpType.is_member, convMessage=ConvCommand(cids=[room]))

    assert answer.convMessage.results.data == f'{{"{room}":false}}'


async def test_whom_another_node_blocked_sends_to_a_system_conversation_for_a_few_seconds_only(
    application: Application, signed_in: SignIn, monotonic: SimpleNamespace
) -> None:
    """Checklist 47: what goes upstream is stored without a look at the lists, so memory must be young."""
    tom = await signed_in("tom")
    service = await in_database(
        lambda: Conversation.objects.create(
            application=application, object_id="service", kind=Kind.SYSTEM, created_ms=0, updated_ms=0
        )
    )
    await say(tom, "service", "before")

    def block() -> None:
        Block.objects.create(conversation=service, application=application, client_id="tom", created_ms=0)
        Conversation.objects.filter(pk=service.pk).update(has_blocked=True, members_version=2)

    await in_database(block)
    monotonic.seconds += sending.TRANSIENT_MAX_AGE_SECONDS
    refused = await attempt(tom, "service", "after")

    assert (refused.code, refused.reason) == (4548, "BLOCKED_BY_CONV")
    assert await in_database(lambda: SysMessage.objects.filter(conversation_id=service.pk).count()) == 1


async def silence_elsewhere(
    application: Application, conversation_id: str, client_id: str, *, is_silenced: bool
) -> None:
    """Silence a member, or let it speak, as another node would."""

    def change() -> None:
        found = conversations.load(application=application.pk, object_id=conversation_id)
        assert found is not None
        if is_silenced:
            moderation.silence(conversation=found.pk, judge=everybody(client_id), by="", until_ms=None, now_ms=0)
        else:
            moderation.unsilence(conversation=found.pk, judge=everybody(client_id), by="", now_ms=0)

    await in_database(change)
