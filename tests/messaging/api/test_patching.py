"""What back ends edit, recall and delete in clients' names (rest-api 8.9; 9 for 1.1)."""

from typing import Any

import pytest

from imcore.bridge import in_database
from imcore.models import Application
from imcore.protocol.message_pb2 import AckCommand
from messaging.message_types import RECALLED_BODY
from messaging.models import Message, MessagingSettings
from messaging.storage import retention
from tests.conftest import SignIn
from tests.conversations.commands.test_systems import service_of
from tests.conversations.rooming import room_of
from tests.conversations.talking import add, query, remove
from tests.messaging.api.saying import CHAT_ROOMS, ask, code, delete, edit, recall, send
from tests.messaging.marking import ack as acknowledge
from tests.messaging.marking import done, read
from tests.messaging.patching import hears_count, hears_patch, unread, whole
from tests.messaging.returning import Connect, back, told_unread
from tests.messaging.signing_in import ObeySettings
from tests.messaging.support import (
    Imported,
    another_application,
    heard,
    history,
    import_messages,
    imported_id,
    rows,
    say,
    started,
    texts,
)

OLD = "/1.1/rtm/patch/message"


async def test_an_edit_reaches_everybody_on_line(application: Application, signed_in: SignIn) -> None:
    """Checklist 30: as a patch, to the author's devices too, though clients may not edit here."""
    cid = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    ack = await say(tom, cid, "before")
    await heard(jerry)

    answer = await edit(application, cid, ack, {"_lctype": -1})

    assert (answer.status_code, answer.json()) == (200, {})
    for client in (tom, jerry):
        item = await hears_patch(client)
        assert (item.cid, item.mid, item.timestamp, getattr(item, "from")) == (cid, ack.uid, ack.t, "tom")
        assert (item.data, item.recall) == (b'{"_lctype":-1}', False)
        await client.nothing_more()
    [found] = await history(jerry, cid)
    assert (found.msgId, found.data, found.patchTimestamp) == (ack.uid, '{"_lctype":-1}', item.patchTimestamp)


async def test_a_recall_reaches_everybody_on_line(application: Application, signed_in: SignIn) -> None:
    """Checklist 30: and whoever has not read it is told that there is less to read."""
    cid = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    ack = await send(application, cid, mention_all=True)

    assert (await recall(application, cid, ack)).json() == {}

    for client in (tom, jerry):
        await heard(client)
        item = await hears_patch(client)
        assert (item.mid, item.data.decode(), item.recall) == (ack.uid, RECALLED_BODY, True)
    assert ((counted := await hears_count(jerry)).unread, counted.mentioned) == (0, False)
    await tom.nothing_more()
    assert await texts(jerry, cid) == [RECALLED_BODY]

    assert (await recall(application, cid, ack)).status_code == 200
    await jerry.nothing_more()


async def test_neither_settings_nor_age_nor_standing_bind_the_application(
    application: Application, signed_in: SignIn, obey_settings: ObeySettings
) -> None:
    """Switches and the window are for clients; the author may have left, or never been there."""
    await obey_settings(MessagingSettings, patch_window_minutes=1)
    cid = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    await import_messages(cid, [Imported("old", 1_600_000_000_000, "before")])
    old = AckCommand(uid=imported_id(cid, "old"), t=1_600_000_000_000)
    ghosts = await send(application, cid, "ghost")
    await remove(tom, cid, "tom")

    assert (await edit(application, cid, old, "after")).status_code == 200
    assert (await edit(application, cid, ghosts, "boo", from_client="ghost")).status_code == 200
    assert await texts(jerry, cid) == ["after", "boo"]

    assert (await recall(application, cid, old)).status_code == 200
    assert (await recall(application, cid, ghosts, from_client="ghost")).status_code == 200
    assert await texts(jerry, cid) == [RECALLED_BODY] * 2
    assert await unread(cid) == {"jerry": (0, False)}


async def test_an_edited_message_mentions_whom_it_did(application: Application, signed_in: SignIn) -> None:
    """An edit over HTTP is of the body alone."""
    cid = await started(application, "tom", "jerry")
    jerry = await signed_in("jerry")
    ack = await send(application, cid, mention_client_ids=["jerry"])
    await heard(jerry)

    await edit(application, cid, ack, "@jerry")

    assert list((await hears_patch(jerry)).mentionPids) == ["jerry"]
    assert list((await history(jerry, cid))[0].mentionPids) == ["jerry"]
    assert await unread(cid) == {"tom": (0, False), "jerry": (1, True)}


async def test_chat_rooms_hear_of_it_too(application: Application, signed_in: SignIn) -> None:
    """Checklist 30."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    room = await room_of(tom)
    await add(jerry, room, "jerry")
    ack = await say(tom, room, "before")
    await heard(jerry)

    await edit(application, room, ack, "after", of=CHAT_ROOMS)
    await recall(application, room, ack, of=CHAT_ROOMS)

    for client in (tom, jerry):
        assert [(await hears_patch(client)).data.decode() for _ in range(2)] == ["after", RECALLED_BODY]
        await client.nothing_more()

    assert (await delete(application, room, ack, of=CHAT_ROOMS)).status_code == 200
    await jerry.nothing_more()
    assert await history(jerry, room) == []


async def test_a_deleted_message_is_gone_and_nobody_is_told(application: Application, signed_in: SignIn) -> None:
    """Checklist 30: from history, from the last message and from what is unread; a second time it is 4404."""
    cid = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    first = await say(tom, cid, "first")
    ack = await say(tom, cid, "second", mentionPids=["jerry"])
    for _ in range(2):
        await heard(jerry)

    answer = await delete(application, cid, ack)

    assert (answer.status_code, answer.json()) == (200, {})
    assert code(await delete(application, cid, ack)) == (400, 4404)
    for client in (tom, jerry):
        await client.nothing_more()
    assert await texts(jerry, cid) == ["first"]
    assert [one["msg_mid"] for one in await query(jerry, flag=2)] == [first.uid]
    assert await unread(cid) == {"tom": (0, False), "jerry": (1, False)}


async def test_who_comes_back_is_told_the_count_without_it(
    application: Application, signed_in: SignIn, connect: Connect
) -> None:
    """With the newest message that is there."""
    cid = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry", lastUnreadNotifTime=1)
    first, second = await say(tom, cid, "first"), await say(tom, cid, "second")
    await jerry.wire.close()
    await delete(application, cid, second)

    fresh = await signed_in("jerry")

    [counted] = (await told_unread(fresh)).convs
    assert (counted.unread, counted.mid, counted.data) == (1, first.uid, "first")

    await delete(application, cid, first)
    returned = await back(jerry, connect, application.app_id, lastUnreadNotifTime=1)
    [counted] = (await told_unread(returned)).convs
    assert (counted.unread, counted.HasField("mid")) == (0, False)


@pytest.mark.parametrize("position", range(5))
async def test_marks_pass_what_was_deleted(application: Application, signed_in: SignIn, position: int) -> None:
    """Wherever the hole is: reading behind it, before it or up to where it was leaves exactly the rest unread."""
    cid = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    acks = [await say(tom, cid, str(number)) for number in range(5)]
    await delete(application, cid, acks[position])
    there = [number for number in range(5) if number != position]

    for number in range(5):
        await read(jerry, cid, mid=acks[number].uid, timestamp=acks[number].t)
        await done(jerry)
        left = sum(one > number for one in there)
        assert await unread(cid) == {"tom": (0, False), "jerry": (left, False)}

    await say(tom, cid, "last")
    await acknowledge(jerry, cid=cid, tots=2**62)
    await done(jerry)
    assert await unread(cid) == {"tom": (0, False), "jerry": (1, False)}


async def test_retention_passes_what_was_deleted(application: Application, signed_in: SignIn) -> None:
    """What is deleted for its age had a hole, which was counted as not unread."""
    cid = await started(application, "tom", "jerry", "mary")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    acks = [await say(client, cid, str(number)) for number, client in enumerate((tom, jerry, tom, jerry, tom))]
    await delete(application, cid, acks[0])
    await delete(application, cid, acks[2])
    conversation = (await rows(cid))[0].conversation_id

    await in_database(retention.delete, conversations=[conversation], before_ms=acks[3].t + 1, limit=100)

    assert await unread(cid) == {"tom": (0, False), "jerry": (1, False), "mary": (1, False)}
    await read(jerry, cid)
    await done(jerry)
    assert (await unread(cid))["jerry"] == (0, False)


async def test_who_is_named_must_be_the_author_and_the_time_right(application: Application, signed_in: SignIn) -> None:
    """Checklist 30: 4403 for another's message, 4404 for another time, id, conversation, family or application."""
    cid, other = await started(application, "tom", "jerry"), await started(application, "tom", "jerry")
    foreign = await another_application()
    jerry = await signed_in("jerry")
    ack = await send(application, cid)
    await heard(jerry)
    before = await whole(cid)
    unknown = AckCommand(uid="A" * 22, t=ack.t)

    for change in (edited, recall, delete):
        for fields, expected in (
            ({"from_client": "jerry"}, 4403),
            ({"timestamp": ack.t + 1}, 4404),
            ({"timestamp": None}, 1),
            ({"timestamp": "soon"}, 1),
            ({"from_client": None}, 1),
            ({"from_client": "x" * 65}, 4103),
            ({"of": CHAT_ROOMS}, 4316),
        ):
            assert code(await change(application, cid, ack, **fields)) == (400, expected), (change, fields)
        assert code(await change(application, cid, unknown)) == (400, 4404)
        assert code(await change(application, other, ack)) == (400, 4404)
        assert code(await change(application, "nothing", ack)) == (400, 4303)
        assert code(await change(foreign, cid, ack)) == (400, 4303)
    for bad, expected in (("x" * 5121, 4109), (None, 1), (["a"], 1)):
        assert code(await edit(application, cid, ack, bad)) == (400, expected)

    assert await whole(cid) == before
    await jerry.nothing_more()
    await recall(application, cid, ack)
    assert code(await edited(application, cid, ack)) == (400, 4404)


async def edited(application: Application, cid: str, ack: AckCommand, **more: Any) -> Any:
    """Edit a message and return the answer."""
    return await edit(application, cid, ack, "other", **more)


@pytest.mark.parametrize("message_id", ["a/b/c", "a+b_c-d==", "recall", "a/recall"])
async def test_old_ids_are_found(application: Application, signed_in: SignIn, message_id: str) -> None:
    """They may have characters of plain base64, a slash among them."""
    cid = await started(application, "tom", "jerry")
    jerry = await signed_in("jerry")
    ack = await send(application, cid)
    await in_database(lambda: Message.objects.filter(pk=ack.uid).update(message_id=message_id + cid[-12:]))
    ack.uid = message_id + cid[-12:]

    assert (await edit(application, cid, ack, "after")).status_code == 200
    assert await texts(jerry, cid) == ["after"]
    assert (await recall(application, cid, ack)).status_code == 200
    assert await texts(jerry, cid) == [RECALLED_BODY]
    assert (await delete(application, cid, ack)).status_code == 200
    assert await texts(jerry, cid) == []


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("names", [("from_peer", "message_id"), ("from_client", "mid"), ("from_peer", "msg-id")])
async def test_in_1_1_one_path_edits_and_recalls(
    application: Application, signed_in: SignIn, method: str, names: tuple[str, str]
) -> None:
    """`recall`, or no `message`, makes it a recall; the id alone decides the kind."""
    cid = await started(application, "tom", "jerry")
    jerry = await signed_in("jerry")
    acks = [await send(application, cid) for _ in range(3)]
    named = [{"conv_id": cid, names[0]: "tom", names[1]: ack.uid, "timestamp": ack.t} for ack in acks]

    for body in (named[0] | {"message": "after"}, named[1], named[2] | {"message": "x", "recall": True}):
        answer = await ask(application, method, OLD, body)
        assert (answer.status_code, answer.json()) == (200, {})

    assert await texts(jerry, cid) == ["after", RECALLED_BODY, RECALLED_BODY]
    for missing in ("conv_id", "timestamp", *names):
        assert code(await ask(application, method, OLD, named[0] | {missing: None})) == (400, 1)
    service = await service_of(application)
    assert code(await ask(application, method, OLD, named[0] | {"conv_id": service})) == (400, 4404)
