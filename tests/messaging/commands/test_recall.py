"""Recalling a message, as its author and the others see it."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from conversations.models import ConversationSettings
from imcore.models import Application
from imcore.protocol.message_pb2 import OpType
from messaging.message_types import RECALLED, RECALLED_BODY
from tests.conftest import SignIn
from tests.conversations.moderating import silence_until
from tests.conversations.rooming import block, room_of
from tests.conversations.talking import answer, query, remove
from tests.imclient import CONFIG_BITMAP, InProcess
from tests.messaging.patching import edit, hears_count, hears_patch, patch, read_all, recall, recall_of, unread, whole
from tests.messaging.support import heard, history, rows, say, started

pytestmark = pytest.mark.usefixtures("patches_enabled")

TEXT = '{"_lctype":-1,"_lctext":"hello"}'


@pytest.mark.parametrize("body", [{"msg": TEXT}, {"binaryMsg": b"\0\xff"}])
async def test_a_recall_is_told_with_flag_and_body(
    application: Application, signed_in: SignIn, body: dict[str, Any]
) -> None:
    """Checklist 65: some SDKs look at the one, some at the other. Own other devices are told, the acting one not."""
    room = await started(application, "tom", "jerry")
    phone, tablet = await signed_in("tom", deviceId="phone"), await signed_in("tom", deviceId="tablet")
    jerry, mary = await signed_in("jerry"), await signed_in("mary")
    ack = await say(phone, room, mentionPids=["jerry"], mentionAll=True, **body)
    await heard(tablet)
    await heard(jerry)

    at_ms = await patch(phone, recall_of(room, ack, data=b"a body of its own", mentionPids=["jerry"], mentionAll=True))

    for other in (tablet, jerry):
        item = await hears_patch(other)
        assert {field.name for field, _ in item.ListFields()} == {
            "cid", "mid", "timestamp", "recall", "data", "patchTimestamp", "from",
        }  # fmt: skip
        assert (item.cid, item.mid, item.timestamp, getattr(item, "from")) == (room, ack.uid, ack.t, "tom")
        assert (item.recall, item.data.decode(), item.patchTimestamp) == (True, RECALLED_BODY, at_ms)
    assert (await hears_count(jerry)).unread == 0
    for client in (phone, tablet, jerry, mary):
        await client.nothing_more()


async def test_a_recalled_message_reads_so_everywhere(application: Application, signed_in: SignIn) -> None:
    """Checklist 65: in history, by its type as well, as the last message, and with the count of what is unread."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    for _ in range(2):
        ack = await say(tom, room, TEXT, mentionPids=["jerry"])
        await heard(jerry)

    at_ms = await recall(tom, room, ack)

    await hears_patch(jerry)
    counted = await hears_count(jerry)
    assert (counted.unread, counted.mid, counted.data, counted.patchTimestamp) == (1, ack.uid, RECALLED_BODY, at_ms)
    assert (counted.timestamp, getattr(counted, "from"), counted.mentioned) == (ack.t, "tom", True)
    items = await history(jerry, room)
    assert [item.data for item in items] == [TEXT, RECALLED_BODY]
    assert (items[1].timestamp, items[1].patchTimestamp, list(items[1].mentionPids)) == (ack.t, at_ms, [])
    assert [item.msgId for item in await history(jerry, room, lctype=RECALLED)] == [ack.uid]
    assert [item.data for item in await history(jerry, room, lctype=-1)] == [TEXT]
    [shown] = await query(jerry, {"objectId": room}, flag=2)
    assert (shown["msg"], shown["patch_timestamp"]) == (RECALLED_BODY, at_ms)
    assert not shown.keys() & {"mention_all", "mention_pids"}


async def test_recalling_an_unread_message_lowers_the_count_of_those_who_have_not_read_it(
    application: Application, signed_in: SignIn
) -> None:
    """Checklist 60, 65: each of them is told the new one, on every device; the others are not."""
    room = await started(application, "tom", "jerry", "mary", "paul")
    tom, mary = await signed_in("tom"), await signed_in("mary")
    one, two = await signed_in("jerry", deviceId="one"), await signed_in("jerry", deviceId="two")
    first = await say(tom, room, "one")
    await read_all(room, "mary")
    await say(tom, room, "two", mentionPids=["jerry"])
    await say(mary, room, "three")
    for other in (one, two):
        for _ in range(3):
            await heard(other)
    for _ in range(2):
        await heard(mary)
    await heard(tom)
    before = await unread(room)

    await recall(tom, room, first)

    assert before == {"tom": (1, False), "jerry": (3, True), "mary": (1, False), "paul": (3, False)}
    assert await unread(room) == {"tom": (1, False), "jerry": (2, True), "mary": (1, False), "paul": (2, False)}
    for other in (one, two):
        await hears_patch(other)
        counted = await hears_count(other)
        assert (counted.cid, counted.unread, counted.mentioned) == (room, 2, True)
        await other.nothing_more()
    await hears_patch(mary)
    await mary.nothing_more()
    await tom.nothing_more()


async def test_what_mentioned_somebody_does_not_once_it_is_recalled(
    application: Application, signed_in: SignIn
) -> None:
    """Checklist 57, 65: of several that mention him, the last one there is counts."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    one = await say(tom, room, "@jerry", mentionPids=["jerry"])
    two = await say(tom, room, "@jerry", mentionPids=["jerry"])
    everybody = await say(tom, room, "@all", mentionAll=True)
    own = await say(jerry, room, "@jerry @all", mentionPids=["jerry"], mentionAll=True)

    said = []
    for author, ack in ((tom, two), (tom, everybody), (tom, one), (jerry, own)):
        await recall(author, room, ack)
        said.append(await unread(room))

    assert [of["jerry"] for of in said] == [(2, True), (1, True), (0, False), (0, False)]
    assert [of["tom"] for of in said] == [(1, True), (1, True), (1, True), (0, False)]


async def test_recalling_again_is_answered_with_the_first_time_and_nobody_is_told(
    application: Application, signed_in: SignIn
) -> None:
    """Checklist 65: as when the first answer was lost."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    ack = await say(tom, room, "oops")
    await heard(jerry)
    first_ms = await recall(tom, room, ack)
    await hears_patch(jerry)
    await hears_count(jerry)
    before = await whole(room)

    again_ms = await recall(tom, room, ack)
    twice_ms = await patch(tom, recall_of(room, ack), recall_of(room, ack))

    assert first_ms == again_ms == twice_ms
    assert await whole(room) == before
    await jerry.nothing_more()


async def test_a_message_recalled_twice_in_one_command_is_told_once(
    application: Application, signed_in: SignIn
) -> None:
    """Checklist 65: and counted once."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    ack = await say(tom, room, "oops")
    other = await say(tom, room, "oops, too")
    await heard(jerry)
    await heard(jerry)

    at_ms = await patch(tom, recall_of(room, ack), recall_of(room, other), recall_of(room, ack))

    items = [await hears_patch(jerry), await hears_patch(jerry)]
    assert [item.mid for item in items] == [ack.uid, other.uid]
    assert items[0].patchTimestamp == at_ms < items[1].patchTimestamp
    assert (await hears_count(jerry)).unread == 0
    await jerry.nothing_more()
    assert await unread(room) == {"tom": (0, False), "jerry": (0, False)}


async def test_an_edited_message_can_be_recalled(application: Application, signed_in: SignIn) -> None:
    """Checklist 65."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    ack = await say(tom, room, "draft")
    await heard(jerry)

    edited_ms = await edit(tom, room, ack, binaryMsg=b"\xff")
    await hears_patch(jerry)
    recalled_ms = await recall(tom, room, ack)

    assert edited_ms < recalled_ms
    assert (await hears_patch(jerry)).recall
    assert [(item.data, item.bin) for item in await history(jerry, room)] == [(RECALLED_BODY, False)]


async def test_one_who_was_silenced_may_recall(application: Application, signed_in: SignIn) -> None:
    """Checklist 65: taking back is not speaking."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    ack = await say(tom, room, "rude")
    await heard(jerry)
    await silence_until(room, "tom", ack.t + 3_600_000)

    await recall(tom, room, ack)

    assert (await hears_patch(jerry)).recall


async def test_whoever_wrote_to_a_chat_room_may_recall_it_wherever_he_is(
    signed_in: SignIn, obey_settings: Callable[..., Awaitable[None]]
) -> None:
    """Checklist 65: he need not be there any more, and may have been put out."""
    await obey_settings(ConversationSettings, roles_enabled=True, block_lists_enabled=True)
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    room = await room_of(tom)
    await answer(jerry, OpType.add, OpType.added, cid=room, m=["jerry"])
    ack, other = await say(jerry, room, "rude"), await say(jerry, room, "ruder")
    await heard(tom)
    await heard(tom)
    await remove(jerry, room, "jerry")

    await recall(jerry, room, ack)
    assert (await hears_patch(tom)).mid == ack.uid
    assert await block(tom, room, "jerry") == ["jerry"]
    await recall(jerry, room, other)

    while (frame := await tom.next_notice()).op != OpType.modify:
        pass
    assert frame.patchMessage.patches[0].mid == other.uid
    assert [row.is_recalled for row in await rows(room)] == [True, True]


async def test_who_joined_later_has_nothing_less_to_read(application: Application, signed_in: SignIn) -> None:
    """Checklist 60, 65."""
    room = await started(application, "tom", "jerry")
    tom, mary = await signed_in("tom"), await signed_in("mary")
    ack = await say(tom, room, "before she came")
    await answer(tom, OpType.add, OpType.added, cid=room, m=["mary"])
    await mary.next_notice()
    await mary.next_notice()
    await say(tom, room, "after")
    await heard(mary)

    await recall(tom, room, ack)

    await hears_patch(mary)
    await mary.nothing_more()
    assert (await unread(room))["mary"] == (1, False)


async def test_clients_that_want_messages_instead_of_counts_are_told_the_recall_only(
    application: Application, signed_in: SignIn, connect: Callable[..., Awaitable[InProcess]]
) -> None:
    """Checklist 65: subprotocols that end in .1. And without bit 0, the count only."""
    room = await started(application, "tom", "jerry")
    tom, pushed = await signed_in("tom"), await signed_in("jerry", wire=await connect(("lc.protobuf2.1",)))
    old = await signed_in("jerry", configBitmap=CONFIG_BITMAP & ~1)
    ack = await say(tom, room, "oops")
    await heard(pushed)
    await heard(old)

    await recall(tom, room, ack)

    assert (await hears_patch(pushed)).recall
    await pushed.nothing_more()
    assert (await hears_count(old)).unread == 0
    await old.nothing_more()
