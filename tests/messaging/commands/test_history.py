"""`logs`: paging through what was said."""

from base64 import b64decode
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest

from conversations.models import Conversation
from conversations.policy import Kind
from imcore import identifiers
from imcore.bridge import in_database
from imcore.models import Application
from imcore.protocol.message_pb2 import (
    CommandType,
    ConvCommand,
    GenericCommand,
    JsonObjectMessage,
    LogsCommand,
    OpType,
)
from messaging.models import Message
from tests.conftest import SignIn
from tests.imclient import ImClient, InProcess
from tests.messaging.support import (
    NEW,
    OLD,
    Imported,
    frozen,
    history,
    import_messages,
    imported_id,
    say,
    started,
    texts,
)

Connect = Callable[..., Awaitable[InProcess]]

T = 1_700_000_000_000
YEAR_4001 = 64_092_211_200_000  # Objective-C's "distant future"


@pytest.fixture
async def room(application: Application) -> str:
    """A conversation of tom and jerry with five messages, "0" to "4", at T, T + 10 … T + 40, imported."""
    conversation_id = await started(application, "tom", "jerry")
    await import_messages(conversation_id, [Imported(str(number), T + 10 * number, str(number)) for number in range(5)])
    return conversation_id


@pytest.fixture
async def tom(signed_in: SignIn, room: str) -> ImClient:
    """A member."""
    return await signed_in("tom")


def with_ids(conversation_id: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields with the names of imported messages turned into their ids."""
    return {
        key: imported_id(conversation_id, value)
        if key in ("mid", "tmid") and value in ("0", "1", "2", "3", "4")
        else value
        for key, value in fields.items()
    }


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "01234"),
        ({"limit": 2}, "34"),
        ({"direction": OLD, "limit": 2}, "34"),
        ({"direction": NEW, "limit": 2}, "01"),
        ({"t": 0, "tt": 0, "limit": 2}, "34"),
        ({"t": -1, "limit": 2}, "34"),
        # The start: exclusive unless included; in the middle between two messages too.
        ({"t": T + 20}, "01"),
        ({"t": T + 20, "tIncluded": True}, "012"),
        ({"t": T + 25}, "012"),
        ({"t": T + 25, "tIncluded": True}, "012"),
        ({"direction": NEW, "t": T + 20}, "34"),
        ({"direction": NEW, "t": T + 20, "tIncluded": True}, "234"),
        ({"direction": NEW, "t": T + 15}, "234"),
        # The end.
        ({"tt": T + 20}, "34"),
        ({"tt": T + 20, "ttIncluded": True}, "234"),
        ({"direction": NEW, "tt": T + 20}, "01"),
        ({"direction": NEW, "tt": T + 20, "ttIncluded": True}, "012"),
        # Both, and the page from the start's side.
        ({"t": T + 40, "tt": T}, "123"),
        ({"t": T + 40, "tIncluded": True, "tt": T, "ttIncluded": True}, "01234"),
        ({"t": T + 40, "tt": T, "limit": 1}, "3"),
        ({"direction": NEW, "t": T, "tt": T + 40, "limit": 1}, "1"),
        ({"t": T + 20, "tt": T + 20}, ""),
        ({"t": T + 20, "tIncluded": True, "tt": T + 20, "ttIncluded": True}, "2"),
        ({"t": T + 20, "tIncluded": True, "tt": T + 20}, ""),
        # A start beyond the end.
        ({"t": T, "tt": T + 40}, ""),
        ({"t": T, "tIncluded": True, "tt": T + 40, "ttIncluded": True}, ""),
        ({"direction": NEW, "t": T + 40, "tt": T}, ""),
        ({"direction": NEW, "t": T + 40, "tIncluded": True, "tt": T, "ttIncluded": True}, ""),
        ({"direction": NEW, "t": T + 40, "mid": "4", "tt": T, "tmid": "0", "ttIncluded": True}, ""),
        # By id.
        ({"t": T + 20, "mid": "2"}, "01"),
        ({"t": T + 20, "mid": "2", "tIncluded": True}, "012"),
        ({"direction": NEW, "t": T + 20, "mid": "2"}, "34"),
        ({"direction": NEW, "t": T + 20, "mid": "2", "tIncluded": True}, "234"),
        ({"tt": T + 20, "tmid": "2"}, "34"),
        ({"tt": T + 20, "tmid": "2", "ttIncluded": True}, "234"),
        ({"t": T + 40, "mid": "4", "tt": T + 10, "tmid": "1", "ttIncluded": True}, "123"),
        # An id says all there is to say; the time beside it counts where the id is unknown.
        ({"mid": "2"}, "01"),
        ({"direction": NEW, "mid": "2"}, "34"),
        ({"t": T + 40, "mid": "2"}, "01"),
        ({"t": T + 20, "mid": "unknown"}, "01"),
        ({"direction": NEW, "t": T + 20, "mid": "unknown", "tIncluded": True}, "234"),
        ({"mid": "unknown"}, "01234"),  # neither: without `t` there is no bound (4.11)
        ({"direction": NEW, "tmid": "unknown"}, "01234"),
        ({"t": T + 20, "mid": "a\0b"}, "01"),
        ({"t": T + 20, "mid": "x" * 5000}, "01"),
        # Far away.
        ({"t": YEAR_4001}, "01234"),
        ({"direction": NEW, "t": YEAR_4001}, ""),
        ({"t": 2**63 - 1, "tIncluded": True}, "01234"),
        ({"direction": NEW, "t": 2**63 - 1}, ""),
        ({"direction": NEW, "tt": 2**63 - 1, "ttIncluded": True, "t": 1}, "01234"),
        ({"t": -(2**63), "tt": -(2**63)}, "01234"),
        # Legacy.
        ({"checksum": "x", "stored": True}, "01234"),
    ],
)
async def test_a_page_is_cut_by_its_ends(tom: ImClient, room: str, fields: dict[str, Any], expected: str) -> None:
    """Checklist 61: ascending in both directions, boundaries as the flags say."""
    assert await texts(tom, room, **with_ids(room, fields)) == list(expected)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, 20),
        ({"limit": 0}, 20),
        ({"limit": 3}, 3),
        ({"l": 3}, 3),
        ({"l": 3, "limit": 7}, 3),
        ({"l": 0}, 0),
        ({"l": 0, "limit": 7}, 0),
        ({"limit": -1}, 1),
        ({"l": -1}, 1),
        ({"limit": 100}, 100),
        ({"limit": 101}, 100),
        ({"limit": 10_000}, 100),
        ({"l": 10_000}, 100),
        ({"l": 2**31 - 1}, 100),
        ({"limit": -(2**31)}, 1),
    ],
)
@pytest.mark.parametrize("direction", [OLD, NEW])
async def test_the_page_size_has_two_names_and_bounds(
    application: Application, signed_in: SignIn, fields: dict[str, Any], direction: Any, expected: int
) -> None:
    """Checklist 61: `l` from JavaScript, who means 0; `limit` from the others, where Java's 0 means nothing."""
    room = await started(application, "tom", "jerry")
    await import_messages(room, [Imported(str(number), T + number, str(number)) for number in range(110)])
    tom = await signed_in("tom")

    page = await texts(tom, room, direction=direction, **fields)

    everything = [str(number) for number in range(110)]
    wanted = everything[:expected] if direction == NEW else everything[len(everything) - expected :]
    assert page == wanted


async def test_old_clients_that_are_pushed_offline_messages_may_ask_for_a_thousand(
    application: Application, connect: Connect, signed_in: SignIn
) -> None:
    """Checklist 61: on subprotocols that end in .1."""
    room = await started(application, "tom", "jerry")
    await import_messages(room, [Imported(str(number), T + number, str(number)) for number in range(1005)])
    tom = await signed_in("tom", wire=await connect(("lc.protobuf2.1",)))

    pages = [await texts(tom, room, limit=limit) for limit in (0, 1000, 1001)]

    assert [len(page) for page in pages] == [20, 1000, 1000]
    assert pages[2] == [str(number) for number in range(5, 1005)]


@pytest.mark.parametrize("direction", [OLD, NEW])
@pytest.mark.parametrize("with_id", [True, False])
async def test_paging_meets_every_message_once(tom: ImClient, room: str, direction: Any, with_id: bool) -> None:
    """Checklist 61: with the last item's id, as SDKs do, and with its time alone where times differ."""
    seen: list[str] = []
    start: dict[str, Any] = {}
    while page := await history(tom, room, direction=direction, limit=2, **start):
        seen = [item.data for item in page] + seen if direction == OLD else seen + [item.data for item in page]
        edge = page[0] if direction == OLD else page[-1]
        start = {"t": edge.timestamp} | ({"mid": edge.msgId} if with_id else {})

    assert seen == list("01234")


@pytest.mark.parametrize("direction", [OLD, NEW])
async def test_paging_over_messages_of_one_moment_meets_each_once(
    application: Application, signed_in: SignIn, direction: Any
) -> None:
    """Checklist 62: rows with equal timestamps, as an import from elsewhere may bring them."""
    room = await started(application, "tom", "jerry")
    # Ids in no order: it is the sequence that orders them.
    await import_messages(room, [Imported(name, T, name) for name in ("c", "a", "e", "b", "d")])
    tom = await signed_in("tom")

    seen: list[str] = []
    start: dict[str, Any] = {}
    while page := await texts(tom, room, direction=direction, limit=2, **start):
        seen = page + seen if direction == OLD else seen + page
        start = {"t": T, "mid": imported_id(room, page[0] if direction == OLD else page[-1])}

    assert seen == ["c", "a", "e", "b", "d"]


async def test_messages_sent_in_one_moment_have_times_of_their_own(application: Application, signed_in: SignIn) -> None:
    """Checklist 62: so paging by time alone, as an SDK without the id does, loses none."""
    with frozen():
        room = await started(application, "tom", "jerry")
        tom = await signed_in("tom")
        for number in range(5):
            await say(tom, room, str(number))

        seen: list[str] = []
        start: dict[str, Any] = {}
        while page := await history(tom, room, limit=2, **start):
            seen = [item.data for item in page] + seen
            start = {"t": page[0].timestamp}

    assert seen == list("01234")


async def test_new_messages_follow_imported_ones(tom: ImClient, room: str) -> None:
    """Checklist 61, 62."""
    ack = await say(tom, room, "new")

    items = await history(tom, room)

    assert [item.data for item in items] == [*"01234", "new"]
    assert (items[-1].msgId, items[-1].timestamp) == (ack.uid, ack.t)


async def test_an_id_of_another_conversation_is_unknown(application: Application, tom: ImClient, room: str) -> None:
    """Checklist 61."""
    other = await started(application, "tom", "jerry")
    await import_messages(other, [Imported(str(number), T + 10 * number, str(number)) for number in range(5)])

    page = await texts(tom, other, t=T + 30, mid=imported_id(room, "1"))

    assert page == list("012")


async def test_an_item_has_what_the_protocol_asks_and_no_more(application: Application, signed_in: SignIn) -> None:
    """Checklist 61: an explicit 0 in a time would be 1970 in JavaScript."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    ack = await say(tom, room, "hello")

    (item,) = await history(jerry, room)

    assert {field.name for field, _ in item.ListFields()} == {"msgId", "from", "timestamp", "data", "convType"}
    assert (item.msgId, getattr(item, "from"), item.timestamp, item.convType) == (ack.uid, "tom", ack.t, Kind.NORMAL)


async def test_an_empty_page_is_an_answer(application: Application, signed_in: SignIn) -> None:
    """Checklist 61."""
    room = await started(application, "tom", "jerry")
    tom = await signed_in("tom")

    reply = await tom.request(CommandType.logs, logsMessage=LogsCommand(cid=room))

    assert (reply.cmd, reply.logsMessage.cid, len(reply.logsMessage.logs)) == (CommandType.logs, room, 0)
    assert not reply.HasField("op")


async def test_csharps_op_is_ignored(tom: ImClient, room: str) -> None:
    """Checklist 61."""
    reply = await tom.request(CommandType.logs, OpType.open, logsMessage=LogsCommand(cid=room, limit=2))

    assert reply.cmd == CommandType.logs
    assert [item.data for item in reply.logsMessage.logs] == ["3", "4"]


async def test_a_binary_message_is_base64_in_history_and_results(application: Application, signed_in: SignIn) -> None:
    """Checklist 37, 56: with `bin` in both places."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    body = bytes(range(256))
    ack = await say(tom, room, binaryMsg=body, mentionAll=True, mentionPids=["jerry"])

    (item,) = await history(jerry, room)
    found = await jerry.request(CommandType.conv, OpType.query, convMessage=ConvCommand(flag=2))

    assert item.bin
    assert b64decode(item.data, validate=True) == body
    (result,) = orjson.loads(found.convMessage.results.data)
    assert result["msg"] == item.data
    assert (result["bin"], result["msg_mid"], result["msg_from"]) == (True, ack.uid, "tom")
    assert (result["msg_timestamp"], result["mention_all"], result["mention_pids"]) == (ack.t, True, ["jerry"])


def talked_in(application: Application, number: int) -> list[str]:
    """Insert conversations with one message each."""
    conversations = Conversation.objects.bulk_create(
        Conversation(
            application=application, object_id=identifiers.object_id(T), last_seq=1, created_ms=T, updated_ms=T
        )
        for _ in range(number)
    )
    Message.objects.bulk_create(
        Message(
            message_id=identifiers.message_id(T),
            application=application,
            conversation_id=conversation.pk,
            seq=1,
            timestamp_ms=T,
            sender="tom",
            text=f"last of {conversation.object_id}",
        )
        for conversation in conversations
    )
    return [conversation.object_id for conversation in conversations]


async def test_a_thousand_conversations_show_their_last_messages(application: Application, signed_in: SignIn) -> None:
    """Checklist 37: as many as one query may return."""
    rooms = await in_database(talked_in, application, 1000)
    tom = await signed_in("tom")

    where = orjson.dumps({"objectId": {"$in": rooms}}).decode()
    found = await tom.request(
        CommandType.conv,
        OpType.query,
        convMessage=ConvCommand(flag=3, limit=1000, where=JsonObjectMessage(data=where)),
    )

    assert found.cmd == CommandType.conv, found
    results = orjson.loads(found.convMessage.results.data)
    assert {result["objectId"]: result["msg"] for result in results} == {room: f"last of {room}" for room in rooms}


async def test_a_page_may_be_of_one_message_type(application: Application, signed_in: SignIn) -> None:
    """Checklist 61: `lctype` counts matching messages only; binary and plain ones have no type."""
    room = await started(application, "tom", "jerry")
    tom = await signed_in("tom")
    bodies = [f'{{"_lctype":{kind},"_lctext":"{number}"}}' for number, kind in enumerate([-1, -2, 5, -1, 0, -1])]
    for body in bodies:
        await say(tom, room, body)
        await say(tom, room, "plain")
        await say(tom, room, binaryMsg=body.encode())

    by_type = {kind: await texts(tom, room, lctype=kind) for kind in (-1, -2, 5, 0, 7)}

    assert by_type == {-1: [bodies[0], bodies[3], bodies[5]], -2: [bodies[1]], 5: [bodies[2]], 0: [bodies[4]], 7: []}
    assert await texts(tom, room, lctype=-1, limit=2) == [bodies[3], bodies[5]]
    assert await texts(tom, room, lctype=-1, limit=2, direction=NEW) == [bodies[0], bodies[3]]


async def test_a_question_without_serial_gets_no_answer(tom: ImClient, room: str) -> None:
    """Checklist 61."""
    await tom.wire.send(GenericCommand(cmd=CommandType.logs, logsMessage=LogsCommand(cid=room)))

    await tom.nothing_more()


async def test_messages_deleted_from_the_database_leave_no_hole_in_a_page(tom: ImClient, room: str) -> None:
    """Checklist 61: retention deletes old rows; a page is full all the same."""
    await in_database(lambda: Message.objects.filter(message_id=imported_id(room, "3")).delete())

    assert await texts(tom, room, limit=3) == ["1", "2", "4"]
    assert await texts(tom, room, t=T + 30, mid=imported_id(room, "3")) == ["0", "1", "2"]
