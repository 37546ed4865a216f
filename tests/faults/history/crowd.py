"""The clients of one run, on whatever servers, and what they have written down when it is over.

async with Crowd.gathered(cluster, …) as crowd:
    await crowd.acknowledged(300)       something is broken and mended meanwhile
    record = await crowd.end(…)         everybody has sent all, is back, and has seen the end
"""

import asyncio
import json
import os
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import psycopg

from imcore.protocol.message_pb2 import CommandType, DirectCommand
from tests.faults.history.checker import Record
from tests.faults.history.cluster import Cluster
from tests.faults.history.facts import Fact, Stored, from_line
from tests.faults.history.frame_client import FrameClient, body_of, message_of
from tests.faults.history.proxy import Proxy
from tests.faults.talking import client_on, history, online, own, start
from tests.journeys.running import FIVE, FOUR, Sdk, node_program
from tests.processes import Server, eventually, inherited_environment

SCRIPT = Path(__file__).parent / "sdk_client.mjs"
SDKS = (FIVE, FOUR)
PEOPLE_EACH = 3  # IM clients that share the connection of an SDK
FRAME_CLIENTS = 4
# A frame client sends so many messages for one of somebody's with an SDK.
FRAME_SHARE = 1.5
THE_END = "THE END"
END_SECONDS = 20.0
# Nobody may be silent for longer than that while something is still to come.
STALL_SECONDS = 90.0
ONLINE_QUERY_MAX = 20
# Starts the conversations, says the end, and reads what is there afterwards.
UMPIRE = own("umpire")


@dataclass(eq=False)
class Group:
    """Clients that share a fate: those of an SDK process, or the frame clients behind one proxy."""

    clients: frozenset[str]
    proxy: Proxy
    change_network: Callable[[], None]
    pid: int | None = None  # of an SDK process


@dataclass(frozen=True)
class Style:
    """How a group talks: through which node first, with how much padding; and its chance."""

    first_node: int
    padding: int
    chance: Random


@dataclass(eq=False)
class Crowd:
    """Everybody who talks. `messages` is how many they will send between them."""

    cluster: Cluster
    members: Mapping[str, frozenset[str]]
    messages: int
    facts: list[Fact] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    _acknowledged_to: Counter[str] = field(default_factory=Counter)
    _up: set[str] = field(default_factory=set)  # who has signed in once
    _drained: set[str] = field(default_factory=set)
    _finished: set[str] = field(default_factory=set)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _talkers: list[Callable[[], None]] = field(default_factory=list)
    _finishers: list[Callable[[], None]] = field(default_factory=list)

    @classmethod
    @asynccontextmanager
    async def gathered(
        cls, cluster: Cluster, *, chance: Random, messages: int, padding: int, directory: Path
    ) -> AsyncIterator["Crowd"]:
        """Start conversations and clients; everybody begins to talk."""
        people = [[own("person") for _ in range(PEOPLE_EACH)] for _ in SDKS]
        frames = [own("frames") for _ in range(FRAME_CLIENTS)]
        everybody = [*(person for group in people for person in group), *frames]
        members = await _conversations(cluster.nodes[0], everybody, chance)
        shares = _shares(messages, people=sum(map(len, people)), frames=len(frames))
        crowd = cls(cluster, members, sum(shares))
        share = dict(zip(everybody, shares, strict=True))
        async with AsyncExitStack() as running:
            for number, (sdk, group) in enumerate(zip(SDKS, people, strict=True)):
                style = Style(first_node=number, padding=padding, chance=chance)
                await crowd._start_sdk(running, sdk, {person: share[person] for person in group}, style, directory)
            for number in range(2):
                style = Style(first_node=number, padding=padding, chance=chance)
                await crowd._start_frames(running, {client: share[client] for client in frames[number::2]}, style)
            await crowd._until(lambda: crowd.everybody <= crowd._up, "everybody is signed in")
            for talk in crowd._talkers:
                talk()
            yield crowd

    async def _way(self, running: AsyncExitStack, first: int) -> tuple[Proxy, list[str]]:
        """Return a proxy to one of the nodes, and the WebSocket URLs to try: through it, then the other node's."""
        nodes = self.cluster.nodes
        nodes = [*nodes[first % len(nodes) :], *nodes[: first % len(nodes)]]
        proxy = await running.enter_async_context(Proxy(nodes[0].port))
        return proxy, [f"ws://127.0.0.1:{proxy.port}/", *(node.ws_url for node in nodes[1:])]

    async def _start_sdk(
        self,
        running: AsyncExitStack,
        sdk: Sdk,
        shares: Mapping[str, int],
        style: "Style",
        directory: Path,
    ) -> None:
        proxy, urls = await self._way(running, style.first_node)
        server = self.cluster.nodes[0]
        setup = {
            "sdk": sdk.package,
            "app": {"id": server.app_id, "key": server.environment["IMCORE_APP_KEY"]},
            "server": server.url,
            "RTMServers": urls,
            "inFlight": 3,
            "padding": style.padding,
            "seed": style.chance.getrandbits(32),
            "end": THE_END,
            "seconds": END_SECONDS,
            "people": [
                {"id": person, "messages": messages, "conversations": self._conversations_of(person)}
                for person, messages in shares.items()
            ],
        }
        complaints = directory / f"{sdk.package}.log"
        with complaints.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(node_program(), str(SCRIPT), json.dumps(setup)),
                env=inherited_environment(),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        running.push_async_callback(_end, process)
        self._run(running, self._listen(process, complaints), sdk.package)

        def tell(line: str) -> None:
            assert process.stdin is not None
            process.stdin.write(f"{line}\n".encode())

        self._talkers.append(lambda: tell("talk"))
        self._finishers.append(lambda: tell("finish"))
        self.groups.append(Group(frozenset(shares), proxy, lambda: tell("network"), process.pid))

    async def _start_frames(self, running: AsyncExitStack, shares: Mapping[str, int], style: "Style") -> None:
        proxy, urls = await self._way(running, style.first_node)
        clients = [
            FrameClient(
                client,
                app_id=self.cluster.nodes[0].app_id,
                urls=urls,
                conversations=self._conversations_of(client),
                messages=messages,
                in_flight=8,
                padding=style.padding,
                chance=Random(style.chance.getrandbits(32)),
                end=THE_END,
                end_seconds=END_SECONDS,
                record=self._note,
            )
            for client, messages in shares.items()
        ]
        for client in clients:
            self._run(running, client.run(), client.client_id)
            self._talkers.append(client.talk)
            self._finishers.append(client.finish)

        def change_network() -> None:
            for client in clients:
                client.change_network()

        self.groups.append(Group(frozenset(shares), proxy, change_network))

    def _run(self, running: AsyncExitStack, work: Any, name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.append(task)
        running.push_async_callback(_cancel, task)

    def _conversations_of(self, client: str) -> list[str]:
        return [conversation for conversation, members in self.members.items() if client in members]

    async def _listen(self, process: asyncio.subprocess.Process, complaints: Path) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            text = line.decode()
            self._note(from_line(text) if text.startswith("{") else Fact("note", why=text))
        status = await process.wait()
        assert status == 0, f"an SDK process ended with {status}: {_end_of(complaints)}"

    def _note(self, fact: Fact) -> None:
        self.facts.append(fact)
        self.counts[fact.kind] += 1
        if fact.kind == "acked":
            self._acknowledged_to[fact.client] += 1
        elif fact.kind == "up":
            self._up.add(fact.client)
        elif fact.kind == "drained":
            self._drained.add(fact.client)
        elif fact.kind == "finished":
            self._finished.add(fact.client)

    @property
    def everybody(self) -> frozenset[str]:
        """Return the names of all clients."""
        return frozenset(client for group in self.groups for client in group.clients)

    async def acknowledged(self, count: int) -> None:
        """Return when so many messages are acknowledged in all."""
        await self._until(lambda: self.counts["acked"] >= count, f"{count} messages are acknowledged")

    async def progress(self, count: int, *, without: frozenset[str] = frozenset()) -> None:
        """Return when so many more messages of others are acknowledged, or they have sent all they had."""
        others = self.everybody - without

        def total() -> int:
            return sum(self._acknowledged_to[client] for client in others)

        until = total() + count
        await self._until(lambda: total() >= until or others <= self._drained, f"{count} more are acknowledged")

    async def end(self) -> Record:
        """Wait until everybody has sent all; say the end; and return the record when everybody has seen it."""
        await self._until(lambda: self.everybody <= self._drained, "everybody has sent all")
        for node in self.cluster.nodes:
            await eventually(lambda node=node: self._all_online(node), "everybody is on line")  # type: ignore[misc]
        await self._say_the_end()
        for finish in self._finishers:
            finish()
        await self._until(lambda: self.everybody <= self._finished, "everybody has seen the end")
        return Record(
            members=self.members,
            facts=self.facts,
            stored=await asyncio.to_thread(_stored, self.cluster.nodes[0], list(self.members)),
            read_back=await self._read_back(),
            told=await self._told(),
        )

    async def _until(self, holds: Callable[[], bool], what: str) -> None:
        """Return when it holds. The limit is on silence: how long all takes is for the machine to say."""
        heard, since = len(self.facts), time.monotonic()
        while not holds():
            for task in self._tasks:
                if task.done():
                    task.result()
            if len(self.facts) != heard:
                heard, since = len(self.facts), time.monotonic()
            if time.monotonic() - since > STALL_SECONDS:
                missing = self.everybody - (self._finished or self._drained)
                last = "\n".join(map(str, self.facts[-20:]))
                raise AssertionError(f"Nothing happened for {STALL_SECONDS} s, not: {what}. {missing=}\n{last}")
            await asyncio.sleep(0.005)

    async def _all_online(self, node: Server) -> bool:
        asker = await client_on(node, own("umpire"))
        try:
            names = sorted(self.everybody)
            parts = [names[i : i + ONLINE_QUERY_MAX] for i in range(0, len(names), ONLINE_QUERY_MAX)]
            return all([len(await online(asker, *part)) == len(part) for part in parts])
        finally:
            await asker.wire.close()

    async def _say_the_end(self) -> None:
        umpire = await client_on(self.cluster.nodes[0], UMPIRE)
        for conversation in self.members:
            body = f"{THE_END} of {conversation}"
            self._note(Fact("sent", UMPIRE, conversation, body))
            message = DirectCommand(cid=conversation, msg=message_of(body), dt=str(uuid4()))
            answer = (await umpire.request(CommandType.direct, directMessage=message)).ackMessage
            assert not answer.HasField("code"), answer
            self._note(Fact("acked", UMPIRE, conversation, body, answer.uid, answer.t))
        await umpire.wire.close()

    async def _told(self) -> dict[tuple[str, str], int]:
        """Log everybody in afresh, as on a new phone, and return what they are told is unread."""
        told = {}
        for number, name in enumerate(sorted(self.everybody)):
            client = await client_on(self.cluster.nodes[number % len(self.cluster.nodes)], name)
            # The counts come before the answer to whatever is asked.
            await online(client, name)
            for frame in client.seen:
                for conversation in frame.unreadMessage.convs:
                    told[name, conversation.cid] = conversation.unread
            await client.wire.close()
        return told

    async def _read_back(self) -> dict[str, list[Stored]]:
        reader = await client_on(self.cluster.nodes[-1], UMPIRE)
        try:
            return {
                conversation: [
                    Stored(conversation, 0, item.msgId, item.timestamp, getattr(item, "from"), body_of(item.data))
                    for item in await history(reader, conversation)
                ]
                for conversation in self.members
            }
        finally:
            await reader.wire.close()


async def _conversations(server: Server, everybody: Sequence[str], chance: Random) -> dict[str, frozenset[str]]:
    """Start one conversation for all, two for some, and one for two. The umpire started them all."""
    umpire = await client_on(server, UMPIRE)
    some = [everybody, *(chance.sample(everybody, chance.randint(4, 6)) for _ in range(2)), chance.sample(everybody, 2)]
    started = {await start(umpire, members): frozenset(members) for members in some}
    await umpire.wire.close()
    return started


def _shares(messages: int, *, people: int, frames: int) -> list[int]:
    """Divide the messages among the clients, those with an SDK first."""
    each = messages / (people + frames * FRAME_SHARE)
    return [max(1, round(each))] * people + [max(1, round(each * FRAME_SHARE))] * frames


def _stored(server: Server, conversations: Sequence[str]) -> list[Stored]:
    query = (
        "SELECT c.object_id, m.seq, m.message_id, m.timestamp_ms, m.sender, m.text FROM messaging_message m"
        " JOIN conversations_conversation c ON c.id = m.conversation_id ORDER BY m.conversation_id, m.seq"
    )
    if url := server.environment.get("DATABASE_URL"):
        with psycopg.connect(url) as connection:
            rows: Sequence[Any] = connection.execute(query.encode()).fetchall()
    else:
        with sqlite3.connect(server.directory / "data" / "imcore.sqlite3") as database:
            rows = database.execute(query).fetchall()
        database.close()
    wanted = set(conversations)
    return [
        Stored(conversation, seq, message, at, sender, body_of(text))
        for conversation, seq, message, at, sender, text in rows
        if conversation in wanted
    ]


def _end_of(file: Path) -> str:
    return file.read_text(errors="replace")[-4000:]


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        # A frozen one must thaw to die.
        for number in (signal.SIGKILL, signal.SIGCONT):
            with suppress(ProcessLookupError):
                os.kill(process.pid, number)
    await process.wait()


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
