"""`kill -9` in a stream of sends: what was acknowledged is there, once, in order."""

import asyncio
import os
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import websockets

from tests.faults.talking import Enough, Sender, client_on, history, own, start
from tests.imclient import Closed
from tests.processes import Server, engine, eventually

pytestmark = [pytest.mark.faults, pytest.mark.slow]

KILLS = 10
SENDERS = 4
IN_FLIGHT = 8


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server on the engine of this run, SQLite or PostgreSQL, that the test may kill."""
    with engine() as environment:
        running = Server(tmp_path, environment=environment)
        try:
            running.start()
            yield running
        finally:
            running.kill()


async def test_what_was_acknowledged_survives_ten_kills_exactly_once_and_in_order(server: Server) -> None:
    seed = int(os.environ.get("SEED") or random.randrange(2**32))
    print(f"SEED={seed}")
    chance = random.Random(seed)
    ids = [own("sender") for _ in range(SENDERS)]
    creator = await client_on(server, ids[0])
    conversation = await start(creator, ids)
    await creator.wire.close()
    enough = Enough()
    senders = [Sender(client_id, conversation, in_flight=IN_FLIGHT) for client_id in ids]
    streams = [asyncio.create_task(_keep_sending(sender, server, enough)) for sender in senders]

    for _ in range(KILLS):
        until = enough.total + chance.randint(20, 300)
        await _while_streaming(streams, enough, until)
        # A moment that falls anywhere in a batch, not at its acknowledgement.
        await asyncio.sleep(chance.uniform(0, 0.02))
        server.kill()
        await asyncio.to_thread(server.start)
    await _while_streaming(streams, enough, enough.total + 50)
    enough.is_enough = True
    await asyncio.wait_for(asyncio.gather(*streams), 60)

    reader = await client_on(server, ids[0])
    kept = await history(reader, conversation)
    await reader.wire.close()
    acknowledged = [entry for sender in senders for entry in sender.acknowledged]
    resent = sum(sender.resent for sender in senders)
    print(f"{len(acknowledged)} acknowledged, {resent} sent again after {KILLS} kills, {len(kept)} in history")
    assert sorted((item.data, item.msgId, item.timestamp) for item in kept) == sorted(acknowledged)
    assert len({item.data for item in kept}) == len({item.msgId for item in kept}) == len(kept)
    timestamps = [item.timestamp for item in kept]
    assert timestamps == sorted(set(timestamps)), "timestamps rise strictly"
    for sender in senders:
        mine = [item.data for item in kept if getattr(item, "from") == sender.client_id]
        assert mine == [text for text, _, _ in sender.acknowledged], "in the order of the acknowledgements"
        assert mine == [f"{sender.client_id} {number}" for number in range(1, len(mine) + 1)]
    assert [number for (number,) in _rows(server)] == list(range(1, len(kept) + 1)), "the sequence is dense"
    assert resent > 0, "no kill hit a message in flight"


async def _keep_sending(sender: Sender, server: Server, enough: Enough) -> None:
    """Send, and come back after every kill, as an SDK does."""
    while True:
        try:
            client = await client_on(server, sender.client_id)
            try:
                await sender.send_until(client, enough)
                return
            finally:
                await client.wire.close()
        except (OSError, Closed, TimeoutError, websockets.WebSocketException):
            await asyncio.sleep(0.05)


async def _while_streaming(streams: list[asyncio.Task[None]], enough: Enough, until: int) -> None:
    async def reached() -> bool:
        for stream in streams:
            if stream.done():
                stream.result()
        return enough.total >= until

    await eventually(reached, f"{until} acknowledgements", every=0.005)


def _rows(server: Server) -> list[tuple[Any, ...]]:
    query = "SELECT seq FROM messaging_message ORDER BY timestamp_ms"
    if url := server.environment.get("DATABASE_URL"):
        with psycopg.connect(url) as connection:
            return connection.execute(query).fetchall()
    with sqlite3.connect(server.directory / "data" / "imcore.sqlite3") as database:
        rows = database.execute(query).fetchall()
    database.close()
    return rows
