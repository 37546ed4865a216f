"""Golden frames of chat rooms and system conversations, where they differ from those of groups."""

from collections.abc import Awaitable, Callable

from conversations.models import ConversationSettings
from imcore.models import Application
from imcore.protocol.message_pb2 import BlacklistCommand, CommandType, DirectCommand, GenericCommand, OpType
from tests.conftest import SignIn
from tests.conversations.commands.test_systems import service_of
from tests.conversations.rooming import room_of
from tests.conversations.talking import add, attr, heard
from tests.imclient import ImClient
from tests.wire.golden import assert_golden
from tests.wire.test_conversation_frames import exchange


async def test_started_room(signed_in: SignIn) -> None:
    """`started` without `uniqueId`, no notice; then its number, and who is there."""
    tom = await signed_in("tom")

    frames = await exchange(tom, OpType.start, transient=True, unique=True, attr=attr('{"name":"lobby"}'))
    cid = frames[1].convMessage.cid

    assert_golden(
        "conv_started_room",
        *frames,
        *await exchange(tom, OpType.count, cid=cid),
        *await exchange(tom, OpType.members, cid=cid, limit=50),
        *await exchange(tom, OpType.query, where=attr(f'{{"objectId":"{cid}"}}')),
    )


async def test_entered_and_left_room(signed_in: SignIn) -> None:
    """B comes, with C, who cannot be brought; B goes; A is told nothing."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    cid = await room_of(tom)

    frames = [
        *await exchange(jerry, OpType.add, cid=cid, m=["jerry", "spike"]),
        *await exchange(jerry, OpType.remove, cid=cid, m=["jerry"]),
    ]

    assert_golden("conv_room_entered_and_left", *frames, *await heard(tom))


async def test_said_in_room(signed_in: SignIn) -> None:
    """What A is told of a message by B, stored and passing: `convType` 2."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    cid = await room_of(tom)

    frames = [
        *await _say(jerry, DirectCommand(cid=cid, msg="hi")),
        *await _say(jerry, DirectCommand(cid=cid, msg="typing", transient=True), priority=1),
    ]

    assert_golden("direct_room", *frames, *await heard(tom))


async def test_moderated_room(signed_in: SignIn, obey_settings: Callable[..., Awaitable[None]]) -> None:
    """A silences and blocks B; then what B is told: `shutuped` and `blocked` alone, with `transient`."""
    await obey_settings(ConversationSettings, roles_enabled=True, block_lists_enabled=True)
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    cid = await room_of(tom)
    await add(jerry, cid, "jerry")

    frames = await exchange(tom, OpType.add_shutup, cid=cid, m=["jerry"])
    body = BlacklistCommand(srcCid=cid, toPids=["jerry"])
    frames.append(await tom.request(CommandType.blacklist, OpType.block, blacklistMessage=body))

    assert_golden("conv_room_moderated", *frames, *await heard(tom), *await heard(jerry))


async def test_subscribed(signed_in: SignIn, application: Application) -> None:
    """B subscribes, with C, who cannot be; `is_member`; the conversation before and after."""
    jerry = await signed_in("jerry")
    cid = await service_of(application)
    by_id = attr(f'{{"objectId":"{cid}"}}')

    frames = [
        *await exchange(jerry, OpType.query, where=by_id),
        *await exchange(jerry, OpType.add, cid=cid, m=["jerry", "spike"]),
        *await exchange(jerry, OpType.is_member, cids=[cid]),
        *await exchange(jerry, OpType.query, where=by_id),
        *await exchange(jerry, OpType.remove, cid=cid, m=["jerry"]),
    ]

    assert_golden("conv_system_subscribed", *frames)


async def _say(client: ImClient, body: DirectCommand, **fields: int) -> list[GenericCommand]:
    reply = await client.request(CommandType.direct, directMessage=body, **fields)
    request = GenericCommand(
        cmd=CommandType.direct,
        i=reply.i,
        peerId=client.client_id,
        directMessage=body,
        **fields,  # type: ignore[arg-type]
    )
    return [request, reply]
