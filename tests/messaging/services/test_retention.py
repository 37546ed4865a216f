"""What an application does not keep: old messages, inactive conversations, temporary ones past their time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from django.db.models import F

from conversations.models import Conversation, ConversationSettings, DeletedConversation, Member
from conversations.policy import Kind
from conversations.services import directory
from conversations.storage import retention as conversations_storage
from imcore.bridge import in_database
from imcore.identifiers import now_ms
from imcore.models import Application
from imcore.protocol.message_pb2 import OpType
from messaging.models import Message, MessagingSettings, SysMessage
from messaging.services import retention
from messaging.services.retention import Outcome
from tests.conftest import SignIn
from tests.conversations.talking import add, query, refusal, start
from tests.messaging.support import Imported, attempt, import_messages, member, rows, say, started, texts

DAY = 86_400_000
ObeySettings = Callable[..., Awaitable[None]]


@pytest.fixture(autouse=True)
async def kept_for_ever(obey_settings: ObeySettings) -> None:
    """Start from an application that keeps everything."""
    await obey_settings(MessagingSettings, message_retention_days=0)
    await obey_settings(ConversationSettings, inactive_conversation_days=0)


@pytest.fixture
def keep(obey_settings: ObeySettings) -> Callable[..., Awaitable[None]]:
    """Set how many days messages and inactive conversations are kept."""

    async def change(*, messages: int = 0, conversations: int = 0) -> None:
        await obey_settings(MessagingSettings, message_retention_days=messages)
        await obey_settings(ConversationSettings, inactive_conversation_days=conversations)

    return change


async def apply(application: Application, *, is_dry_run: bool = False, at_ms: int | None = None) -> tuple[int, int]:
    """Apply retention; return how many messages and conversations are, or would be, deleted."""
    [snapshot] = await retention.applications(application.app_id)
    outcome = await retention.apply(
        application=snapshot, now_ms=now_ms() if at_ms is None else at_ms, is_dry_run=is_dry_run
    )
    return outcome.messages, outcome.conversations


async def everything(application: Application) -> list[Any]:
    """Return all rows that retention may touch, to be compared."""

    def load() -> list[Any]:
        of_it = {"application": application}
        return [
            list(model._default_manager.filter(**of_it).order_by("pk").values())
            for model in (Conversation, Member, Message, SysMessage, DeletedConversation)
        ]

    return await in_database(load)


async def aged(application: Application, cid: str, days: int) -> None:
    """Make a conversation one that was last touched days ago, its messages included."""
    past = days * DAY

    def change() -> None:
        of_it = Conversation.objects.filter(application=application, object_id=cid)
        number = of_it.get().pk
        of_it.update(updated_ms=F("updated_ms") - past, last_message_ms=F("last_message_ms") - past)
        Message.objects.filter(conversation_id=number).update(timestamp_ms=F("timestamp_ms") - past)

    await in_database(change)


async def imported(cid: str, *ages_in_days: float, sender: str = "tom") -> None:
    """Import messages of these ages, named by them."""
    now = now_ms()
    await import_messages(
        cid, [Imported(f"{age}", now - int(age * DAY), f"{age} days", sender) for age in ages_in_days]
    )


async def number_of(cid: str) -> int:
    """Return the number that messages of a conversation go by."""
    return (await in_database(lambda: Conversation.objects.get(object_id=cid))).pk


async def texts_of(number: int) -> list[str | None]:
    """Return the bodies of all messages that go by the number of a conversation, whether there is one or not."""
    return await in_database(
        lambda: [row.text for row in Message.objects.filter(conversation_id=number).order_by("seq")]
    )


async def unread(cid: str, client_id: str) -> int:
    """Return what is unread for a member (architecture 3.12)."""
    row = await member(cid, client_id)
    conversation = await in_database(lambda: Conversation.objects.get(object_id=cid))
    return conversation.last_seq - row.read_seq - row.own_since_read


Keep = Callable[..., Awaitable[None]]


async def test_messages_older_than_the_retention_are_deleted(
    application: Application, signed_in: SignIn, keep: Keep
) -> None:
    """In every kind of conversation; younger ones stay, and history shows just them."""
    await keep(messages=10)
    cids = [
        await started(application, "tom", "jerry"),
        (await start(await signed_in("tom"), transient=True)).cid,
        await started(application, "tom", kind=Kind.TEMPORARY),
    ]
    for cid in cids:
        await imported(cid, 400, 11, 10.01, 9.9, 1)

    assert await apply(application, is_dry_run=True) == (9, 0)
    assert await apply(application) == (9, 0)

    for cid in cids:
        assert [row.text for row in await rows(cid)] == ["9.9 days", "1 days"]
    assert await texts(await signed_in("tom"), cids[0]) == ["9.9 days", "1 days"]


async def test_zero_days_keep_everything(application: Application, keep: Keep) -> None:
    """For ever."""
    await keep()
    cid = await started(application, "tom")
    await imported(cid, 10_000, 1)
    await aged(application, cid, 10_000)
    before = await everything(application)

    assert await apply(application, is_dry_run=True) == (0, 0)
    assert await apply(application) == (0, 0)
    assert await everything(application) == before


async def test_another_application_keeps_what_it_wants(application: Application, keep: Keep) -> None:
    """Each by its own settings."""
    await keep(messages=10, conversations=10)
    other = await in_database(lambda: Application.objects.create(name="the neighbour"))
    await in_database(lambda: MessagingSettings.objects.create(application=other, message_retention_days=0))
    await in_database(lambda: ConversationSettings.objects.create(application=other, inactive_conversation_days=0))
    cid = await started(other, "tom")
    await imported(cid, 400)
    await aged(other, cid, 400)

    assert await apply(application) == (0, 0)
    assert await apply(other) == (0, 0)
    assert len(await rows(cid)) == 1


async def test_more_than_a_batch_and_more_than_a_page_go_too(
    application: Application, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every transaction is bounded, whatever there is to do."""
    await keep(messages=10, conversations=30)
    monkeypatch.setattr(retention, "BATCH", 3)
    monkeypatch.setattr("conversations.services.retention.PAGE", 2)
    monkeypatch.setattr("conversations.services.retention.DELETE_BATCH", 1)
    cids = [await started(application, "tom", f"member {number}") for number in range(5)]
    for cid in cids:
        await imported(cid, *range(100, 107), 1)
    for cid in cids[1:4]:
        await aged(application, cid, 50)
    dry = await apply(application, is_dry_run=True)

    assert await apply(application) == dry == (2 * 7 + 3 * 8, 3)
    assert [len(await rows(cid)) for cid in (cids[0], cids[4])] == [1, 1]


async def test_a_dry_run_changes_nothing_and_a_second_run_finds_nothing(application: Application, keep: Keep) -> None:
    """And counts what the run then deletes."""
    await keep(messages=10, conversations=30)
    for days in (0, 5, 31):
        cid = await started(application, "tom", "jerry")
        await imported(cid, 40, 3)
        await aged(application, cid, days)
    await started(application, "tom", kind=Kind.TEMPORARY, ttl_seconds=1)
    later = now_ms() + 2000
    before = await everything(application)

    dry = await apply(application, is_dry_run=True, at_ms=later)
    assert await everything(application) == before

    assert await apply(application, at_ms=later) == dry == (4, 2)
    after = await everything(application)
    assert await apply(application, at_ms=later) == (0, 0)
    assert await everything(application) == after


async def test_messages_to_a_system_conversation_are_kept_as_long_as_others(
    application: Application, keep: Keep
) -> None:
    """Rows of `_SysMessage`; the conversation itself is never inactive."""
    await keep(messages=10, conversations=10)

    def store() -> None:
        for age in (11, 9):
            SysMessage.objects.create(
                message_id=f"{application.pk}-{age}", application=application, conversation_id=1,
                timestamp_ms=now_ms() - age * DAY, sender="tom", text=f"{age} days",
            )  # fmt: skip

    await in_database(store)

    assert await apply(application, is_dry_run=True) == (1, 0)
    assert await apply(application) == (1, 0)

    left = await in_database(lambda: [row.text for row in SysMessage.objects.filter(application=application)])
    assert left == ["9 days"]


async def test_what_was_deleted_is_not_unread(application: Application, keep: Keep) -> None:
    """Only what can still be read counts, for each member by what it has read and written itself."""
    await keep(messages=10)
    cid = await started(application, "tom", "jerry", "mary")
    await imported(cid, 40, 39, 38, 3, 2, sender="tom")
    await imported(cid, 1, sender="jerry")

    def read() -> None:
        members = Member.objects.filter(conversation__object_id=cid)
        members.filter(client_id="tom").update(own_since_read=5)
        members.filter(client_id="jerry").update(own_since_read=1)
        members.filter(client_id="mary").update(read_seq=4)

    await in_database(read)
    assert [await unread(cid, name) for name in ("tom", "jerry", "mary")] == [1, 5, 2]

    await apply(application)

    assert [await unread(cid, name) for name in ("tom", "jerry", "mary")] == [1, 2, 2]
    assert (await member(cid, "tom")).own_since_read == 2
    assert (await member(cid, "mary")).read_seq == 4


async def test_a_recalled_message_that_was_deleted_is_not_counted_any_more(
    application: Application, keep: Keep
) -> None:
    """Recalled messages behind the read mark are among those that are not unread, whoever sent them."""
    await keep(messages=10)
    cid = await started(application, "tom", "jerry")
    await imported(cid, 40, 39, 3, 2, sender="tom")

    def recall() -> None:
        """Recall the first and the third, as `patch` would: for jerry, they are not unread any more."""
        recalled = Message.objects.filter(conversation_id=Conversation.objects.get(object_id=cid).pk, seq__in=(1, 3))
        recalled.update(is_recalled=True)
        members = Member.objects.filter(conversation__object_id=cid)
        members.filter(client_id="tom").update(own_since_read=4)
        members.filter(client_id="jerry").update(own_since_read=2)

    await in_database(recall)
    assert [await unread(cid, name) for name in ("tom", "jerry")] == [0, 2]

    await apply(application)

    assert [await unread(cid, name) for name in ("tom", "jerry")] == [0, 1]
    assert [(await member(cid, name)).own_since_read for name in ("tom", "jerry")] == [2, 1]


async def test_unread_is_never_negative_whatever_is_deleted_when(
    application: Application, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batch after batch, with members who have read some of a batch."""
    monkeypatch.setattr(retention, "BATCH", 2)
    cid = await started(application, "tom", "jerry")
    for age in range(40, 30, -1):
        await imported(cid, age, sender="tom" if age % 3 else "jerry")
    seqs = {name: [row.seq for row in await rows(cid) if row.sender == name] for name in ("tom", "jerry")}

    def read(name: str, upto: int) -> None:
        own = sum(seq > upto for seq in seqs[name])
        Member.objects.filter(conversation__object_id=cid, client_id=name).update(read_seq=upto, own_since_read=own)

    await in_database(read, "tom", 0)
    await in_database(read, "jerry", 5)

    for days in range(39, 29, -1):
        await keep(messages=days)
        await apply(application)
        left = await rows(cid)
        for name in ("tom", "jerry"):
            marks = await member(cid, name)
            assert await unread(cid, name) == sum(row.seq > marks.read_seq and row.sender != name for row in left)
    assert left == []
    assert [await unread(cid, name) for name in ("tom", "jerry")] == [0, 0]


async def test_a_mention_that_was_deleted_mentions_nobody(
    application: Application, signed_in: SignIn, keep: Keep
) -> None:
    """*Mentioned* is a mark above what was read, and that moves past what is deleted."""
    await keep(messages=10)
    cid = await started(application, "tom", "jerry")
    await say(await signed_in("tom"), cid, "you!", mentionPids=["jerry"])
    await aged(application, cid, 11)

    await apply(application)

    marks = await member(cid, "jerry")
    assert marks.mentioned_seq == marks.read_seq == 1


async def test_a_conversation_nobody_uses_is_deleted_with_its_messages(
    application: Application, signed_in: SignIn, keep: Keep
) -> None:
    """A send gets 4401, other commands 4303, and queries find nothing (limits-settings-conflicts 4)."""
    cid, kept = await started(application, "tom", "jerry"), await started(application, "tom", "mary")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    for each in (cid, kept):
        await say(tom, each, "hello")
    number = await number_of(cid)
    await keep(conversations=180)
    await aged(application, cid, 181)
    await aged(application, kept, 179)

    assert await apply(application, is_dry_run=True) == (1, 1)
    assert await apply(application) == (1, 1)

    assert await texts_of(number) == []
    for client in (tom, await signed_in("spike")):
        for fields in ({}, {"transient": True}):
            refused = await attempt(client, cid, "anybody?", **fields)
            assert (refused.code, refused.reason) == (4401, "INVALID_MESSAGING_TARGET")
    for op in (OpType.add, OpType.remove, OpType.count, OpType.members):
        assert (await refusal(tom, op, cid=cid, m=["tom"])).code == 4303
    assert await query(tom, {"objectId": cid}) == []
    assert [found["objectId"] for found in await query(jerry)] == []
    assert [found["objectId"] for found in await query(tom)] == [kept]
    await say(tom, kept, "still here")


async def test_a_server_that_remembers_a_deleted_conversation_says_4401_too(
    application: Application, signed_in: SignIn, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It finds out when it stores; another process has deleted it."""
    cid = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    await say(tom, cid, "hello")
    await jerry.next_notice()
    await keep(conversations=180)
    await aged(application, cid, 181)
    with monkeypatch.context() as patched:
        patched.setattr(directory, "forget", lambda **_: None)
        await apply(application)

    assert (await attempt(tom, cid, "anybody?")).code == 4401
    assert (await attempt(tom, cid, "anybody?")).code == 4401
    await jerry.nothing_more()


async def test_an_id_that_never_was_is_4303(application: Application, signed_in: SignIn) -> None:
    """Nor is another application's deleted one known here."""
    tom = await signed_in("tom")
    other = await in_database(lambda: Application.objects.create(name="the neighbour"))
    await in_database(
        lambda: DeletedConversation.objects.create(application=other, object_id=f"theirs-{other.pk}", deleted_ms=1)
    )

    for cid in ("0123456789abcdef01234567", f"theirs-{other.pk}", "", "\0", "x" * 65):
        assert (await attempt(tom, cid, "hello")).code == 4303


@pytest.mark.parametrize("kind", [Kind.CHAT_ROOM, Kind.SYSTEM])
async def test_only_normal_conversations_are_ever_inactive(application: Application, keep: Keep, kind: Kind) -> None:
    """Chat rooms and system conversations belong to the application."""
    cid = await started(application, "tom")
    await in_database(lambda: Conversation.objects.filter(object_id=cid).update(kind=kind))
    await keep(conversations=1)
    await aged(application, cid, 1000)

    assert await apply(application, is_dry_run=True) == (0, 0)
    assert await apply(application) == (0, 0)
    assert await in_database(lambda: Conversation.objects.filter(object_id=cid).exists())


async def test_a_message_or_a_change_keeps_a_conversation(
    application: Application, signed_in: SignIn, keep: Keep
) -> None:
    """Either is enough."""
    talked_in, changed = await started(application, "tom"), await started(application, "tom")
    for cid in (talked_in, changed):
        await aged(application, cid, 1000)
    tom = await signed_in("tom")
    await say(tom, talked_in, "hello")
    await add(tom, changed, "jerry")
    await keep(conversations=1)

    assert await apply(application) == (0, 0)


async def test_a_conversation_that_is_sent_to_in_the_last_moment_stays(application: Application, keep: Keep) -> None:
    """What the page said is looked at again under the lock."""
    cid = await started(application, "tom")
    await keep(conversations=1)
    await aged(application, cid, 1000)
    row = await in_database(lambda: Conversation.objects.get(object_id=cid))
    await aged(application, cid, -1000)

    deleted = await in_database(
        conversations_storage.delete, numbers=[row.pk], inactive_since_ms=now_ms() - DAY, now_ms=now_ms()
    )

    assert deleted == []
    assert await in_database(lambda: Conversation.objects.filter(object_id=cid).exists())


async def test_an_expired_conversation_leaves_nothing_behind(application: Application, signed_in: SignIn) -> None:
    """Neither messages nor its id: a send to it gets 4303, as before the clean-up."""
    cid = await started(application, "tom", kind=Kind.TEMPORARY, ttl_seconds=60)
    tom = await signed_in("tom")
    await say(tom, cid, "hello")
    number = await number_of(cid)
    # What tests of other applications have left behind goes first.
    await retention.delete_expired(now_ms=now_ms())

    # Other tests' may be over already.
    await retention.delete_expired(now_ms=now_ms())
    assert await in_database(lambda: Conversation.objects.filter(object_id=cid).exists())
    assert await retention.delete_expired(now_ms=now_ms() + 61_000) >= 1
    assert await retention.delete_expired(now_ms=now_ms() + 61_000) == 0

    assert await texts_of(number) == []
    assert not await in_database(lambda: DeletedConversation.objects.filter(object_id=cid).exists())
    directory.forget(application=application.pk, conversation_id=cid)
    assert (await attempt(tom, cid, "hello?")).code == 4303


async def test_a_run_that_was_interrupted_is_finished_by_the_next(
    application: Application, signed_in: SignIn, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between deleting a conversation and its messages: none is orphaned for good, and a dry run knows."""
    cid = await started(application, "tom", "jerry")
    for number in range(3):
        await say(await signed_in("tom"), cid, f"{number}")
    number = await number_of(cid)
    await keep(conversations=1)
    await aged(application, cid, 2)
    with monkeypatch.context() as patched:
        patched.setattr(retention, "_messages", killed)
        with pytest.raises(ConnectionAbortedError):
            await apply(application)
    assert len(await texts_of(number)) == 3

    assert await apply(application, is_dry_run=True) == (3, 0)
    assert await apply(application) == (3, 0)

    assert await texts_of(number) == []


async def killed(*args: object) -> int:
    """End as a process that is killed would."""
    raise ConnectionAbortedError


async def test_a_purge_loses_no_message_that_is_sent_meanwhile(
    application: Application, signed_in: SignIn, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two purges at a time, in small batches, while members talk: what was acknowledged is there, and counted right."""
    monkeypatch.setattr(retention, "BATCH", 7)
    cid = await started(application, "tom", "jerry")
    await imported(cid, *range(300, 100, -1), sender="tom")
    await in_database(
        lambda: Member.objects.filter(conversation__object_id=cid, client_id="tom").update(own_since_read=200)
    )
    await keep(messages=10)
    clients = [await signed_in(name) for name in ("tom", "jerry")]

    async def talk(client: Any) -> list[str]:
        return [(await say(client, cid, f"{client.client_id} {number}")).uid for number in range(40)]

    by_tom, by_jerry, first, second = await asyncio.gather(
        talk(clients[0]), talk(clients[1]), apply(application), apply(application)
    )

    left = await rows(cid)
    assert {row.message_id for row in left} == {*by_tom, *by_jerry}
    assert [row.seq for row in left] == list(range(201, 281))
    assert first[0] + second[0] >= 200
    assert [await unread(cid, name) for name in ("tom", "jerry")] == [40, 40]


async def test_sends_to_a_conversation_that_is_deleted_meanwhile_are_stored_with_it_or_refused(
    application: Application, signed_in: SignIn, keep: Keep
) -> None:
    """Never acknowledged and lost, never orphaned: the send or the deletion comes first."""
    await keep(conversations=1)
    tom = await signed_in("tom")
    for _ in range(10):
        cid = await started(application, "tom")
        await say(tom, cid, "old")
        await aged(application, cid, 2)
        number = await number_of(cid)

        ack, _ = await asyncio.gather(attempt(tom, cid, "new"), apply(application))

        assert await texts_of(number) == ([] if ack.HasField("code") else ["old", "new"])
        assert ack.code in (0, 4401)


async def test_progress_is_told_page_by_page(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a long run can be watched."""
    monkeypatch.setattr("conversations.services.retention.PAGE", 2)
    for number in range(5):
        await started(application, "tom", f"member {number}")
    [snapshot] = await retention.applications(application.app_id)
    looked_at: list[int] = []

    def tell(outcome: Outcome) -> None:
        looked_at.append(outcome.looked_at)

    await retention.apply(application=snapshot, now_ms=now_ms(), progress=tell)

    assert looked_at == [2, 4, 5]
