"""Golden frames of messages: `direct`, its ack, its copies, `logs`, and `patch`."""

from typing import Any

import pytest

from conversations.policy import Kind
from imcore.models import Application
from imcore.protocol.message_pb2 import CommandType, GenericCommand, LogsCommand, OpType, PatchCommand
from messaging.models import MessagingSettings
from tests.conftest import SignIn
from tests.imclient import ImClient
from tests.messaging.patching import edit_of, recall_of
from tests.messaging.returning import OFFLINE_PUSH, Connect, patched, set_marks
from tests.messaging.signing_in import ObeySettings
from tests.messaging.support import command, heard, say, started
from tests.wire.golden import assert_golden


async def exchange(client: ImClient, cmd: Any, **fields: Any) -> list[GenericCommand]:
    """Send a command; return it and its reply."""
    op = fields.pop("op", None)
    reply = await client.request(cmd, op, **fields)
    request = GenericCommand(cmd=cmd, peerId=client.client_id, i=reply.i, **fields)
    if op is not None:
        request.op = op
    return [request, reply]


async def test_direct(application: Application, signed_in: SignIn) -> None:
    """A text with everything a client may add; its ack; the copy."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    message = command(
        room,
        '{"_lctype":-1,"_lctext":"hello, @jerry"}',
        r=True,
        dt="6e0dc2f1-6d5e-4d3a-a3b0-6ae9d0c7d7a5",
        pushData='{"alert":"hello"}',
        mentionPids=["jerry"],
        mentionAll=True,
        fromPeerId="tom",
    )

    frames = await exchange(tom, CommandType.direct, directMessage=message)

    assert_golden("direct", *frames, await jerry.next_notice())


async def test_direct_binary(application: Application, signed_in: SignIn) -> None:
    """Bytes, in a temporary conversation."""
    room = await started(application, "tom", "jerry", kind=Kind.TEMPORARY, ttl_seconds=60)
    tom, jerry = await signed_in("tom"), await signed_in("jerry")

    frames = await exchange(tom, CommandType.direct, directMessage=command(room, binaryMsg=b"\0\1\2\xff"))

    assert_golden("direct_binary", *frames, await jerry.next_notice())


async def test_direct_will(application: Application, signed_in: SignIn) -> None:
    """A will, its ack, and what comes of it when its client is lost."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")

    frames = await exchange(tom, CommandType.direct, directMessage=command(room, "tom is gone", will=True))
    await tom.wire.close()

    assert_golden("direct_will", *frames, await jerry.next_notice())


async def test_direct_transient(application: Application, signed_in: SignIn) -> None:
    """A message that is not kept."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")

    frames = await exchange(tom, CommandType.direct, directMessage=command(room, "typing…", transient=True))

    assert_golden("direct_transient", *frames, await jerry.next_notice())


async def test_direct_refused(application: Application, signed_in: SignIn) -> None:
    """The ack of a failure, to one who is not a member."""
    room = await started(application, "tom", "jerry")
    mary = await signed_in("mary")

    frames = await exchange(mary, CommandType.direct, directMessage=command(room, "let me in"))

    assert_golden("direct_refused", *frames)


async def test_logs(application: Application, signed_in: SignIn) -> None:
    """A page with a text, bytes and mentions; asked the way JavaScript does."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    acks = [
        await say(tom, room, '{"_lctype":-1,"_lctext":"one"}'),
        await say(jerry, room, binaryMsg=b"\0\1\2\xff"),
        await say(tom, room, "three", mentionPids=["jerry", "mary"]),
        await say(tom, room, "four", mentionAll=True),
        await say(tom, room, "five"),
    ]
    asked = LogsCommand(cid=room, l=4, t=acks[-1].t, mid=acks[-1].uid, tIncluded=False)

    frames = await exchange(tom, CommandType.logs, logsMessage=asked)

    assert_golden("logs", *frames)


async def test_logs_as_csharp_asks(application: Application, signed_in: SignIn) -> None:
    """C# sends an `op`; the reply has none. Forward, and empty."""
    room = await started(application, "tom", "jerry")
    tom = await signed_in("tom")
    asked = LogsCommand(cid=room, limit=20, direction=LogsCommand.QueryDirection.NEW, t=0)

    frames = await exchange(tom, CommandType.logs, op=OpType.open, logsMessage=asked)

    assert_golden("logs_empty", *frames)


async def test_logs_refused(application: Application, signed_in: SignIn) -> None:
    """The error of a question by one who is not a member."""
    room = await started(application, "tom", "jerry")
    mary, tom, jerry = await signed_in("mary"), await signed_in("tom"), await signed_in("jerry")
    await say(tom, room, "secret")
    await heard(jerry)

    frames = await exchange(mary, CommandType.logs, logsMessage=LogsCommand(cid=room))

    assert_golden("logs_refused", *frames)


@pytest.mark.usefixtures("patches_enabled")
async def test_patch_edit(application: Application, signed_in: SignIn) -> None:
    """An edit with mentions, and what the other member hears, who was not mentioned before; then bytes, as of Java."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    ack = await say(tom, room, '{"_lctype":-1,"_lctext":"helo"}')
    await heard(jerry)
    text = '{"_lctype":-1,"_lctext":"hello, @jerry"}'
    as_text = edit_of(room, ack, text, mentionPids=["jerry"], mentionAll=True)
    as_bytes = edit_of(room, ack, data=b"\0\1\2\xff", mentionPids=["jerry"], mentionAll=True)

    frames = []
    for item in (as_text, as_bytes):
        body = PatchCommand(patches=[item])
        frames += await exchange(tom, CommandType.patch, op=OpType.modify, patchMessage=body)
        frames.append(await jerry.next_notice())
        if item is as_text:
            frames.append(await jerry.next_notice())

    assert_golden("patch_edit", *frames)


@pytest.mark.usefixtures("patches_enabled")
async def test_patch_recall(application: Application, signed_in: SignIn) -> None:
    """A recall, what the other member hears of it, its new count included, and history."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    ack = await say(tom, room, '{"_lctype":-1,"_lctext":"oops"}')
    await heard(jerry)
    body = PatchCommand(patches=[recall_of(room, ack)])

    frames = await exchange(tom, CommandType.patch, op=OpType.modify, patchMessage=body)
    notices = [await jerry.next_notice(), await jerry.next_notice()]
    logs = await exchange(jerry, CommandType.logs, logsMessage=LogsCommand(cid=room))

    assert_golden("patch_recall", *frames, *notices, logs[1])


@pytest.mark.usefixtures("patches_enabled")
async def test_patch_refused(application: Application, signed_in: SignIn) -> None:
    """The error of editing what somebody else wrote."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    ack = await say(tom, room, "mine")
    await heard(jerry)
    body = PatchCommand(patches=[edit_of(room, ack, "yours")])

    frames = await exchange(jerry, CommandType.patch, op=OpType.modify, patchMessage=body)

    assert_golden("patch_refused", *frames)


async def test_what_is_told_at_login(application: Application, signed_in: SignIn) -> None:
    """Counts of a normal and of a temporary conversation, then a patch of a message that was read."""
    room = await started(application, "tom", "jerry")
    passing = await started(application, "tom", "jerry", kind=Kind.TEMPORARY, ttl_seconds=60)
    tom = await signed_in("tom")
    edited = await say(tom, room, '{"_lctype":-1,"_lctext":"typo"}')
    await say(tom, room, '{"_lctype":-1,"_lctext":"@jerry"}', mentionPids=["jerry"])
    await say(tom, passing, binaryMsg=b"\0\1\2\xff")
    await patched(edited.uid, at_ms=edited.t + 1, text='{"_lctype":-1,"_lctext":"no typo"}')
    await set_marks(room, "jerry", read_seq=1)

    jerry = await signed_in("jerry", lastPatchTime=edited.t)

    assert_golden("told_at_login", *[await jerry.next_notice() for _ in range(3)])


async def test_messages_pushed_at_login(
    application: Application, signed_in: SignIn, connect: Connect, obey_settings: ObeySettings
) -> None:
    """To an old client: one that was recalled, and one with mentions, of more than are pushed."""
    await obey_settings(MessagingSettings, offline_messages_max=2)
    room = await started(application, "tom", "jerry")
    tom = await signed_in("tom")
    _, recalled, _ = [await say(tom, room, text, mentionAll=True) for text in ("left out", "recalled", "@all")]
    await patched(recalled.uid, at_ms=recalled.t + 1)

    jerry = await signed_in("jerry", wire=await connect(OFFLINE_PUSH))

    assert_golden("pushed_at_login", *[await jerry.next_notice() for _ in range(2)])
