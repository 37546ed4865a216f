"""Sending a message, as the sender and the receivers see it."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from conversations.policy import Kind
from imcore.models import Application
from imcore.protocol.message_pb2 import CommandType, GenericCommand
from tests.conftest import SignIn
from tests.imclient import CONFIG_BITMAP, InProcess
from tests.messaging.support import (
    attempt,
    command,
    heard,
    history,
    member,
    message_of,
    rows,
    say,
    send_together,
    started,
    stored_conversation,
    texts,
)

Connect = Callable[..., Awaitable[InProcess]]


async def test_receivers_get_the_id_and_time_that_the_ack_tells(application: Application, signed_in: SignIn) -> None:
    """Checklist 51."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")

    ack = await say(tom, room, "hello")

    message = await heard(jerry)
    assert (message.id, message.timestamp) == (ack.uid, ack.t)
    assert (message.cid, message.fromPeerId, message.msg, message.convType) == (room, "tom", "hello", Kind.NORMAL)
    assert len(ack.uid) == 22
    await jerry.nothing_more()


async def test_a_successful_ack_has_an_id_and_a_time_and_nothing_else(
    application: Application, signed_in: SignIn
) -> None:
    """Checklist 51: every SDK takes the mere presence of a code for failure."""
    room = await started(application, "tom", "jerry")
    tom = await signed_in("tom")

    ack = await say(tom, room, "hello")

    assert {field.name for field, _ in ack.ListFields()} == {"uid", "t"}


async def test_a_plain_delivery_has_no_optional_field(application: Application, signed_in: SignIn) -> None:
    """Checklist 51: `binaryMsg`, `transient`, `patchTimestamp` … would each mean something by being there."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")

    await say(tom, room, "hello", pushData='{"alert":"hi"}', dt="token", fromPeerId="someone else")

    message = await heard(jerry)
    assert {field.name for field, _ in message.ListFields()} == {
        "cid", "id", "fromPeerId", "timestamp", "msg", "convType",
    }  # fmt: skip
    assert message.fromPeerId == "tom"


async def test_the_senders_other_devices_get_the_message_and_the_sending_one_does_not(
    application: Application, signed_in: SignIn
) -> None:
    """Checklist 52."""
    room = await started(application, "tom", "jerry")
    phone, tablet = await signed_in("tom", deviceId="phone"), await signed_in("tom", deviceId="tablet")
    jerry, jerrys_phone = await signed_in("jerry", deviceId="one"), await signed_in("jerry", deviceId="two")

    ack = await say(phone, room, "hello")

    assert [(await heard(other)).id for other in (tablet, jerry, jerrys_phone)] == [ack.uid] * 3
    await phone.nothing_more()


async def test_who_is_not_a_member_hears_nothing(application: Application, signed_in: SignIn) -> None:
    """Checklist 51."""
    room = await started(application, "tom", "jerry")
    tom, mary = await signed_in("tom"), await signed_in("mary")

    await say(tom, room, "hello")

    await mary.nothing_more()


async def test_the_ack_comes_before_any_copy(application: Application, connect: Connect, signed_in: SignIn) -> None:
    """Checklist 51: sender and receiver share a connection, so the order on the wire shows."""
    room = await started(application, "tom", "jerry")
    wire = await connect()
    await signed_in("jerry", wire=wire)
    await signed_in("tom", wire=wire)

    await wire.send(GenericCommand(cmd=CommandType.direct, i=9, peerId="tom", directMessage=command(room, "hello")))

    assert [(frame.cmd, frame.peerId) for frame in [await wire.receive(), await wire.receive()]] == [
        (CommandType.ack, "tom"),
        (CommandType.direct, "jerry"),
    ]


async def test_a_message_without_serial_is_delivered_without_an_ack(
    application: Application, signed_in: SignIn
) -> None:
    """Checklist 51: JavaScript 3 sends transient messages like this."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")

    await tom.send(CommandType.direct, directMessage=command(room, "typing…", transient=True))

    assert (await heard(jerry)).msg == "typing…"
    await tom.nothing_more()


async def test_a_message_without_peer_id_is_that_of_the_first_client(
    application: Application, connect: Connect, signed_in: SignIn
) -> None:
    """Checklist 20, 51."""
    room = await started(application, "tom", "jerry")
    wire = await connect()
    await signed_in("tom", wire=wire)
    await signed_in("jerry", wire=wire)

    reply = await wire.request(CommandType.direct, directMessage=command(room, "hello"))

    assert (reply.cmd, reply.peerId) == (CommandType.ack, "tom")
    copy = await wire.receive()
    assert (copy.peerId, copy.directMessage.fromPeerId) == ("jerry", "tom")


async def test_a_wish_for_a_receipt_is_delivered_and_kept(application: Application, signed_in: SignIn) -> None:
    """Checklist 51."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")

    await say(tom, room, "hello", r=True)

    assert (await heard(jerry)).r
    assert [row.wants_receipt for row in await rows(room)] == [True]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "lone \r carriage return",
        "line\nfeed\r\n",
        "\0",
        "a\0b",
        "😀 é \u202e \ufeff \U0010ffff",
        "{broken json",
        '{"_lctype":-1,"_lctext":"hi"}',
        "'; DROP TABLE messaging_message; --",
        "%s %(x)s %%",
        "\\",
        "\x7f\x01",
    ],
)
async def test_any_text_arrives_and_is_kept_as_it_is(application: Application, signed_in: SignIn, text: str) -> None:
    """Checklist 51, 61."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")

    await say(tom, room, text)

    message = await heard(jerry)
    assert message.HasField("msg")
    assert message.msg == text
    assert not message.HasField("binaryMsg")
    (item,) = await history(jerry, room)
    assert item.data == text
    assert not item.HasField("bin")


async def test_a_binary_message_arrives_as_bytes(application: Application, signed_in: SignIn) -> None:
    """Checklist 56."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")

    await say(tom, room, binaryMsg=bytes(range(256)))

    message = await heard(jerry)
    assert message.binaryMsg == bytes(range(256))
    assert not message.HasField("msg")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"msg": "text", "binaryMsg": b""}, "text"),
        ({"msg": "", "binaryMsg": b""}, ""),
        ({"msg": "", "binaryMsg": b"\1"}, b"\1"),
        ({"binaryMsg": b""}, b""),
    ],
)
async def test_an_empty_binary_body_beside_a_text_is_no_body(
    application: Application, signed_in: SignIn, fields: dict[str, Any], expected: str | bytes
) -> None:
    """Checklist 56: C# takes a present, empty `binaryMsg` for a binary message, so a text's copy has none."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")

    await say(tom, room, **fields)

    message = await heard(jerry)
    assert message.HasField("binaryMsg") is isinstance(expected, bytes)
    assert message.HasField("msg") is isinstance(expected, str)
    assert (message.binaryMsg if isinstance(expected, bytes) else message.msg) == expected


async def test_mentions_are_delivered_and_kept(application: Application, signed_in: SignIn) -> None:
    """Checklist 57."""
    room = await started(application, "tom", "jerry", "mary")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")

    await say(tom, room, "@jerry", mentionPids=["jerry", "a stranger"])
    await say(tom, room, "@all", mentionAll=True)
    await say(tom, room, "nobody")

    copies = [await heard(jerry) for _ in range(3)]
    assert [list(copy.mentionPids) for copy in copies] == [["jerry", "a stranger"], [], []]
    assert [copy.mentionAll for copy in copies] == [False, True, False]
    kept = await history(jerry, room)
    assert [(list(item.mentionPids), item.mentionAll) for item in kept] == [
        (["jerry", "a stranger"], False),
        ([], True),
        ([], False),
    ]
    assert not kept[0].HasField("mentionAll")


async def test_a_mention_moves_the_counters_of_those_it_names(application: Application, signed_in: SignIn) -> None:
    """Checklist 57."""
    room = await started(application, "tom", "jerry", "mary")
    tom = await signed_in("tom")

    await say(tom, room, "nobody")
    await say(tom, room, "@jerry", mentionPids=["jerry"])
    await say(tom, room, "@all", mentionAll=True)
    await say(tom, room, "@mary", mentionPids=["mary", "jerry\0"])

    assert (await member(room, "jerry")).mentioned_seq == 2
    assert (await member(room, "mary")).mentioned_seq == 4
    assert (await member(room, "tom")).mentioned_seq == 0
    assert (await stored_conversation(room)).mention_all_seq == 3


async def test_a_transient_message_is_delivered_and_leaves_no_trace(
    application: Application, signed_in: SignIn
) -> None:
    """Checklist 55: absent from history, unread and last message."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    tablet = await signed_in("tom", deviceId="tablet")
    await say(tom, room, "kept")
    before = await stored_conversation(room), await member(room, "tom"), await member(room, "jerry")
    await heard(jerry)
    await heard(tablet)

    ack = await say(tom, room, "typing…", transient=True, mentionPids=["jerry"], r=True)

    for receiver in (jerry, tablet):
        message = await heard(receiver)
        assert message.transient
        assert (message.id, message.timestamp, message.msg) == (ack.uid, ack.t, "typing…")
        assert not message.HasField("r"), "no receipt will come"
    assert await texts(jerry, room) == ["kept"]
    after = await stored_conversation(room), await member(room, "tom"), await member(room, "jerry")
    for row_before, row_after in zip(before, after, strict=True):
        columns = [column.attname for column in row_before._meta.concrete_fields]
        assert [getattr(row_after, name) for name in columns] == [getattr(row_before, name) for name in columns]
    await tom.nothing_more()


async def test_who_is_offline_finds_the_message_in_history(application: Application, signed_in: SignIn) -> None:
    """Checklist 51: who was told and who fetches afresh agree."""
    room = await started(application, "tom", "jerry", "mary")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    sent = [
        command(room, "text"),
        command(room, binaryMsg=b"bytes"),
        command(room, "@", mentionAll=True, mentionPids=["mary"]),
    ]
    await send_together(tom, sent)
    told = [await heard(jerry) for _ in sent]

    mary = await signed_in("mary")
    fetched = await history(mary, room)

    assert [message_of(item, room) for item in fetched] == told


async def test_members_of_a_temporary_conversation_may_send(application: Application, signed_in: SignIn) -> None:
    """Checklist 51."""
    room = await started(application, "tom", "jerry", kind=Kind.TEMPORARY, ttl_seconds=60)
    tom, jerry, mary = await signed_in("tom"), await signed_in("jerry"), await signed_in("mary")
    old = await signed_in("jerry", deviceId="old", configBitmap=CONFIG_BITMAP & ~2)

    await say(tom, room, "hello")
    refused = await attempt(mary, room, "me too")

    message = await heard(jerry)
    assert (message.cid, message.convType) == (room, Kind.TEMPORARY)
    assert refused.code == 4401
    assert await texts(jerry, room) == ["hello"]
    await old.nothing_more()
