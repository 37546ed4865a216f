"""Devices, kicks and wills across two server processes, and a drain in the middle of a conversation."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
import websockets

from imcore.protocol.message_pb2 import CommandType, DirectCommand, GenericCommand, OpType
from tests.faults.conftest import TwoNodes
from tests.faults.talking import Enough, Sender, history, online, own, send, start
from tests.faults.test_rooms_on_two_nodes import Clients
from tests.imclient import Closed, ImClient, OverSocket, open_session
from tests.processes import Server, eventually

pytestmark = [pytest.mark.faults, pytest.mark.slow]

SECONDS = 30.0
# In a process of its own: whoever kicks need not be where the client is.
KICK = """
import asyncio
from imcore.delivery.router import router
from imcore.models import Application
from messaging.services import sessions

async def kick(application):
    await sessions.kick(application=application, client_id={client_id!r}, reason="test")
    await router.settle()

asyncio.run(kick(Application.objects.get(app_id={app_id!r}).pk))
"""


@pytest.fixture
async def clients() -> AsyncIterator[Clients]:
    """Clients on either node."""
    made = Clients()
    yield made
    await made.close()


async def _open(server: Server, client_id: str, wires: list[OverSocket], **session: Any) -> GenericCommand:
    """Send an open on a connection of its own and return the answer."""
    wires.append(await OverSocket.connect(server.ws_url))
    return await open_session(wires[-1], server.app_id, client_id, **session)


@pytest.fixture
async def wires() -> AsyncIterator[list[OverSocket]]:
    """Collect connections that are closed after the test."""
    opened: list[OverSocket] = []
    yield opened
    await asyncio.gather(*(wire.close() for wire in opened))


async def _ended_with(client: ImClient) -> int:
    """Return the code of the next notice, which must end the session."""
    frame = await client.next_notice(SECONDS)
    assert (frame.cmd, frame.op) == (CommandType.session, OpType.closed), frame
    return frame.sessionMessage.code


async def _hears(client: ImClient) -> DirectCommand:
    """Return the next message; what else comes before it is passed over."""
    while (frame := await client.next_notice(SECONDS)).cmd != CommandType.direct:
        pass
    return frame.directMessage


async def test_a_login_through_one_node_ends_the_session_on_the_other(
    two_nodes: TwoNodes, clients: Clients, wires: list[OverSocket]
) -> None:
    """Checklist 16, 18, 19. The other client on the connection goes on, and so does tom without a tag."""
    tom = own("tom")
    phone = await clients.on(two_nodes.first, tom, deviceId="phone", tag="mobile")
    web = await clients.on(two_nodes.first, tom, deviceId="web")

    pad = await clients.on(two_nodes.second, tom, deviceId="pad", tag="mobile")

    assert await _ended_with(phone) == 4111
    for server in (two_nodes.first, two_nodes.second):
        assert (await _open(server, tom, wires, st=phone.token, r=True)).errorMessage.code == 4111
    again = await clients.on(two_nodes.first, tom, deviceId="phone", tag="mobile")
    assert await _ended_with(pad) == 4111
    await again.nothing_more()
    await web.nothing_more()


async def test_a_return_through_one_node_sees_the_device_on_the_other(
    two_nodes: TwoNodes, clients: Clients, wires: list[OverSocket]
) -> None:
    """Checklist 17. The phone itself comes back through any node, before its old connection is known to be lost."""
    tom = own("tom")
    phone = await clients.on(two_nodes.first, tom, deviceId="phone", tag="mobile")

    refused = await _open(two_nodes.second, tom, wires, deviceId="pad", tag="mobile", r=True)
    back = await clients.on(two_nodes.second, tom, st=phone.token, r=True)

    assert refused.errorMessage.code == 4111
    await phone.nothing_more()
    await phone.wire.close()
    assert (await _open(two_nodes.first, tom, wires, deviceId="pad", tag="mobile", r=True)).errorMessage.code == 4111
    await back.request(CommandType.session, OpType.close)
    accepted = await _open(two_nodes.first, tom, wires, deviceId="pad", tag="mobile", r=True)
    assert accepted.op == OpType.opened, accepted


@pytest.mark.parametrize("is_return", [False, True])
async def test_of_two_devices_that_come_at_once_through_two_nodes_one_is_left(
    is_return: bool, two_nodes: TwoNodes, clients: Clients, wires: list[OverSocket]
) -> None:
    """Checklist 16, 17: never both, never neither."""
    for _ in range(10):
        tom = own("tom")
        answers = await asyncio.gather(
            _open(two_nodes.first, tom, wires, deviceId="phone", tag="mobile", r=is_return),
            _open(two_nodes.second, tom, wires, deviceId="pad", tag="mobile", r=is_return),
        )
        refused = [answer.errorMessage.code for answer in answers if answer.cmd == CommandType.error]
        if is_return:
            assert refused == [4111]
        elif not refused:
            # The earlier one was opened and is told, whichever it was.
            evicted = [asyncio.create_task(wire.receive(SECONDS)) for wire in wires[-2:]]
            done, left = await asyncio.wait(evicted, return_when=asyncio.FIRST_COMPLETED)
            for task in left:
                task.cancel()
            assert [task.result().sessionMessage.code for task in done] == [4111]
        else:
            assert refused == [4111]


async def test_a_kick_reaches_the_devices_on_every_node(
    two_nodes: TwoNodes, clients: Clients, wires: list[OverSocket]
) -> None:
    """4.1.2: 4115 to all; a token gets 4112 on any node."""
    tom = own("tom")
    phone, web = await clients.on(two_nodes.first, tom), await clients.on(two_nodes.second, tom)
    other = await clients.on(two_nodes.second, own("mary"))

    script = KICK.format(client_id=tom, app_id=two_nodes.first.app_id)
    await asyncio.to_thread(two_nodes.first.manage, "shell", "--verbosity", "0", "-c", script)

    assert [await _ended_with(phone), await _ended_with(web)] == [4115, 4115]
    assert await online(other, tom) == []
    for server, client in ((two_nodes.second, phone), (two_nodes.first, web)):
        assert (await _open(server, tom, wires, st=client.token, r=True)).errorMessage.code == 4112
    await other.nothing_more()


async def test_a_will_is_heard_on_the_other_node(two_nodes: TwoNodes, clients: Clients) -> None:
    """Checklist 5, 68. Not while its device is back through another node."""
    tom = await clients.on(two_nodes.first, own("tom"))
    jerry = await clients.on(two_nodes.second, own("jerry"))
    conversation = await start(tom, [jerry.client_id])
    body = DirectCommand(cid=conversation, msg="tom is gone", will=True)
    left = await tom.request(CommandType.direct, directMessage=body)

    back = await clients.on(two_nodes.second, tom.client_id, st=tom.token, r=True)
    await tom.wire.close()
    await send(back, conversation, "here I am")
    assert (await _hears(jerry)).msg == "here I am"
    await back.wire.close()

    heard = await _hears(jerry)
    assert (heard.msg, heard.id) == ("tom is gone", left.ackMessage.uid)
    assert [item.data for item in await history(jerry, conversation)] == ["here I am"]


async def test_a_will_outlives_its_server(two_nodes: TwoNodes, clients: Clients) -> None:
    """Checklist 68: nobody notices the loss of who was on a server that died, or was sent away by one that stops; the
    will is said when its device comes back and is lost again."""
    jerry = await clients.on(two_nodes.first, own("jerry"))
    for end in ("killed", "stopped"):
        tom = await clients.on(two_nodes.second, own("tom"))
        conversation = await start(tom, [jerry.client_id])
        body = DirectCommand(cid=conversation, msg="tom is gone", will=True)
        await tom.request(CommandType.direct, directMessage=body)
        if end == "killed":
            two_nodes.second.kill()
        else:
            assert await asyncio.to_thread(two_nodes.second.stop) == 0
        await asyncio.to_thread(two_nodes.second.start)

        back = await clients.on(two_nodes.second, tom.client_id, st=tom.token, r=True)
        await send(back, conversation, "here I am")
        assert (await _hears(jerry)).msg == "here I am"
        await back.wire.close()

        assert (await _hears(jerry)).msg == "tom is gone"


class Listener:
    """Hears a conversation, and goes to the other node when it is asked to leave."""

    def __init__(self, clients: Clients, client: ImClient, conversation: str) -> None:
        self.heard: list[tuple[int, str]] = []
        self._clients = clients
        self._client = client
        self._conversation = conversation

    async def listen(self, *, elsewhere: Server, until: str) -> None:
        """Listen until somebody says a text."""
        while not self.heard or self.heard[-1][1] != until:
            frame = await self._client.wire.receive(60)
            if frame.cmd == CommandType.goaway:
                await self._client.wire.close()
                client_id, token = self._client.client_id, self._client.token
                self._client = await self._clients.on(elsewhere, client_id, st=token, r=True)
            elif frame.cmd == CommandType.direct and frame.directMessage.cid == self._conversation:
                self.heard.append((frame.directMessage.timestamp, frame.directMessage.msg))


async def test_a_drain_in_the_middle_of_a_conversation_loses_nothing(two_nodes: TwoNodes, clients: Clients) -> None:
    """Checklist 6, 54: what was acknowledged is in history once, and nobody hears anything twice."""
    first, second = two_nodes.first, two_nodes.second
    senders = [own("sender") for _ in range(2)]
    listeners = [await clients.on(first, own("stays")), await clients.on(second, own("moves"))]
    opener = await clients.on(first, own("opener"))
    conversation = await start(opener, [*senders, *(one.client_id for one in listeners)])
    # The first message says where each node's count begins; a gap before it says nothing.
    await send(opener, conversation, "attention")
    for listener in listeners:
        assert (await _hears(listener)).msg == "attention"
    enough = Enough()
    streams = [Sender(client_id, conversation, in_flight=4) for client_id in senders]

    async def speak(stream: Sender, server: Server) -> None:
        """Send, and go on through the first node when the connection ends; `goaway` alone does not stop it."""
        while True:
            client = await clients.on(server, stream.client_id)
            try:
                await stream.send_until(client, enough)
                return
            except (Closed, websockets.ConnectionClosed):
                server = first

    ears = [Listener(clients, client, conversation) for client in listeners]
    hearing = [asyncio.create_task(ear.listen(elsewhere=first, until="the end")) for ear in ears]
    speaking = [
        asyncio.create_task(speak(stream, server)) for stream, server in zip(streams, (first, second), strict=True)
    ]
    await eventually(lambda: _reached(enough, 100), "a conversation")

    assert await asyncio.to_thread(second.stop) == 0
    before = enough.total
    await eventually(lambda: _reached(enough, before + 100), "the conversation goes on")
    enough.is_enough = True
    await asyncio.gather(*speaking)
    await send(opener, conversation, "the end")
    await asyncio.gather(*hearing)

    kept = [(item.timestamp, item.data) for item in await history(opener, conversation)]
    acknowledged = sorted(text for stream in streams for text, _, _ in stream.acknowledged)
    assert sorted(text for _, text in kept[1:-1]) == acknowledged
    for ear in ears:
        assert max(Counter(ear.heard).values()) == 1
        assert ear.heard == sorted(ear.heard)
        assert set(ear.heard) <= set(kept)
    print(f"{len(kept)} kept; heard live: {[len(ear.heard) for ear in ears]}; sent again: {streams[1].resent}")


async def _reached(enough: Enough, total: int) -> bool:
    return enough.total >= total
