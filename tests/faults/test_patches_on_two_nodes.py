"""Edits and recalls through one of two server processes, heard through the other (realtime-protocol 4.12)."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from imcore.protocol.message_pb2 import AckCommand, CommandType, GenericCommand
from tests.conversations.talking import say
from tests.faults.conftest import TwoNodes
from tests.faults.talking import SECONDS, history, own, start
from tests.faults.test_two_nodes import Clients
from tests.imclient import ImClient
from tests.messaging.patching import ask, edit, edit_of, recall
from tests.processes import Server, eventually

pytestmark = [pytest.mark.faults, pytest.mark.slow]

ROUNDS = 30


@pytest.fixture
async def clients(two_nodes: TwoNodes) -> AsyncIterator[Clients]:
    """Clients on either node, both of which know that messages may be edited and recalled."""
    two_nodes.first.manage("application_settings", two_nodes.first.app_id, "edit_enabled=true", "recall_enabled=true")
    made = Clients()
    for node in (two_nodes.first, two_nodes.second):
        await _allows_edits(made, node)
    yield made
    await made.close()


async def test_whoever_hears_of_a_patch_has_heard_the_message_before(two_nodes: TwoNodes, clients: Clients) -> None:
    """Checklist 64, 65: though one node stores the message and the other, at once, changes it."""
    phone = await clients.on(two_nodes.first, own("tom"))
    laptop = await clients.on(two_nodes.second, phone.client_id)
    hearers = [await clients.on(node, own("jerry")) for node in (two_nodes.first, two_nodes.second)]
    cid = await start(phone, [hearer.client_id for hearer in hearers])
    # The first message says where each node's count begins; before it, nothing can be out of place.
    await say(phone, cid, "attention")
    for client in (laptop, *hearers):
        await _next(client, cid)
    acks: list[AckCommand] = []

    for number in range(ROUNDS):
        author, editor = (phone, laptop) if number % 2 else (laptop, phone)
        acks.append(await say(author, cid, f"draft {number}"))
        await edit(editor, cid, acks[-1], f"final {number}")
        await recall(author, cid, acks[-1])

    for hearer in hearers:
        seen = [await _next(hearer, cid) for _ in range(4 * ROUNDS)]
        for ack in acks:
            of_it = [_what(frame) for frame in seen if _message_id(frame) == ack.uid]
            assert of_it[0] == "direct"
            assert sorted(of_it) == ["direct", "edit", "recall", "unread"]
        last = [frame for frame in seen if frame.cmd == CommandType.unread][-1].unreadMessage.convs[0]
        assert (last.unread, last.mid) == (1, acks[-1].uid)
    kept = await history(hearers[1], cid)
    assert [item.data for item in kept] == ["attention", *['{"_lctype":-127}'] * ROUNDS]


async def test_both_nodes_find_a_message_patched_at_once_in_the_same_state(
    two_nodes: TwoNodes, clients: Clients
) -> None:
    """Checklist 65: of an edit and a recall at the same moment, the recall stands; both are told the truth."""
    phone = await clients.on(two_nodes.first, own("tom"))
    laptop = await clients.on(two_nodes.second, phone.client_id)
    cid = await start(phone, [own("jerry")])
    acks = [await say(phone, cid, "draft") for _ in range(ROUNDS)]

    async def edit_all() -> list[int]:
        return [(await ask(phone, edit_of(cid, ack, "final"))).errorMessage.code for ack in acks]

    async def recall_all() -> list[int]:
        return [await recall(laptop, cid, ack) for ack in acks]

    codes, times = await asyncio.gather(edit_all(), recall_all())

    assert set(codes) <= {0, 4404}
    assert times == sorted(set(times))
    kept = await history(phone, cid)
    assert [(item.data, item.patchTimestamp) for item in kept] == [('{"_lctype":-127}', at_ms) for at_ms in times]


async def _allows_edits(clients: Clients, node: Server) -> None:
    client = await clients.on(node, own("asker"))
    cid = await start(client, [])
    ack = await say(client, cid, "draft")

    async def holds() -> bool:
        return (await ask(client, edit_of(cid, ack, "final"))).cmd == CommandType.patch

    await eventually(holds, "edits are allowed")


async def _next(client: ImClient, cid: str) -> GenericCommand:
    """Return the next message, patch or count of a conversation."""
    while True:
        frame = await client.next_notice(SECONDS)
        if frame.cmd != CommandType.conv and cid in (
            frame.directMessage.cid,
            *(item.cid for item in frame.patchMessage.patches),
            *(counted.cid for counted in frame.unreadMessage.convs),
        ):
            return frame


def _what(frame: GenericCommand) -> str:
    if frame.cmd == CommandType.patch:
        return "recall" if frame.patchMessage.patches[0].recall else "edit"
    return CommandType.Name(frame.cmd)


def _message_id(frame: GenericCommand) -> str:
    """Return which message it is about; a count shows the newest one."""
    if frame.cmd == CommandType.patch:
        return frame.patchMessage.patches[0].mid
    return frame.directMessage.id if frame.cmd == CommandType.direct else frame.unreadMessage.convs[0].mid
