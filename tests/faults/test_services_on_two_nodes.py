"""System conversations across two server processes; what they say comes from a third (realtime-protocol 4.14)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from imcore.protocol.message_pb2 import CommandType
from tests.conversations.talking import add
from tests.faults.conftest import TwoNodes
from tests.faults.talking import own
from tests.faults.test_clients_on_two_nodes import ask
from tests.imclient import ImClient, OverSocket, sign_in
from tests.messaging.returning import OFFLINE_PUSH
from tests.processes import Server

pytestmark = [pytest.mark.faults, pytest.mark.slow]

NEW = ("lc.protobuf2.3",)

_MAKE = """
from conversations.models import Conversation
from conversations.policy import Kind
from imcore import identifiers
from imcore.models import Application

now = identifiers.now_ms()
made = Conversation.objects.create(
    application=Application.objects.get(app_id={app_id!r}), object_id=identifiers.object_id(now), kind=Kind.SYSTEM,
    created_ms=now, updated_ms=now,
)
print("made", made.object_id)
"""

_SPEAK = """
from imcore import identifiers, redis
from imcore.bridge import in_async
from imcore.delivery import router
from imcore.delivery.encoding import Priority
from imcore.models import Application
from messaging import notices
from messaging.events import Body
from messaging.models import MessagingSettings
from messaging.services import broadcasting

application = Application.objects.get(app_id={app_id!r}).pk
who = dict(application=application, settings=MessagingSettings(), conversation_id={cid!r}, sender="voice",
           is_transient=False, now_ms=identifiers.now_ms())

async def speak():
    await broadcasting.send_to_clients(**who, body=Body("to clients", None), client_ids={client_ids!r},
                                       syncs_sender=False, priority=Priority.HIGH)
    await broadcasting.send_to_subscribers(**who, body=Body("to subscribers", None))
    await broadcasting.send_to_everybody(**who, body=Body("to everybody", None), valid_till_ms=None)
    await router.router.settle()
    await redis.close()

in_async(speak)
"""
ALL = ["to clients", "to everybody", "to subscribers"]


@pytest.fixture
async def wires() -> AsyncIterator[list[OverSocket]]:
    """Connections, closed after the test."""
    made: list[OverSocket] = []
    yield made
    await asyncio.gather(*(wire.close() for wire in made), return_exceptions=True)


@pytest.fixture
async def service(two_nodes: TwoNodes) -> AsyncIterator[str]:
    """A system conversation. What it said to everybody is deleted: it would come to the clients of all tests after."""
    server = two_nodes.first
    made = await asyncio.to_thread(server.manage, "shell", "-c", _MAKE.format(app_id=server.app_id))
    cid = made.split("made ")[1].strip()
    yield cid
    for broadcast in await ask(server, "GET", f"broadcasts?conv_id={cid}"):
        await ask(server, "DELETE", f"broadcasts/{broadcast['msg-id']}")


async def on(
    wires: list[OverSocket], server: Server, client_id: str, subprotocols: tuple[str, ...] = NEW, **session: Any
) -> ImClient:
    """Sign a client in on one of the nodes."""
    wire = await OverSocket.connect(server.ws_url, subprotocols, max_queue=None)
    wires.append(wire)
    return await sign_in(wire, server.app_id, client_id, **session)


async def quiet(client: ImClient) -> None:
    """See that nothing else is under way on this connection."""
    frame = await client.wire.request(CommandType.echo)
    assert frame.cmd == CommandType.echo, f"unexpected: {frame}"


async def test_what_a_service_says_reaches_each_device_once_on_whatever_node(
    two_nodes: TwoNodes, wires: list[OverSocket], service: str
) -> None:
    """Checklist 31, 33: those on line at once, on two devices; who comes to the other node later is told once."""
    first, second = two_nodes.first, two_nodes.second
    cid = service
    here, there, away, old, old_away = [own(name) for name in ("here", "there", "away", "old", "old-away")]
    devices = [
        await on(wires, first, here),
        await on(wires, second, here),
        await on(wires, second, there),
        await on(wires, first, old, OFFLINE_PUSH),
    ]
    leaving = [await on(wires, first, away), await on(wires, second, old_away, OFFLINE_PUSH)]
    for client in (devices[0], *devices[2:], *leaving):
        await add(client, cid, client.client_id)
    for client in leaving:
        await client.wire.close()

    speak = _SPEAK.format(app_id=first.app_id, cid=cid, client_ids=[here, there, away, old, old_away])
    await asyncio.to_thread(second.manage, "shell", "-c", speak)

    for client in devices:
        heard = [(await client.notice(CommandType.direct)).directMessage for _ in ALL]
        assert sorted(message.msg for message in heard) == ALL, client.client_id
        assert not any(message.offline for message in heard)
    for client in devices:
        await quiet(client)
    # Each comes to the other node, the old ones twice.
    [count] = (await (await on(wires, second, away)).notice(CommandType.unread)).unreadMessage.convs
    assert (count.cid, count.unread) == (cid, len(ALL))
    returned = await on(wires, first, old_away, OFFLINE_PUSH)
    kept = [(await returned.notice(CommandType.direct)).directMessage for _ in ALL]
    assert [message.msg for message in kept] == ["to clients", "to subscribers", "to everybody"]
    assert all(message.offline for message in kept)
    await quiet(await on(wires, second, old_away, OFFLINE_PUSH))
    await devices[3].wire.close()
    await quiet(await on(wires, second, old, OFFLINE_PUSH))
