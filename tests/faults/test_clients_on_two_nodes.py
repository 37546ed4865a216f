"""What back ends ask of clients through one node, and what becomes of those on the other (rest-api 8.12, 8.14)."""

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest

from imcore.protocol.message_pb2 import CommandType, OpType
from tests.faults.conftest import TwoNodes
from tests.faults.talking import own
from tests.faults.test_rooms_on_two_nodes import Clients
from tests.imclient import ImClient, OverSocket, open_session
from tests.processes import Server, eventually

pytestmark = [pytest.mark.faults, pytest.mark.slow]


@pytest.fixture
async def clients() -> AsyncIterator[Clients]:
    """Clients on either node."""
    made = Clients()
    yield made
    await made.close()


async def ask(server: Server, method: str, path: str, body: Any = None) -> Any:
    """Ask a node as the developer and return the body of its answer."""
    request = urllib.request.Request(
        f"{server.url}/1.2/rtm/{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "X-LC-Id": server.app_id,
            "X-LC-Key": f"{server.environment['IMCORE_MASTER_KEY']},master",
            "Content-Type": "application/json",
        },
    )

    def read() -> Any:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    return await asyncio.to_thread(read)


async def told(client: ImClient) -> tuple[int, str, str]:
    """Return code, reason and detail of the next notice, which must end the session."""
    body = (await client.notice(CommandType.session, OpType.closed)).sessionMessage
    return body.code, body.reason, body.detail


@pytest.mark.parametrize("name", ["tom", "汤/姆"])
async def test_a_kick_through_one_node_closes_the_sessions_on_both(
    two_nodes: TwoNodes, clients: Clients, name: str
) -> None:
    """Checklist 34, 35: nobody finds the client any more, and its tokens are void everywhere."""
    tom = own(name)
    there, here = await clients.on(two_nodes.second, tom), await clients.on(two_nodes.first, tom)
    other = await clients.on(two_nodes.second, own("mary"))
    asked = {"client_ids": [tom, other.client_id]}
    before = await ask(two_nodes.first, "POST", "clients/check-online", asked)

    answer = await ask(two_nodes.first, "POST", f"clients/{quote(tom)}/kick", {"reason": "terms"})

    assert answer == {}
    assert await told(there) == await told(here) == (4115, "KICKED_BY_APP", "terms")
    assert before == {"results": [tom, other.client_id]}
    for server in (two_nodes.first, two_nodes.second):

        async def is_gone(server: Server = server) -> bool:
            found = await ask(server, "POST", "clients/check-online", asked)
            return bool(found == {"results": [other.client_id]})

        await eventually(is_gone, "nobody finds the client any more")
        wire = await OverSocket.connect(server.ws_url)
        refused = await open_session(wire, server.app_id, tom, st=there.token, r=True)
        assert refused.errorMessage.code == 4112
        await wire.close()
    await other.nothing_more()


async def test_both_nodes_count_all_clients(two_nodes: TwoNodes, clients: Clients) -> None:
    """Checklist 34: one that is on both counts once, and those of a node that was killed do not."""
    tom = own("tom")
    for server, client_id in (
        (two_nodes.first, tom),
        (two_nodes.second, tom),
        (two_nodes.first, own("jerry")),
        (two_nodes.second, own("mary")),
    ):
        await clients.on(server, client_id)

    async def counts(server: Server, number: int) -> None:
        async def is_so() -> bool:
            result = (await ask(server, "GET", "stats"))["result"]
            assert result["user_count_today"] >= result["online_user_count"]
            return bool(result["online_user_count"] == number)

        await eventually(is_so, f"{number} clients")

    await counts(two_nodes.first, 3)
    await counts(two_nodes.second, 3)
    two_nodes.second.kill()
    await counts(two_nodes.first, 2)
