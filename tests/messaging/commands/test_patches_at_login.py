"""Edits and recalls that a client missed (realtime-protocol 4.12)."""

from typing import Any

import pytest

from conversations.models import Conversation
from conversations.policy import Kind
from conversations.services import rooms
from conversations.storage import marks
from imcore import identifiers, limits
from imcore.bridge import in_database
from imcore.delivery.router import router
from imcore.models import Application
from imcore.protocol.message_pb2 import AckCommand, CommandType
from messaging.models import Message
from messaging.storage.catching_up import PATCH_MARGIN_MS
from tests.conftest import SignIn
from tests.messaging.patching import edit
from tests.messaging.returning import T, patched, set_marks, told_patch
from tests.messaging.support import Imported, frozen, import_messages, imported_id, say, started


@pytest.fixture
async def said(application: Application, signed_in: SignIn) -> list[AckCommand]:
    """The acks of three messages of tom's to jerry, in two conversations; jerry has read all."""
    cids = [await started(application, "tom", "jerry") for _ in range(2)]
    tom = await signed_in("tom")
    acks = [await say(tom, cids[number % 2], f"message {number}", mentionAll=number == 0) for number in range(3)]
    for room in cids:
        await set_marks(room, "jerry", read_seq=10)
    return acks


async def test_exactly_the_later_patches_are_replayed_one_to_a_frame_oldest_first(
    said: list[AckCommand], signed_in: SignIn
) -> None:
    """Checklist 67, 65: whatever the order of their messages; a recall with flag and body."""
    await patched(said[0].uid, at_ms=T + 2, text="edited last")
    await patched(said[2].uid, at_ms=T + 1)
    await patched(said[1].uid, at_ms=T, text="known already")

    jerry = await signed_in("jerry", lastPatchTime=T)
    recalled, edited = await told_patch(jerry), await told_patch(jerry)
    await jerry.nothing_more()

    assert (recalled.mid, recalled.recall, recalled.data) == (said[2].uid, True, b'{"_lctype":-127}')
    assert (edited.mid, edited.recall, edited.data) == (said[0].uid, False, b"edited last")
    assert (recalled.patchTimestamp, edited.patchTimestamp) == (T + 1, T + 2)
    assert (edited.timestamp, getattr(edited, "from"), edited.mentionAll) == (said[0].t, "tom", True)
    assert not edited.HasField("patchCode")
    assert not edited.HasField("patchReason")


@pytest.mark.parametrize("position", [None, 0, -1, "now", "ahead"])
async def test_who_says_no_position_or_one_in_the_future_missed_none(
    said: list[AckCommand], signed_in: SignIn, position: Any
) -> None:
    """Checklist 67: before its first `opened` JavaScript tells its own clock, whatever that shows."""
    await patched(said[0].uid, at_ms=said[0].t - PATCH_MARGIN_MS, text="edited")
    words = {"now": identifiers.now_ms(), "ahead": 2**62}

    jerry = await signed_in("jerry", lastPatchTime=words.get(position, position))

    await jerry.nothing_more()


async def test_what_is_stamped_a_little_behind_a_position_is_replayed(
    said: list[AckCommand], signed_in: SignIn
) -> None:
    """Checklist 67: it may have been written later, by a server whose clock is behind. Not the patch that is the
    position, which the client has."""
    await patched(said[0].uid, at_ms=T - PATCH_MARGIN_MS, text="known already")
    await patched(said[1].uid, at_ms=T - PATCH_MARGIN_MS + 1, text="written late")
    await patched(said[2].uid, at_ms=T, text="known already")

    jerry = await signed_in("jerry", lastPatchTime=T)
    edited = await told_patch(jerry)
    await jerry.nothing_more()

    assert (edited.mid, edited.data) == (said[1].uid, b"written late")


async def test_a_patch_is_stamped_when_its_turn_has_come(
    application: Application, signed_in: SignIn, patches_enabled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checklist 67: clients that open while it waits for others in the conversation take later positions."""
    room = await started(application, "tom", "jerry")
    tom = await signed_in("tom")
    ack = await say(tom, room, "typo")
    lock = marks.lock_conversations

    with frozen() as clock:

        def lock_in_the_end(**asked: Any) -> list[int]:
            found = lock(**asked)
            clock.at_ms += 9_000
            return found

        monkeypatch.setattr(marks, "lock_conversations", lock_in_the_end)

        assert await edit(tom, room, ack, "no typo") == clock.at_ms


async def test_a_position_among_patches_that_are_ahead_of_the_clock_counts(
    said: list[AckCommand], signed_in: SignIn
) -> None:
    """Checklist 67: another server's clock may be ahead, or many were patched within a moment."""
    ahead_ms = identifiers.now_ms() + 60_000
    await patched(said[0].uid, at_ms=ahead_ms, text="known already")
    await patched(said[2].uid, at_ms=ahead_ms + 1, text="edited")

    jerry = await signed_in("jerry", lastPatchTime=ahead_ms)
    edited = await told_patch(jerry)
    await jerry.nothing_more()

    assert (edited.mid, edited.data) == (said[2].uid, b"edited")


async def test_who_does_not_understand_patches_is_not_sent_any(said: list[AckCommand], signed_in: SignIn) -> None:
    """Checklist 67 (`configBitmap`, bit 0). Nor is somebody who is not in the conversation."""
    await patched(said[0].uid, at_ms=said[0].t + 1, text="edited")

    await (await signed_in("jerry", configBitmap=186, lastPatchTime=1)).nothing_more()
    await (await signed_in("mary", lastPatchTime=1)).nothing_more()


async def test_no_more_than_a_few_hundred_are_replayed_the_newest(application: Application, signed_in: SignIn) -> None:
    """Checklist 67."""
    room = await started(application, "tom", "jerry")
    number = limits.PATCHES_MAX + 20
    await import_messages(room, [Imported(str(one), T + one, str(one), sender="jerry") for one in range(number)])

    def patch() -> None:
        for one in range(number):
            Message.objects.filter(message_id=imported_id(room, str(one))).update(patch_ms=T + 10_000 - one)

    await in_database(patch)

    jerry = await signed_in("jerry", lastPatchTime=T)
    patches = [await told_patch(jerry) for _ in range(limits.PATCHES_MAX)]
    await jerry.nothing_more()

    assert [one.mid for one in patches] == [imported_id(room, str(one)) for one in reversed(range(limits.PATCHES_MAX))]


async def test_patches_of_temporary_conversations_are_for_those_who_know_them(
    application: Application, signed_in: SignIn
) -> None:
    """Checklist 67: while they live."""
    living = await started(application, "tom", "jerry", kind=Kind.TEMPORARY, ttl_seconds=3600)
    expired = await started(application, "tom", "jerry", "mary", kind=Kind.TEMPORARY, ttl_seconds=3600)
    tom = await signed_in("tom")
    acks = [await say(tom, room, "hello") for room in (living, expired)]
    for room, ack in zip((living, expired), acks, strict=True):
        await patched(ack.uid, at_ms=ack.t + 1, text="edited")
        await set_marks(room, "jerry", read_seq=1)
    await in_database(lambda: Conversation.objects.filter(object_id=expired).update(expires_ms=1))

    knows, does_not = (
        await signed_in("jerry", lastPatchTime=1),
        await signed_in("jerry", lastPatchTime=1, configBitmap=1),
    )

    assert (await told_patch(knows)).cid == living
    await knows.nothing_more()
    await does_not.nothing_more()


async def test_counts_come_before_patches_and_patches_before_what_came_meanwhile(
    application: Application, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checklist 11, 60, 67 (realtime-protocol 4.1.1, "After the reply, in this order")."""
    room = await started(application, "tom", "jerry")
    tom = await signed_in("tom")
    ack = await say(tom, room, "typo")
    await patched(ack.uid, at_ms=ack.t + 1, text="no typo")
    come_back = rooms.come_back

    async def and_then(**asked: Any) -> None:
        await come_back(**asked)
        await say(tom, room, "passing", transient=True)
        await router.settle()

    monkeypatch.setattr(rooms, "come_back", and_then)

    jerry = await signed_in("jerry", lastPatchTime=1)
    frames = [await jerry.next_notice() for _ in range(3)]

    assert [frame.cmd for frame in frames] == [CommandType.unread, CommandType.patch, CommandType.direct]
    assert jerry.opened.serverTs <= min(frame.serverTs for frame in frames)
