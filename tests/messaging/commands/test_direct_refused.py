"""Messages that are not accepted: too long, not allowed, not supported."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from imcore.models import Application
from imcore.protocol.message_pb2 import CommandType, ConvCommand, DirectCommand, OpType
from messaging.models import MessagingSettings
from tests.conftest import SignIn
from tests.messaging.support import (
    another_application,
    attempt,
    heard,
    rows,
    say,
    started,
)


@pytest.mark.parametrize("size", [5120, 5121])
@pytest.mark.parametrize("push_data", ["", "{}", "💬" * 500])
@pytest.mark.parametrize("is_binary", [False, True])
async def test_body_and_push_data_have_5120_bytes_at_most(
    application: Application, signed_in: SignIn, size: int, push_data: str, is_binary: bool
) -> None:
    """Checklist 69: at the bound a message passes, above it the ack says 4109 and the connection goes on."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    length = size - len(push_data.encode())
    body: dict[str, Any] = (
        {"binaryMsg": b"b" * length} if is_binary else {"msg": "é" * (length // 2) + "t" * (length % 2)}
    )

    ack = await attempt(tom, room, pushData=push_data, **body)

    if size <= 5120:
        assert not ack.HasField("code")
    else:
        assert (ack.code, ack.reason) == (4109, "FRAME_TOO_LONG")
        await say(tom, room, "usable")
    await heard(jerry)
    await jerry.nothing_more()


async def test_an_application_may_choose_another_bound(
    application: Application, signed_in: SignIn, obey_settings: Callable[..., Awaitable[None]]
) -> None:
    """Checklist 69."""
    room = await started(application, "tom", "jerry")
    tom = await signed_in("tom")

    await obey_settings(MessagingSettings, message_max_bytes=10)
    short, long = await attempt(tom, room, "1234567890"), await attempt(tom, room, "12345678901")
    await obey_settings(MessagingSettings, message_max_bytes=20_000)
    raised = await attempt(tom, room, "t" * 20_000)

    assert [short.HasField("code"), long.code, raised.HasField("code")] == [False, 4109, False]


async def test_who_is_not_a_member_cannot_send(application: Application, signed_in: SignIn) -> None:
    """Checklist 53."""
    room = await started(application, "tom", "jerry")
    mary, jerry = await signed_in("mary"), await signed_in("jerry")

    ack = await attempt(mary, room, "let me in")

    assert (ack.code, ack.reason) == (4401, "INVALID_MESSAGING_TARGET")
    assert not ack.HasField("appCode")
    await jerry.nothing_more()
    assert await rows(room) == []


async def test_who_is_not_a_member_cannot_send_a_transient_message(application: Application, signed_in: SignIn) -> None:
    """Checklist 53, 55."""
    room = await started(application, "tom", "jerry")
    mary, jerry = await signed_in("mary"), await signed_in("jerry")

    ack = await attempt(mary, room, "typing…", transient=True)

    assert ack.code == 4401
    await jerry.nothing_more()


async def test_who_has_left_cannot_send_and_hears_nothing(application: Application, signed_in: SignIn) -> None:
    """Checklist 53."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    await jerry.request(CommandType.conv, OpType.remove, convMessage=ConvCommand(cid=room, m=["jerry"]))
    await jerry.notice(CommandType.conv, OpType.left)

    refused = await attempt(jerry, room, "one more thing")
    await say(tom, room, "gone?")
    await say(tom, room, "typing…", transient=True)

    assert refused.code == 4401
    await jerry.nothing_more()


@pytest.mark.parametrize("conversation_id", ["", "5f0000000000000000000000", "x" * 65, "a\0b", "_tmp:nothing", "中文"])
async def test_an_unknown_conversation_is_told_in_the_ack(
    application: Application, signed_in: SignIn, conversation_id: str
) -> None:
    """Checklist 53."""
    tom = await signed_in("tom")

    ack = await attempt(tom, conversation_id, "anybody?")

    assert (ack.code, ack.reason) == (4303, "CONVERSATION_NOT_FOUND")


async def test_a_conversation_of_another_application_is_unknown(application: Application, signed_in: SignIn) -> None:
    """Checklist 53."""
    other = await started(await another_application(), "tom", "jerry")
    tom = await signed_in("tom")

    ack = await attempt(tom, other, "anybody?")

    assert ack.code == 4303


@pytest.mark.parametrize(
    "fields",
    [
        {"msg": "hi", "toPeerIds": ["jerry"]},
        {"msg": "late", "will": True, "toPeerIds": ["jerry"]},
        {"msg": "hi", "roomId": "room"},
    ],
)
async def test_what_is_not_supported_is_told_in_the_ack(
    application: Application, signed_in: SignIn, fields: dict[str, Any]
) -> None:
    """Checklist 7."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")

    ack = await attempt(tom, room, **fields)

    assert (ack.code, ack.reason) == (4200, "INTERNAL_ERROR")
    await jerry.nothing_more()
    assert await rows(room) == []


@pytest.mark.parametrize(
    "body", [DirectCommand(cid="room", transient=True), DirectCommand(cid="room"), DirectCommand()]
)
async def test_a_message_without_a_body_is_refused(signed_in: SignIn, body: DirectCommand) -> None:
    """Checklist 51."""
    tom = await signed_in("tom")

    reply = await tom.request(CommandType.direct, directMessage=body)

    assert reply.cmd == CommandType.ack
    assert reply.ackMessage.code == 4301
    assert reply.ackMessage.uid
    assert reply.ackMessage.t


async def test_a_command_without_its_message_is_refused(signed_in: SignIn) -> None:
    """Checklist 51."""
    tom = await signed_in("tom")

    reply = await tom.request(CommandType.direct)

    assert (reply.cmd, reply.ackMessage.code) == (CommandType.ack, 4301)
