"""What back ends say in clients' names (rest-api 8.7; 9 for 1.1)."""

import asyncio
import json
import re
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from django.conf import settings

from conversations.models import Conversation
from conversations.policy import Kind
from conversations.storage import members, moderation
from imcore import bridge
from imcore.asgi import application as server
from imcore.bridge import in_database
from imcore.models import Application, RestSettings
from tests.conftest import SignIn
from tests.conversations.commands.test_systems import service_of
from tests.conversations.rooming import room_of
from tests.conversations.talking import add
from tests.messaging.api.saying import (
    CHAT_ROOMS,
    CONVERSATIONS,
    acknowledgement,
    ask,
    attempt,
    code,
    send,
)
from tests.messaging.patching import unread, whole
from tests.messaging.signing_in import ObeySettings
from tests.messaging.storage.drafts import everybody
from tests.messaging.support import another_application, heard, history, say, started, texts
from tests.restclient import app_of, call, master_of
from tests.waiting import until

OLD = "/1.1/rtm/messages"


async def test_a_message_reaches_members_and_the_senders_own_devices(
    application: Application, signed_in: SignIn
) -> None:
    """Checklist 25: an id of 22 characters, a whole number for the time; what comes is what history has."""
    cid = await started(application, "tom", "jerry")
    tom, jerry, mary = await signed_in("tom"), await signed_in("jerry"), await signed_in("mary")

    ack = await send(application, cid, "tom", "hello")

    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", ack.uid)
    for client in (tom, jerry):
        message = await heard(client)
        assert (message.id, message.timestamp, message.msg) == (ack.uid, ack.t, "hello")
        assert (message.cid, message.fromPeerId, message.convType) == (cid, "tom", Kind.NORMAL)
        assert not message.HasField("transient")
        await client.nothing_more()
    await mary.nothing_more()
    assert [item.msgId for item in await history(jerry, cid)] == [ack.uid]
    assert await unread(cid) == {"tom": (0, False), "jerry": (1, False)}


async def test_a_message_is_sent_though_its_caller_hangs_up(application: Application, signed_in: SignIn) -> None:
    """Whoever waits no longer for the answer has said it all the same: to those on line, too."""
    cid = await started(application, "tom", "jerry")
    jerry = await signed_in("jerry")
    body = json.dumps({"from_client": "tom", "message": "hello"}).encode()
    headers = {"Host": "testserver", **master_of(application)}
    scope: Any = {
        "type": "http",
        "method": "POST",
        "path": f"/1.2/rtm/{CONVERSATIONS}/{cid}/messages",
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }
    free = threading.Event()
    busy = [asyncio.create_task(in_database(free.wait)) for _ in range(settings.DATABASE_THREADS)]

    has_left = asyncio.Event()

    async def caller() -> AsyncIterator[Any]:
        yield {"type": "http.request", "body": body}
        await has_left.wait()
        yield {"type": "http.disconnect"}

    async def nobody(message: Any) -> None:
        pass

    request = asyncio.create_task(server(scope, caller().__anext__, nobody))
    # The message waits for the database.
    await until(bridge._threads._work_queue.qsize)
    has_left.set()
    asyncio.get_running_loop().call_later(0.1, free.set)
    await asyncio.gather(request, *busy)

    assert (await heard(jerry)).msg == "hello"
    assert [item.data for item in await history(jerry, cid)] == ["hello"]


async def test_no_sync_leaves_the_senders_devices_out(application: Application, signed_in: SignIn) -> None:
    """Checklist 25."""
    cid = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")

    for is_transient in (False, True):
        ack = await send(application, cid, "tom", no_sync=True, transient=is_transient)
        assert (await heard(jerry)).id == ack.uid

    await tom.nothing_more()


async def test_what_comes_after_no_sync_is_not_waited_for(application: Application, signed_in: SignIn) -> None:
    """It has its place in the stream of the conversation where nobody hears it, too."""
    cid = await started(application, "tom", "jerry")
    tom = await signed_in("tom")
    await send(application, cid, "tom", "for jerry", no_sync=True)

    ack = await send(application, cid, "tom", "for both")

    assert (await heard(tom)).id == ack.uid
    await tom.nothing_more()


async def test_a_chat_room_hears_it_but_not_the_sender(application: Application, signed_in: SignIn) -> None:
    """Checklist 25: a chat room never syncs to the sender."""
    tom, jerry, mary = await signed_in("tom"), await signed_in("jerry"), await signed_in("mary")
    room = await room_of(tom)
    await add(jerry, room, "jerry")

    ack = await send(application, room, "tom", of=CHAT_ROOMS, push_data={"alert": "x"}, priority="HIGH")
    others = await send(application, room, "mary", of=CHAT_ROOMS)

    assert (await heard(jerry)).id == ack.uid
    for client in (tom, jerry):
        message = await heard(client)
        assert (message.id, message.convType) == (others.uid, Kind.CHAT_ROOM)
        await client.nothing_more()
    await mary.nothing_more()
    assert len(await history(tom, room)) == 2


async def test_who_is_no_member_may_be_the_sender(application: Application, signed_in: SignIn) -> None:
    """Checklist 27: everybody counts it; the sender's devices, which are not in the conversation, hear nothing."""
    cid = await started(application, "tom", "jerry")
    tom, jerry, ghost = await signed_in("tom"), await signed_in("jerry"), await signed_in("ghost")

    ack = await send(application, cid, "ghost", "boo")

    for client in (tom, jerry):
        assert ((message := await heard(client)).id, message.fromPeerId) == (ack.uid, "ghost")
    await ghost.nothing_more()
    assert await unread(cid) == {"tom": (1, False), "jerry": (1, False)}
    assert await texts(jerry, cid) == ["boo"]


async def test_neither_silence_nor_block_nor_leaving_stops_the_application(
    application: Application, signed_in: SignIn
) -> None:
    """Checklist 27: an administrative send always passes, also when this node's memory of the members is old."""
    cid = await started(application, "tom", "jerry")
    jerry = await signed_in("jerry")
    await send(application, cid, "tom", "before")

    def silence_and_block() -> None:
        conversation = Conversation.objects.get(object_id=cid).pk
        moderation.silence(conversation=conversation, judge=everybody("tom"), until_ms=None, by="", now_ms=0)
        moderation.block(conversation=conversation, judge=everybody("tom"), by="", now_ms=0)

    await in_database(silence_and_block)
    await send(application, cid, "tom", "after")
    await send(application, cid, "tom", "and again")
    await send(application, cid, "tom", "fleeting", transient=True)

    assert [(await heard(jerry)).msg for _ in range(4)] == ["before", "after", "and again", "fleeting"]


async def test_members_that_changed_elsewhere_are_those_who_hear_it(
    application: Application, signed_in: SignIn
) -> None:
    """The sender is not asked, but the store tells who is there now."""
    cid = await started(application, "tom", "jerry", "mary")
    jerry, mary = await signed_in("jerry"), await signed_in("mary")
    await send(application, cid, "ghost", "one")

    def remove_elsewhere() -> None:
        conversation = Conversation.objects.get(object_id=cid).pk
        members.remove(conversation=conversation, judge=everybody("mary"), by="", now_ms=0)

    await in_database(remove_elsewhere)
    await send(application, cid, "mary", "two")

    assert [(await heard(jerry)).msg for _ in range(2)] == ["one", "two"]
    assert (await heard(mary)).msg == "one"
    await mary.nothing_more()
    assert await unread(cid) == {"tom": (2, False), "jerry": (2, False)}


async def test_a_transient_message_is_in_no_history(application: Application, signed_in: SignIn) -> None:
    """Checklist 27."""
    cid = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")

    ack = await send(application, cid, "ghost", "typing", transient=True)

    for client in (tom, jerry):
        assert ((message := await heard(client)).id, message.transient) == (ack.uid, True)
    assert await history(jerry, cid) == []
    assert await unread(cid) == {"tom": (0, False), "jerry": (0, False)}


async def test_the_message_may_be_an_object(application: Application, signed_in: SignIn) -> None:
    """Checklist 26: it is written as JSON, without spaces."""
    cid = await started(application, "tom", "jerry")
    jerry = await signed_in("jerry")

    await send(application, cid, "tom", {"_lctype": -1, "_lctext": "hé"}, push_data='{"alert":"hé"}')

    assert (await heard(jerry)).msg == '{"_lctype":-1,"_lctext":"hé"}'


async def test_a_message_has_5120_bytes_at_most(application: Application, signed_in: SignIn) -> None:
    """Checklist 26: what is longer is stored nowhere and reaches nobody; a push counts likewise."""
    cid = await started(application, "tom", "jerry")
    jerry = await signed_in("jerry")
    fits = "é" * 2560

    await send(application, cid, "tom", fits)
    assert code(await attempt(application, cid, "tom", fits + "e")) == (400, 4109)
    assert code(await attempt(application, cid, "tom", fits, push_data={"alert": ""})) == (400, 4109)

    assert (await heard(jerry)).msg == fits
    await jerry.nothing_more()
    assert await texts(jerry, cid) == [fits]


async def test_mentions_are_delivered_and_counted(application: Application, signed_in: SignIn) -> None:
    """As those of a client's message; nobody mentions himself."""
    cid = await started(application, "tom", "jerry", "mary")
    jerry = await signed_in("jerry")

    await send(application, cid, "tom", mention_client_ids=["jerry", "tom", "jerry"])
    assert list((await heard(jerry)).mentionPids) == ["jerry", "tom"]
    assert await unread(cid) == {"tom": (0, False), "jerry": (1, True), "mary": (1, False)}

    await send(application, cid, "tom", mention_all=True)
    assert (await heard(jerry)).mentionAll
    assert await unread(cid) == {"tom": (0, False), "jerry": (2, True), "mary": (2, True)}


# Deeper than it could be written again.
NESTED = json.loads('{"a":' * 300 + "1" + "}" * 300)
BAD: list[tuple[str, Any, int]] = [
    ("from_client", None, 1),
    ("from_client", 7, 1),
    ("from_client", "", 4103),
    ("from_client", "x" * 65, 4103),
    ("from_client", "a\0b", 4103),
    ("message", None, 1),
    ("message", ["a"], 1),
    ("message", "a\0b", 1),
    ("message", NESTED, 1),
    ("transient", "perhaps", 1),
    ("no_sync", [], 1),
    ("push_data", 7, 1),
    ("priority", "urgent", 1),
    ("priority", {}, 1),
    ("mention_all", "all", 1),
    ("mention_client_ids", "jerry", 1),
    ("mention_client_ids", [7], 1),
    ("mention_client_ids", [""], 4103),
    ("mention_client_ids", [str(number) for number in range(21)], 1),
]


@pytest.mark.parametrize(("field", "value", "expected"), BAD)
async def test_bad_input_changes_nothing(
    application: Application, signed_in: SignIn, field: str, value: Any, expected: int
) -> None:
    """The documented error; nothing is stored and nobody hears of it."""
    cid = await started(application, "tom", "jerry")
    jerry = await signed_in("jerry")
    before = await whole(cid)

    answer = await attempt(application, cid, **{"sender": "tom", "message": "hello"} | _asked(field, value))

    assert code(answer) == (400, expected)
    assert await whole(cid) == before
    await jerry.nothing_more()


def _asked(field: str, value: Any) -> dict[str, Any]:
    return {{"from_client": "sender"}.get(field, field): value}


async def test_a_family_serves_its_own_conversations_only(application: Application, signed_in: SignIn) -> None:
    """4313, 4314, 4316 name the kind it is not; an unknown id, one of another application included, is 4401."""
    cid, service = await started(application, "tom"), await service_of(application)
    tom = await signed_in("tom")
    room = await room_of(tom)
    others = await started(await another_application(), "tom")

    assert code(await attempt(application, room)) == (400, 4314)
    assert code(await attempt(application, service)) == (400, 4314)
    assert code(await attempt(application, cid, of=CHAT_ROOMS)) == (400, 4316)
    for unknown in (others, "nothing", "x" * 500):
        assert code(await attempt(application, unknown)) == (400, 4401)
        assert code(await attempt(application, unknown, of=CHAT_ROOMS)) == (400, 4401)
    await tom.nothing_more()


async def test_only_the_developer_may(application: Application, signed_in: SignIn) -> None:
    """The app key is no more than a client has."""
    cid = await started(application, "tom", "jerry")
    jerry = await signed_in("jerry")
    body = {"from_client": "tom", "message": "hello", "conv_id": cid, "from_peer": "tom", "timestamp": 1}

    for method, path in (
        ("POST", f"/1.2/rtm/conversations/{cid}/messages"),
        ("PUT", f"/1.2/rtm/conversations/{cid}/messages/some"),
        ("PUT", f"/1.2/rtm/conversations/{cid}/messages/some/recall"),
        ("DELETE", f"/1.2/rtm/conversations/{cid}/messages/some"),
        ("POST", OLD),
        ("PUT", "/1.1/rtm/patch/message"),
    ):
        assert code(await call(method, path, app_of(application), body)) == (403, 403)

    await jerry.nothing_more()


@pytest.mark.usefixtures("one_minute")
async def test_sends_count_in_the_budget_of_messages(application: Application, obey_settings: ObeySettings) -> None:
    """Checklist 37: in both versions, edits and recalls included; deleting does not."""
    await obey_settings(RestSettings, rest_messages_per_minute=1)
    cid = await started(application, "tom", "jerry")
    ack = await send(application, cid)

    named = {"from_client": "tom", "timestamp": ack.t, "message": "edited"}
    path = f"/1.2/rtm/conversations/{cid}/messages"
    assert code(await attempt(application, cid)) == (429, 429)
    assert code(await ask(application, "POST", OLD, {})) == (429, 429)
    assert code(await ask(application, "PUT", f"{path}/{ack.uid}", named)) == (429, 429)
    assert code(await ask(application, "PUT", f"{path}/{ack.uid}/recall", named)) == (429, 429)
    assert code(await ask(application, "PUT", "/1.1/rtm/patch/message", {})) == (429, 429)
    assert (await ask(application, "DELETE", f"{path}/{ack.uid}", named)).status_code == 200


async def test_in_1_1_a_message_is_transient_unless_it_says_otherwise(
    application: Application, signed_in: SignIn
) -> None:
    """Checklist 38."""
    cid = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")

    said = [
        acknowledgement(
            await ask(application, "POST", OLD, {"from_peer": "tom", "conv_id": cid, "message": "a"} | more)
        )
        for more in ({}, {"transient": False}, {"transient": True, "no_sync": True})
    ]

    for client, expected in ((tom, said[:2]), (jerry, said)):
        assert [(await heard(client)).id for _ in expected] == [ack.uid for ack in expected]
        await client.nothing_more()
    assert [item.msgId for item in await history(jerry, cid)] == [said[1].uid]


async def test_in_1_1_the_id_alone_decides_the_kind(application: Application, signed_in: SignIn) -> None:
    """A chat room, a temporary conversation, a service conversation, which speaks to `to_peers`."""
    temporary = await started(application, "jerry", kind=Kind.TEMPORARY, ttl_seconds=3600)
    tom, jerry, mary = await signed_in("tom"), await signed_in("jerry"), await signed_in("mary")
    room, service = await room_of(tom), await service_of(application)
    await add(jerry, room, "jerry")

    for cid, kind in ((room, Kind.CHAT_ROOM), (temporary, Kind.TEMPORARY), (service, Kind.SYSTEM)):
        body = {
            "from_client": "ghost",
            "conv_id": cid,
            "message": {"a": 1},
            "transient": False,
            "to_clients": ["jerry"],
        }
        ack = acknowledgement(await ask(application, "POST", OLD, body))
        message = await heard(jerry)
        assert (message.id, message.convType, message.msg) == (ack.uid, kind, '{"a":1}')
        if kind is Kind.CHAT_ROOM:
            assert (await heard(tom)).id == ack.uid

    for client in (tom, jerry, mary):
        await client.nothing_more()


async def test_in_1_1_bad_input_is_refused(application: Application, signed_in: SignIn) -> None:
    """A service conversation speaks to 1 to 20 clients; what is unknown is 4401."""
    cid, service = await started(application, "tom", "jerry"), await service_of(application)
    jerry = await signed_in("jerry")
    good = {"from_peer": "tom", "conv_id": cid, "message": "hello", "transient": False}
    before = await whole(cid)

    for bad, expected in (
        ({"conv_id": None}, 1),
        ({"from_peer": None}, 1),
        ({"from_peer": "x" * 65}, 4103),
        ({"message": None}, 1),
        ({"conv_id": "nothing"}, 4401),
        ({"conv_id": service}, 1),
        ({"conv_id": service, "to_peers": []}, 1),
        ({"conv_id": service, "to_peers": [str(number) for number in range(21)]}, 1),
        ({"conv_id": service, "to_peers": ["jerry"], "message": "x" * 5121}, 4109),
        ({"message": "x" * 5121}, 4109),
    ):
        assert code(await ask(application, "POST", OLD, good | bad)) == (400, expected), bad

    assert await whole(cid) == before
    await jerry.nothing_more()


async def test_clients_and_back_ends_share_one_order(application: Application, signed_in: SignIn) -> None:
    """Times rise, whoever speaks; marks count what is one's own, whoever said it in one's name."""
    cid = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")

    acks = [
        await say(tom, cid, "one"),
        await send(application, cid, "jerry", "two"),
        await send(application, cid, "ghost", "three"),
        await say(jerry, cid, "four"),
    ]

    assert [item.msgId for item in await history(jerry, cid)] == [ack.uid for ack in acks]
    assert sorted({ack.t for ack in acks}) == [ack.t for ack in acks]
    assert await unread(cid) == {"tom": (3, False), "jerry": (2, False)}
