"""Members who change the same attributes through two server processes."""

import asyncio
import json

import pytest

from imcore.protocol.message_pb2 import ConvCommand, GenericCommand, OpType
from tests.conversations.talking import answer, attr, query
from tests.faults.conftest import TwoNodes
from tests.faults.talking import SECONDS, client_on, own, start
from tests.imclient import ImClient

pytestmark = [pytest.mark.faults, pytest.mark.slow]

UPDATES = 30


async def test_updates_through_both_nodes_add_up_and_are_heard_in_one_order(two_nodes: TwoNodes) -> None:
    """Checklist 41: everybody but the acting connection is told, wherever he is, and the last he hears is the truth."""
    names = [own("writer") for _ in range(4)]
    nodes = [two_nodes.first, two_nodes.second] * 2
    writers = [await client_on(node, name) for node, name in zip(nodes, names, strict=True)]
    readers = [await client_on(node, own("reader")) for node in nodes[:2]]
    cid = await start(writers[0], [*names, *(reader.client_id for reader in readers)])

    heard = [asyncio.create_task(hear(reader, cid, UPDATES * len(writers))) for reader in readers]
    await asyncio.gather(*(write(writer, cid) for writer in writers))

    for notices in await asyncio.gather(*heard):
        counts = [json.loads(notice.attrModified.data)["n"]["total"] for notice in notices]
        assert counts == list(range(1, UPDATES * len(writers) + 1))
        dates = [notice.udate for notice in notices]
        assert dates == sorted(set(dates))
    for client in (*writers, *readers):
        [found] = await query(client, {"objectId": cid})
        assert found["n"] == {"total": UPDATES * len(writers), **dict.fromkeys(names, UPDATES)}
        await client.wire.close()


async def write(client: ImClient, cid: str) -> None:
    """Count up, in one number that is everybody's and in one of one's own."""
    one = {"__op": "Increment", "amount": 1}
    changes = attr({"n.total": one, f"n.{client.client_id}": one})
    for number in range(1, UPDATES + 1):
        updated = await answer(client, OpType.update, OpType.updated, cid=cid, attr=changes)
        assert json.loads(updated.attrModified.data)["n"][client.client_id] == number
    assert not any(is_update(notice, cid, by=client.client_id) for notice in client.seen)


async def hear(client: ImClient, cid: str, count: int) -> list[ConvCommand]:
    """Return so many updates as they come."""
    notices: list[ConvCommand] = []
    while len(notices) < count:
        frame = await client.next_notice(SECONDS)
        if is_update(frame, cid):
            notices.append(frame.convMessage)
    return notices


def is_update(frame: GenericCommand, cid: str, *, by: str | None = None) -> bool:
    """Say whether a frame tells of an update of a conversation, by somebody."""
    body = frame.convMessage
    return frame.op == OpType.updated and body.cid == cid and by in (None, body.initBy)
