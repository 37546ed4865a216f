"""Golden frames of `conv/…`: commands in, replies and notices out."""

from collections.abc import Awaitable, Callable
from typing import Any

from conversations.models import ConversationSettings
from imcore.protocol.message_pb2 import CommandType, ConvCommand, GenericCommand, OpType
from tests.conftest import SignIn
from tests.conversations.talking import attr, heard, say, start
from tests.imclient import ImClient
from tests.wire.golden import assert_golden


async def exchange(client: ImClient, op: OpType, **fields: Any) -> list[GenericCommand]:
    """Send a command; return it, its reply, and the notices that came after."""
    body = ConvCommand(**fields)
    reply = await client.request(CommandType.conv, op, convMessage=body)
    request = GenericCommand(cmd=CommandType.conv, op=op, peerId=client.client_id, i=reply.i, convMessage=body)
    return [request, reply, *await heard(client)]


async def quietly_started(client: ImClient, *members: str, **fields: Any) -> str:
    """Start a conversation, let its creator hear of it, and return its id."""
    cid = (await start(client, *members, **fields)).cid
    await heard(client)
    return cid


async def test_started(signed_in: SignIn) -> None:
    """A unique start: `started`, `joined`, `members_joined`."""
    tom = await signed_in("tom")

    frames = await exchange(tom, OpType.start, m=["jerry"], unique=True, attr=attr('{"name":"T & J"}'))

    assert_golden("conv_started", *frames)


async def test_started_again(signed_in: SignIn) -> None:
    """The same unique start once more: `existing`, and no notice."""
    tom = await signed_in("tom")
    await quietly_started(tom, "jerry", unique=True)

    frames = await exchange(tom, OpType.start, m=["jerry", "tom"], unique=True)

    assert_golden("conv_started_again", *frames)


async def test_started_temporary(signed_in: SignIn) -> None:
    """A temporary start: the prefix, and what the notices say of it."""
    tom = await signed_in("tom")

    frames = await exchange(tom, OpType.start, m=["jerry"], tempConv=True, tempConvTTL=3600)

    assert_golden("conv_started_temporary", *frames)


async def test_added(signed_in: SignIn, obey_settings: Callable[..., Awaitable[None]]) -> None:
    """A adds B and C, for whom there is no room; then what B is told."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    cid = await quietly_started(tom)
    await obey_settings(ConversationSettings, members_max=2)

    frames = await exchange(tom, OpType.add, cid=cid, m=["jerry", "spike"])

    assert_golden("conv_added", *frames, *await heard(jerry))


async def test_joined(signed_in: SignIn) -> None:
    """B joins; then what A is told."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    cid = await quietly_started(tom)

    frames = await exchange(jerry, OpType.add, cid=cid, m=["jerry"])

    assert_golden("conv_joined", *frames, *await heard(tom))


async def test_removed(signed_in: SignIn) -> None:
    """A removes B; then what B is told."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    cid = await quietly_started(tom, "jerry")
    await heard(jerry)

    frames = await exchange(tom, OpType.remove, cid=cid, m=["jerry"])

    assert_golden("conv_removed", *frames, *await heard(jerry))


async def test_left(signed_in: SignIn) -> None:
    """B leaves; then what A is told."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    cid = await quietly_started(tom, "jerry")
    await heard(jerry)

    frames = await exchange(jerry, OpType.remove, cid=cid, m=["jerry"])

    assert_golden("conv_left", *frames, *await heard(tom))


async def test_results(signed_in: SignIn) -> None:
    """A query with the last message; a compact one by id."""
    tom = await signed_in("tom")
    cid = await quietly_started(tom, "jerry", unique=True, attributes={"attr": {"k": 1}, "name": "T & J"})
    await say(tom, cid, '{"_lctype":-1,"_lctext":"hi"}')

    frames = [
        *await exchange(tom, OpType.query, flag=2),
        *await exchange(tom, OpType.query, flag=1, limit=1, where=attr(f'{{"$and":[{{"objectId":"{cid}"}}]}}')),
        *await exchange(tom, OpType.query, where=attr('{"m":"nobody"}')),
    ]

    assert_golden("conv_results", *frames)


async def test_results_of_temporary_conversations(signed_in: SignIn) -> None:
    """Temporary conversations are asked for by their ids."""
    tom = await signed_in("tom")
    cid = await quietly_started(tom, "jerry", tempConv=True, tempConvTTL=3600)

    frames = await exchange(tom, OpType.query, tempConvIds=[cid])

    assert_golden("conv_results_temporary", *frames)


async def test_counted_and_listed(signed_in: SignIn) -> None:
    """`count` with an explicit number, 0 as well; `members`."""
    tom = await signed_in("tom")
    cid = await quietly_started(tom, "jerry")
    empty = await quietly_started(tom)
    await tom.request(CommandType.conv, OpType.remove, convMessage=ConvCommand(cid=empty, m=["tom"]))
    await heard(tom)

    frames = [
        *await exchange(tom, OpType.count, cid=cid),
        *await exchange(tom, OpType.count, cid=empty),
        *await exchange(tom, OpType.members, cid=cid, limit=50),
    ]

    assert_golden("conv_counted", *frames)


async def test_updated(signed_in: SignIn) -> None:
    """Dotted keys and operators: `updated` to the actor, the same as a notice to the others, and a refusal."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    cid = await quietly_started(tom, "jerry", attributes={"name": "T & J", "attr": {"n": 1}, "gone": True})
    await heard(jerry)
    changes = '{"name":"猫和老鼠","attr.n":{"__op":"Increment","amount":2},"gone":{"__op":"Delete"}}'

    frames = [
        *await exchange(tom, OpType.update, cid=cid, attr=attr(changes)),
        *await heard(jerry),
        *await exchange(tom, OpType.update, cid=cid, attr=attr("{")),
    ]

    assert_golden("conv_updated", *frames)


async def test_muted(signed_in: SignIn) -> None:
    """`updated` for `mute` and `unmute`; nobody else hears of it."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    cid = await quietly_started(tom, "jerry")
    await heard(jerry)

    frames = [
        *await exchange(tom, OpType.mute, cid=cid),
        *await exchange(tom, OpType.unmute, cid=cid),
        *await heard(jerry),
    ]

    assert_golden("conv_muted", *frames)


async def test_refused(signed_in: SignIn) -> None:
    """Errors of whole requests: 4301, 4303, 4304, 4308, 4310, 4317."""
    tom, spike = await signed_in("tom"), await signed_in("spike")
    cid = await quietly_started(tom, "jerry")
    temporary = await quietly_started(tom, "jerry", tempConv=True)

    frames = [
        *await exchange(tom, OpType.start, m=["jerry"], attr=attr("{")),
        *await exchange(tom, OpType.start, m=[*"abcdefghij"], tempConv=True),
        *await exchange(tom, OpType.add, cid="nothing", m=["spike"]),
        *await exchange(tom, OpType.add, cid=temporary, m=["spike"]),
        *await exchange(spike, OpType.add, cid=cid, m=["tyke"]),
        *await exchange(tom, OpType.add, cid=cid, m=["x" * 65]),
        *await exchange(tom, OpType.query, where=attr('{"m":{"$where":"1"}}')),
    ]

    assert_golden("conv_refused", *frames)
