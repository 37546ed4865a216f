"""Clients that send many messages at once over real sockets, and read back what became of them."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from imcore.protocol.message_pb2 import (
    CommandType,
    ConvCommand,
    DirectCommand,
    GenericCommand,
    LogItem,
    LogsCommand,
    OpType,
)
from tests.imclient import ImClient, OverSocket, sign_in
from tests.processes import Server

SECONDS = 60.0
PAGE = 100
_names = itertools.count(1)


def own(name: str) -> str:
    """Return a client id that no other test uses: they share an application."""
    return f"{name}-{next(_names)}"


async def client_on(server: Server, client_id: str) -> ImClient:
    """Sign a client in on a connection of its own."""
    # Without a bound: a client that does not read could not even take the server's answer to its close.
    wire = await OverSocket.connect(server.ws_url, max_queue=None)
    return await sign_in(wire, server.app_id, client_id)


async def start(client: ImClient, members: Sequence[str]) -> str:
    """Start a new conversation and return its id."""
    body = ConvCommand(m=list(members), unique=False)
    started = await client.request(CommandType.conv, OpType.start, convMessage=body)
    assert started.op == OpType.started, started
    return started.convMessage.cid


async def send(client: ImClient, conversation: str, text: str) -> int:
    """Send one message, be acknowledged, and return its timestamp."""
    message = DirectCommand(cid=conversation, msg=text, dt=str(uuid4()))
    acknowledged = await client.request(CommandType.direct, directMessage=message)
    assert acknowledged.cmd == CommandType.ack, acknowledged
    assert not acknowledged.ackMessage.HasField("code"), acknowledged
    return acknowledged.ackMessage.t


async def online(client: ImClient, *client_ids: str) -> list[str]:
    """Ask which of the clients are on line."""
    body = GenericCommand().sessionMessage
    body.sessionPeerIds.extend(client_ids)
    answer = await client.request(CommandType.session, OpType.query, sessionMessage=body)
    return list(answer.sessionMessage.onlineSessionPeerIds)


async def history(client: ImClient, conversation: str) -> list[LogItem]:
    """Return every message of a conversation, oldest first."""
    messages: list[LogItem] = []
    while True:
        asked = LogsCommand(cid=conversation, limit=PAGE, direction=LogsCommand.QueryDirection.NEW)
        if messages:
            asked.t = messages[-1].timestamp
            asked.mid = messages[-1].msgId
        page = (await client.request(CommandType.logs, logsMessage=asked)).logsMessage.logs
        messages += page
        if len(page) < PAGE:
            return messages


@dataclass
class Received:
    """What a client was told of a conversation."""

    timestamps: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)


async def receive(client: ImClient, conversation: str, count: int) -> Received:
    """Read until `count` messages of the conversation have come, and once more to see that no other comes."""
    received = Received()
    while len(received.texts) < count:
        frame = client.seen.pop(0) if client.seen else await client.wire.receive(SECONDS)
        if frame.cmd == CommandType.direct and frame.directMessage.cid == conversation:
            received.timestamps.append(frame.directMessage.timestamp)
            received.texts.append(frame.directMessage.msg)
    return received


class Sender:
    """Sends numbered messages, several in flight, and sends again what was not acknowledged when it reconnects."""

    def __init__(self, client_id: str, conversation: str, *, in_flight: int, count: float = float("inf")) -> None:
        self.client_id = client_id
        self.conversation = conversation
        self.acknowledged: list[tuple[str, str, int]] = []  # text, message id, timestamp, in the order of the acks
        self.resent = 0
        self._in_flight = in_flight
        self._left = count
        self._numbers = itertools.count(1)
        self._unacknowledged: dict[str, str] = {}  # text → deduplication token, in the order of sending

    async def send_until(self, client: ImClient, enough: "Enough") -> None:
        """Send until it is enough, or `count` are sent, and all is acknowledged. Raises what the connection raises."""
        waiting: dict[int, str] = {}
        self.resent += len(self._unacknowledged)
        for text in list(self._unacknowledged):
            await self._send(client, text, waiting)
        while self._unacknowledged or (self._left and not enough.is_enough):
            while len(self._unacknowledged) < self._in_flight and self._left and not enough.is_enough:
                self._left -= 1
                text = f"{self.client_id} {next(self._numbers)}"
                self._unacknowledged[text] = str(uuid4())
                await self._send(client, text, waiting)
            frame = client.seen.pop(0) if client.seen else await client.wire.receive(SECONDS)
            if not frame.HasField("i"):
                continue
            assert frame.cmd == CommandType.ack, frame
            assert not frame.ackMessage.HasField("code"), frame
            text = waiting.pop(frame.i)
            del self._unacknowledged[text]
            self.acknowledged.append((text, frame.ackMessage.uid, frame.ackMessage.t))
            enough.total += 1

    async def _send(self, client: ImClient, text: str, waiting: dict[int, str]) -> None:
        wire = client.wire
        wire.last_serial += 1
        waiting[wire.last_serial] = text
        body = DirectCommand(cid=self.conversation, msg=text, dt=self._unacknowledged[text])
        await wire.send(
            GenericCommand(cmd=CommandType.direct, i=wire.last_serial, peerId=self.client_id, directMessage=body)
        )


@dataclass
class Enough:
    """Counts acknowledgements until somebody says that it is enough."""

    total: int = 0
    is_enough: bool = False
