"""Editing a message, as its author and the others see it."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from conversations.policy import Kind
from imcore import identifiers, limits
from imcore.models import Application
from imcore.protocol.message_pb2 import CommandType, GenericCommand, OpType, PatchCommand
from tests.conftest import SignIn
from tests.conversations.rooming import room_of
from tests.conversations.talking import answer, query
from tests.imclient import CONFIG_BITMAP, InProcess
from tests.messaging.patching import ask, edit, edit_of, hears_count, hears_patch, patch, read_all, unread
from tests.messaging.support import (
    frozen,
    heard,
    history,
    message_of,
    rows,
    say,
    started,
    stored_conversation,
)

pytestmark = pytest.mark.usefixtures("patches_enabled")

Connect = Callable[..., Awaitable[InProcess]]

EDITED = '{"_lctype":-1,"_lctext":"edited"}'


async def test_an_edit_is_told_to_the_others_and_to_the_authors_other_devices(
    application: Application, signed_in: SignIn
) -> None:
    """Checklist 64: not to the acting connection, and not to who is no member."""
    room = await started(application, "tom", "jerry")
    phone, tablet = await signed_in("tom", deviceId="phone"), await signed_in("tom", deviceId="tablet")
    one, two = await signed_in("jerry", deviceId="one"), await signed_in("jerry", deviceId="two")
    mary = await signed_in("mary")
    ack = await say(phone, room, "draft")
    for other in (tablet, one, two):
        await heard(other)

    at_ms = await edit(phone, room, ack, EDITED)

    assert at_ms >= ack.t
    for other in (tablet, one, two):
        item = await hears_patch(other)
        assert {field.name for field, _ in item.ListFields()} == {
            "cid", "mid", "timestamp", "recall", "data", "patchTimestamp", "from",
        }  # fmt: skip
        assert (item.cid, item.mid, item.timestamp, getattr(item, "from")) == (room, ack.uid, ack.t, "tom")
        assert (item.recall, item.data.decode(), item.patchTimestamp) == (False, EDITED, at_ms)
        await other.nothing_more()
    await phone.nothing_more()
    await mary.nothing_more()


async def test_an_edited_message_reads_so_everywhere(application: Application, signed_in: SignIn) -> None:
    """Checklist 64: in history and as the last message; it keeps its time and its place."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    first, second = await say(tom, room, "one"), await say(tom, room, "two")
    before = await stored_conversation(room)

    at_ms = await edit(tom, room, second, EDITED)
    earlier_ms = await edit(tom, room, first, "plain")

    items = await history(jerry, room)
    assert [(item.msgId, item.timestamp, item.data) for item in items] == [
        (first.uid, first.t, "plain"),
        (second.uid, second.t, EDITED),
    ]
    assert [item.patchTimestamp for item in items] == [earlier_ms, at_ms]
    assert [item.msgId for item in await history(jerry, room, lctype=-1)] == [second.uid]
    [shown] = await query(jerry, {"objectId": room}, flag=2)
    assert (shown["msg_mid"], shown["msg_timestamp"]) == (second.uid, second.t)
    assert (shown["msg"], shown["patch_timestamp"]) == (EDITED, at_ms)
    after = await stored_conversation(room)
    assert (after.last_seq, after.last_message_ms, after.updated_ms) == (
        before.last_seq,
        before.last_message_ms,
        before.updated_ms,
    )


async def test_a_message_that_was_never_edited_has_no_patch_time(application: Application, signed_in: SignIn) -> None:
    """Checklist 64: JavaScript takes a 0 for the year 1970."""
    room = await started(application, "tom", "jerry")
    tom = await signed_in("tom")
    await say(tom, room, "as it was")

    [item] = await history(tom, room)

    assert not item.HasField("patchTimestamp")
    [shown] = await query(tom, {"objectId": room}, flag=2)
    assert shown["msg"] == "as it was"
    assert "patch_timestamp" not in shown


async def test_an_edit_changes_nobodys_unread_count(application: Application, signed_in: SignIn) -> None:
    """Checklist 64."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    ack = await say(tom, room, "draft")
    await heard(jerry)

    await edit(tom, room, ack, "final")

    await hears_patch(jerry)
    await jerry.nothing_more()
    assert await unread(room) == {"tom": (0, False), "jerry": (1, False)}


@pytest.mark.parametrize("subprotocol", ["lc.protobuf2.3", "lc.proto2base64.3"])
async def test_text_may_become_bytes_and_text_again(
    application: Application, signed_in: SignIn, connect: Connect, subprotocol: str
) -> None:
    """Checklist 64, on either kind of subprotocol."""
    room = await started(application, "tom", "jerry")
    tom = await signed_in("tom", wire=await connect((subprotocol,)))
    jerry = await signed_in("jerry", wire=await connect((subprotocol,)))
    ack = await say(tom, room, '{"_lctype":-1}')
    await heard(jerry)

    await edit(tom, room, ack, binaryMsg=b"\0\xff")
    as_bytes = await hears_patch(jerry)
    [item] = await history(jerry, room)
    typed = await history(jerry, room, lctype=-1)
    await edit(tom, room, ack, EDITED)
    as_text = await hears_patch(jerry)

    assert (as_bytes.binaryMsg, as_bytes.HasField("data")) == (b"\0\xff", False)
    assert message_of(item, room).binaryMsg == b"\0\xff"
    assert typed == []
    assert (as_text.data, as_text.HasField("binaryMsg")) == (EDITED.encode(), False)
    assert [item.data for item in await history(jerry, room)] == [EDITED]


async def test_the_raw_bytes_that_java_sends_are_the_new_binary_body(
    application: Application, signed_in: SignIn
) -> None:
    """Checklist 64: Java puts them where a text belongs."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    ack = await say(tom, room, binaryMsg=b"\x01\x80")
    await heard(jerry)

    await edit(tom, room, ack, data=b"\x02\x80\xff")

    item = await hears_patch(jerry)
    assert (item.binaryMsg, item.HasField("data")) == (b"\x02\x80\xff", False)
    assert [row.is_binary for row in await rows(room)] == [True]


async def test_bytes_that_happen_to_be_a_text_leave_a_binary_message_binary(
    application: Application, signed_in: SignIn
) -> None:
    """P50: the message decides what Java means; a text, typed or not, of a text message is a text."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    binary, text = await say(tom, room, binaryMsg=b"\x01\x80"), await say(tom, room, "draft")
    for _ in range(2):
        await heard(jerry)

    await patch(tom, edit_of(room, binary, "bytes"), edit_of(room, binary, "\0 more"), edit_of(room, text, "words"))
    bodies = [(item.binaryMsg, item.data) for item in [await hears_patch(jerry) for _ in range(3)]]
    shown = [message_of(item, room) for item in await history(jerry, room)]

    assert bodies == [(b"bytes", b""), (b"\0 more", b""), (b"", b"words")]
    assert [(one.binaryMsg, one.msg) for one in shown] == [(b"\0 more", ""), (b"", "words")]
    assert [row.is_binary for row in await rows(room)] == [True, False]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"data": b"text", "binaryMsg": b""}, "text"),
        ({"data": b"\xff", "binaryMsg": b"\1"}, b"\1"),
        ({"data": b"\xff", "binaryMsg": b""}, b"\xff"),
        ({"data": b"", "binaryMsg": b""}, ""),
        ({"data": b""}, ""),
        ({"binaryMsg": b""}, b""),
        ({"data": b"text", "binaryMsg": b"\1"}, b"\1"),
        ({"data": b"nul \0"}, "nul \0"),
    ],
)
async def test_which_body_is_meant_is_decided_as_for_sends(
    application: Application, signed_in: SignIn, body: dict[str, Any], expected: str | bytes
) -> None:
    """Checklist 64: an empty `binaryMsg` beside a text says nothing."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    ack = await say(tom, room, "draft")
    await heard(jerry)

    await edit(tom, room, ack, **body)

    item = await hears_patch(jerry)
    [shown] = [message_of(item, room) for item in await history(jerry, room)]
    assert (item.binaryMsg if item.HasField("binaryMsg") else item.data.decode()) == expected
    assert (shown.binaryMsg if shown.HasField("binaryMsg") else shown.msg) == expected


async def test_new_mentions_replace_the_old_ones_as_a_whole(application: Application, signed_in: SignIn) -> None:
    """Checklist 57, 64: and whoever is mentioned now, or no longer, is told so."""
    room = await started(application, "tom", "jerry", "mary", "paul")
    tom, jerry, mary, paul = [await signed_in(name) for name in ("tom", "jerry", "mary", "paul")]
    ack = await say(tom, room, "@jerry @paul", mentionPids=["jerry", "paul"])
    for other in (jerry, mary, paul):
        await heard(other)

    await edit(tom, room, ack, "@mary @paul", mentionPids=["mary", "paul", "nobody", "tom"])

    for other in (jerry, mary, paul):
        item = await hears_patch(other)
        assert (list(item.mentionPids), item.HasField("mentionAll")) == (["mary", "paul", "nobody", "tom"], False)
    assert [(one.unread, one.mentioned) for one in (await hears_count(jerry), await hears_count(mary))] == [
        (1, False),
        (1, True),
    ]
    await paul.nothing_more()
    await tom.nothing_more()
    assert await unread(room) == {"tom": (0, False), "jerry": (1, False), "mary": (1, True), "paul": (1, True)}
    assert [list(item.mentionPids) for item in await history(mary, room)] == [["mary", "paul", "nobody", "tom"]]


async def test_an_edit_may_mention_everybody_or_nobody_any_more(application: Application, signed_in: SignIn) -> None:
    """Checklist 57, 64."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    ack = await say(tom, room, "hello")
    await heard(jerry)

    await edit(tom, room, ack, "hello @all", mentionAll=True)
    to_all, counted = await hears_patch(jerry), await hears_count(jerry)
    now = await unread(room)
    await edit(tom, room, ack, "hello")
    to_nobody, recounted = await hears_patch(jerry), await hears_count(jerry)

    assert (to_all.mentionAll, counted.unread, counted.mentioned) == (True, 1, True)
    assert now == {"tom": (0, False), "jerry": (1, True)}
    assert (to_nobody.HasField("mentionAll"), recounted.unread, recounted.mentioned) == (False, 1, False)
    assert await unread(room) == {"tom": (0, False), "jerry": (1, False)}


async def test_a_mention_in_what_was_read_already_is_none(application: Application, signed_in: SignIn) -> None:
    """Checklist 57, 64."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    ack = await say(tom, room, "hello")
    await heard(jerry)
    await read_all(room, "jerry")

    await edit(tom, room, ack, "@jerry @all", mentionPids=["jerry"], mentionAll=True)

    await hears_patch(jerry)
    await jerry.nothing_more()
    assert (await unread(room))["jerry"] == (0, False)


async def test_several_messages_are_edited_in_one_command_and_told_one_by_one(
    application: Application, signed_in: SignIn
) -> None:
    """Checklist 64: Objective-C would lose the second item of a frame. The reply has the time of the last."""
    room, other = await started(application, "tom", "jerry"), await started(application, "jerry", "tom")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    acks = [(room, await say(tom, room, "one")), (other, await say(tom, other, "two"))]
    acks.append((room, await say(tom, room, "three")))
    for _ in acks:
        await heard(jerry)

    at_ms = await patch(tom, *(edit_of(cid, ack, f"{number}") for number, (cid, ack) in enumerate(acks)))

    items = [await hears_patch(jerry) for _ in acks]
    assert [(item.cid, item.mid, item.data) for item in items] == [
        (cid, ack.uid, f"{number}".encode()) for number, (cid, ack) in enumerate(acks)
    ]
    assert items[0].patchTimestamp < items[2].patchTimestamp == at_ms
    await jerry.nothing_more()


async def test_a_message_edited_twice_in_one_command_reads_as_the_last_says(
    application: Application, signed_in: SignIn
) -> None:
    """Checklist 64."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    ack = await say(tom, room, "draft")
    await heard(jerry)

    at_ms = await patch(tom, edit_of(room, ack, "one"), edit_of(room, ack, "two"))

    items = [await hears_patch(jerry), await hears_patch(jerry)]
    assert [item.data for item in items] == [b"one", b"two"]
    assert items[0].patchTimestamp < items[1].patchTimestamp == at_ms
    assert [(item.data, item.patchTimestamp) for item in await history(jerry, room)] == [("two", at_ms)]


async def test_patch_times_rise_and_are_never_before_the_message(application: Application, signed_in: SignIn) -> None:
    """Checklist 64, 67: though the clock stands still, or goes back."""
    room = await started(application, "tom", "jerry")
    tom = await signed_in("tom")
    with frozen(identifiers.now_ms()) as clock:
        first, second = await say(tom, room, "one"), await say(tom, room, "two")
        times = [await edit(tom, room, ack, "again") for ack in (second, first, second)]
        clock.at_ms -= 60_000
        times.append(await edit(tom, room, first, "later"))

    assert times == sorted(set(times))
    assert times[0] >= second.t
    assert [row.patch_ms for row in await rows(room)] == [times[3], times[2]]


async def test_many_edits_at_once_do_not_drive_the_times_far_ahead_of_the_clock(
    application: Application, signed_in: SignIn
) -> None:
    """Checklist 64, 67: clients take patch times as their position, and would be told of no other conversation's."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    ack = await say(tom, room, "hello")
    many = [edit_of(room, ack, "again")] * limits.PATCH_ITEMS_MAX
    with frozen() as clock:
        replies = [await ask(tom, *many) for _ in range(40)]
        times = [reply.patchMessage.lastPatchTime for reply in replies if reply.cmd == CommandType.patch]
        codes = [reply.errorMessage.code for reply in replies[len(times) :]]
        shown = await history(jerry, room)
        ahead_ms = times[-1] - clock.at_ms
        times.append(await edit(tom, room, ack, "one at a time"))
        clock.at_ms += 1000
        times.append(await patch(tom, *many))

    assert ahead_ms <= limits.PATCHES_AHEAD_MAX_MS
    assert codes == [4318] * (40 - len(times) + 2)
    assert [item.patchTimestamp for item in shown] == [times[-3]]
    assert times == sorted(set(times))


async def test_what_a_client_says_of_author_and_times_is_ignored(application: Application, signed_in: SignIn) -> None:
    """Checklist 64: C# sends a patch time."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    ack = await say(tom, room, "draft")
    await heard(jerry)
    forged: dict[str, Any] = {"from": "jerry", "patchTimestamp": 7, "patchCode": 1, "patchReason": "because"}

    await edit(tom, room, ack, "final", **forged)

    item = await hears_patch(jerry)
    assert (getattr(item, "from"), item.timestamp) == ("tom", ack.t)
    assert item.patchTimestamp > 7
    assert not item.HasField("patchCode")
    assert not item.HasField("patchReason")


async def test_who_does_not_understand_patches_is_not_told(application: Application, signed_in: SignIn) -> None:
    """Checklist 64: bit 0. It finds the new text in history."""
    room = await started(application, "tom", "jerry")
    tom, old = await signed_in("tom"), await signed_in("jerry", configBitmap=CONFIG_BITMAP & ~1)
    ack = await say(tom, room, "draft")
    await heard(old)

    await edit(tom, room, ack, "final")

    await old.nothing_more()
    assert [item.data for item in await history(old, room)] == ["final"]


async def test_a_temporary_conversation_is_edited_in_as_any_other(application: Application, signed_in: SignIn) -> None:
    """Checklist 64: but told only to who knows what it is."""
    room = await started(application, "tom", "jerry", kind=Kind.TEMPORARY, ttl_seconds=60)
    tom, jerry = await signed_in("tom"), await signed_in("jerry", deviceId="new")
    old = await signed_in("jerry", deviceId="old", configBitmap=CONFIG_BITMAP & ~2)
    ack = await say(tom, room, "draft")
    await heard(jerry)

    await edit(tom, room, ack, "final")

    assert (await hears_patch(jerry)).data == b"final"
    await old.nothing_more()


async def test_a_chat_room_hears_of_an_edit(signed_in: SignIn) -> None:
    """Checklist 64: everybody who is there, and not the acting session."""
    tom, jerry, mary = [await signed_in(name) for name in ("tom", "jerry", "mary")]
    room = await room_of(tom)
    await answer(jerry, OpType.add, OpType.added, cid=room, m=["jerry"])
    ack = await say(tom, room, "draft")
    await heard(jerry)

    await edit(tom, room, ack, "final", mentionAll=True)

    assert (await hears_patch(jerry)).data == b"final"
    await jerry.nothing_more()
    await tom.nothing_more()
    await mary.nothing_more()


async def test_the_reply_comes_before_what_others_hear(
    application: Application, signed_in: SignIn, connect: Connect
) -> None:
    """Checklist 64: author and receiver share a connection, so the order on the wire shows."""
    room = await started(application, "tom", "jerry")
    wire = await connect()
    jerry, tom = await signed_in("jerry", wire=wire), await signed_in("tom", wire=wire)
    ack = await say(tom, room, "draft")
    await wire.receive()

    body = PatchCommand(patches=[edit_of(room, ack, "final")])
    await wire.send(GenericCommand(cmd=CommandType.patch, op=OpType.modify, i=99, peerId="tom", patchMessage=body))

    frames = [await wire.receive(), await wire.receive()]
    assert [(frame.op, frame.peerId) for frame in frames] == [(OpType.modified, "tom"), (OpType.modify, "jerry")]
    await jerry.nothing_more()


async def test_what_old_clients_confirm_is_ignored(application: Application, signed_in: SignIn) -> None:
    """Checklist 64: `patch/modified` has no `i` and no answer."""
    tom = await signed_in("tom")

    await tom.send(CommandType.patch, OpType.modified, patchMessage=PatchCommand(lastPatchTime=1))

    await tom.nothing_more()


async def test_an_edit_without_serial_is_done_without_an_answer(application: Application, signed_in: SignIn) -> None:
    """Checklist 7."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    ack = await say(tom, room, "draft")
    await heard(jerry)

    await tom.send(CommandType.patch, OpType.modify, patchMessage=PatchCommand(patches=[edit_of(room, ack, "final")]))

    assert (await hears_patch(jerry)).data == b"final"
    await tom.nothing_more()
