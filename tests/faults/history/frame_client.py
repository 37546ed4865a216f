"""A client that speaks frames: faster than an SDK, so that there are many messages, and as faithful as one.

It sends with deduplication tokens, several messages in flight; when it comes back it sends again what was not
acknowledged, with the same tokens, and reads history from the last message it was pushed.
"""

import asyncio
import itertools
import json
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import uuid4

import websockets

from imcore.protocol.message_pb2 import (
    CommandType,
    DirectCommand,
    GenericCommand,
    LogItem,
    LogsCommand,
    OpType,
    ReadCommand,
    ReadTuple,
)
from tests.faults.history.facts import Fact
from tests.imclient import Closed, OverSocket, open_session

PAGE = 100
TICK_SECONDS = 0.2
# As the SDKs: a command that is not answered within this time is lost.
COMMAND_SECONDS = 20.0
CONNECT_SECONDS = 10.0
# Of the messages that are pushed, so many are read at once, and all before them.
READ_SHARE = 0.03
LOST = (OSError, Closed, TimeoutError, websockets.WebSocketException)


def message_of(body: str, padding: int = 0) -> str:
    """Return a text message as the SDKs write it."""
    return json.dumps({"_lctype": -1, "_lctext": body.removesuffix(f"+{padding}") + "." * padding})


def body_of(message: str) -> str:
    """Return the text of a message. Padding, which makes it longer, is written down as its length."""
    text: str = json.loads(message)["_lctext"]
    unpadded = text.rstrip(".")
    return text if unpadded == text else f"{unpadded}+{len(text) - len(unpadded)}"


def _refusal(frame: GenericCommand) -> str:
    """Return what a frame says instead of what was hoped for."""
    told = frame.ackMessage if frame.cmd == CommandType.ack else frame.errorMessage
    return f"{told.code} {told.reason}"


_Mark = tuple[int, str]  # of a message: timestamp, id


@dataclass
class Place:
    """What the client knows of a conversation: all up to `seen`, and while it is behind, `newest` as well."""

    seen: _Mark | None = None
    newest: _Mark | None = None
    is_behind: bool = True
    has_ended: bool = False
    known: set[_Mark] = field(default_factory=set)
    read: _Mark | None = None  # what the server was told last

    def lose(self) -> None:
        """Note that the connection is gone."""
        self.is_behind, self.newest = True, None

    def hear(self, mark: _Mark) -> None:
        """Note a message that was pushed."""
        self.known.add(mark)
        if self.is_behind:
            self.newest = mark
        else:
            self.seen = mark

    def catch_up(self, seen: _Mark | None) -> None:
        """Note that history is read to its end."""
        marks = [mark for mark in (seen, self.newest) if mark is not None]
        self.is_behind, self.seen = False, max(marks, default=None)


@dataclass
class Sending:
    """A message on its way."""

    conversation: str
    body: str
    token: str
    again_at: float | None = None  # when a try has failed


@dataclass
class Reading:
    """History to be read from a point on."""

    kind: str
    conversation: str
    after: _Mark | None


class FrameClient:
    """One client. `urls` are tried in turn; `end` is how the last message of a conversation begins."""

    def __init__(
        self,
        client_id: str,
        *,
        app_id: str,
        urls: Sequence[str],
        conversations: Sequence[str],
        messages: int,
        in_flight: int,
        padding: int,
        chance: Random,
        end: str,
        end_seconds: float,
        record: Callable[[Fact], None],
    ) -> None:
        self.client_id = client_id
        self._app_id = app_id
        self._urls = urls
        self._places = {conversation: Place() for conversation in conversations}
        self._messages = messages
        self._left: int | None = None  # to be sent; None before `talk`
        self._numbers = itertools.count(1)
        self._in_flight = in_flight
        self._padding = padding
        self._chance = chance
        self._end = end
        self._end_seconds = end_seconds
        self._record = record
        self._unacknowledged: dict[str, Sending] = {}  # body → what, in the order of sending
        self._is_drained = False
        self._finish_by: float | None = None
        self._to_settle: dict[str, _Mark] | None = None  # the last read marks, not yet confirmed; None before them
        self._is_finished = False
        self._token: str | None = None
        # Of the present connection:
        self._wire: OverSocket | None = None
        self._waiting: dict[int, Sending] = {}  # serial → what
        self._readings: deque[Reading] = deque()  # the first one is asked for
        self._asked: int | None = None  # the serial of its question
        self._to_read: deque[tuple[str, _Mark]] = deque()
        self._answered_at = 0.0

    async def run(self) -> None:
        """Stay connected and do all this until `finish` is called and done."""
        for url in itertools.cycle(self._urls):
            try:
                await self._connect(url)
            except LOST as error:
                self._note(f"{type(error).__name__} {error}")
            if await self._leave():
                return
            await asyncio.sleep(TICK_SECONDS)

    def talk(self) -> None:
        """Begin to send."""
        self._left = self._messages

    def change_network(self) -> None:
        """Give the connection up without a word to the server, as a phone does that has another network."""
        if self._wire is not None:
            self._wire.socket.transport.abort()

    def finish(self) -> None:
        """Wait for the end of each conversation, and be done."""
        self._finish_by = time.monotonic() + self._end_seconds

    async def _connect(self, url: str) -> None:
        async with asyncio.timeout(CONNECT_SECONDS):
            wire = await OverSocket.connect(url, max_queue=None, close_timeout=1, ping_interval=None)
        self._wire = wire
        opened = await open_session(
            wire, self._app_id, self.client_id, deviceId=self.client_id, st=self._token, r=self._token is not None
        )
        if opened.op != OpType.opened:
            self._note(f"session: {_refusal(opened)}")
            return
        self._token = opened.sessionMessage.st
        self._say("up")
        self._answered_at = time.monotonic()
        self._readings.extend(
            Reading("history", conversation, place.seen) for conversation, place in self._places.items()
        )
        for sending in self._unacknowledged.values():
            await self._transmit(sending)
        while not self._is_done():
            await self._send()
            await self._ask()
            await self._read()
            try:
                frame = await wire.receive(TICK_SECONDS)
            except TimeoutError:
                if (self._waiting or self._asked) and time.monotonic() - self._answered_at > COMMAND_SECONDS:
                    raise
                continue
            self._answered_at = time.monotonic()
            if frame.cmd == CommandType.goaway:
                return
            self._hear(frame)

    async def _leave(self) -> bool:
        """Forget the connection; say whether the client is done."""
        wire, self._wire = self._wire, None
        self._waiting.clear()
        self._readings.clear()
        self._to_read.clear()
        self._asked = None
        for place in self._places.values():
            place.lose()
        if wire is not None:
            if not self._is_finished:
                self._say("down")
            await wire.close()
        return self._is_finished

    def _is_done(self) -> bool:
        if self._finish_by is None or self._readings:
            return False
        if not all(place.has_ended for place in self._places.values()):
            if time.monotonic() < self._finish_by:
                return False
            self._note("the end did not come")
        if self._to_settle is None:
            self._to_settle = {conversation: self._to_be_read_at_last(conversation) for conversation in self._places}
            self._to_read.extend(self._to_settle.items())
            self._finish_by = time.monotonic() + self._end_seconds
            return False
        if self._to_settle and time.monotonic() < self._finish_by:
            return False
        if self._to_settle:
            self._note("a read mark was not confirmed")
        self._is_finished = True
        self._say("finished")
        return True

    def _to_be_read_at_last(self, conversation: str) -> _Mark:
        """Choose any message from the last one that was read on, so that the end and all after it may stay unread."""
        place = self._places[conversation]
        return self._chance.choice(sorted(mark for mark in place.known if place.read is None or mark >= place.read))

    async def _send(self) -> None:
        now = time.monotonic()
        for sending in list(self._unacknowledged.values()):
            if sending.again_at is not None and sending.again_at <= now:
                await self._transmit(sending)
        while self._left and len(self._unacknowledged) < self._in_flight:
            self._left -= 1
            body = f"{self.client_id} {next(self._numbers)}" + (f"+{self._padding}" if self._padding else "")
            sending = Sending(self._chance.choice(list(self._places)), body, str(uuid4()))
            self._unacknowledged[body] = sending
            await self._transmit(sending)
        if not self._is_drained and self._left == 0 and not self._unacknowledged:
            self._is_drained = True
            self._say("drained")

    async def _transmit(self, sending: Sending) -> None:
        sending.again_at = None
        self._say("sent", conversation=sending.conversation, body=sending.body)
        message = DirectCommand(cid=sending.conversation, msg=message_of(sending.body, self._padding), dt=sending.token)
        self._waiting[await self._command(CommandType.direct, directMessage=message)] = sending

    async def _ask(self) -> None:
        if self._asked is not None or not self._readings:
            return
        reading = self._readings[0]
        asked = LogsCommand(cid=reading.conversation, limit=PAGE, direction=LogsCommand.QueryDirection.NEW)
        if reading.after is not None:
            asked.t, asked.mid = reading.after
        self._asked = await self._command(CommandType.logs, logsMessage=asked)

    async def _read(self) -> None:
        assert self._wire is not None
        while self._to_read:
            conversation, (at, message) = self._to_read.popleft()
            place = self._places[conversation]
            place.read = max((at, message), place.read or (at, message))
            self._say("read", conversation=conversation, message=message, at=at)
            told = ReadCommand(convs=[ReadTuple(cid=conversation, mid=message, timestamp=at)])
            await self._wire.send(GenericCommand(cmd=CommandType.read, peerId=self.client_id, readMessage=told))

    async def _command(self, cmd: Any, **body: Any) -> int:
        assert self._wire is not None
        self._wire.last_serial += 1
        serial = self._wire.last_serial
        await self._wire.send(GenericCommand(cmd=cmd, i=serial, peerId=self.client_id, **body))
        return serial

    def _hear(self, frame: GenericCommand) -> None:
        if frame.HasField("i") and frame.i in self._waiting:
            self._hear_acknowledgement(frame, self._waiting.pop(frame.i))
        elif frame.HasField("i") and frame.i == self._asked:
            self._asked = None
            if frame.cmd == CommandType.logs:
                self._hear_history(list(frame.logsMessage.logs))
            else:
                self._note(f"history: {_refusal(frame)}")
        elif frame.cmd == CommandType.direct:
            message = frame.directMessage
            body = body_of(message.msg)
            self._say(
                "live",
                conversation=message.cid,
                body=body,
                message=message.id,
                at=message.timestamp,
                sender=message.fromPeerId,
            )
            place = self._places[message.cid]
            place.hear((message.timestamp, message.id))
            place.has_ended |= body.startswith(self._end)
            if message.fromPeerId != self.client_id and self._chance.random() < READ_SHARE:
                self._to_read.append((message.cid, (message.timestamp, message.id)))
        elif frame.cmd == CommandType.unread:
            for tuple_ in frame.unreadMessage.convs:
                self._say("unread", conversation=tuple_.cid, count=tuple_.unread)
                if self._to_settle and (mark := self._to_settle.pop(tuple_.cid, None)):
                    self._say("settled", conversation=tuple_.cid, message=mark[1], at=mark[0])

    def _hear_acknowledgement(self, frame: GenericCommand, sending: Sending) -> None:
        acknowledged = frame.ackMessage
        if frame.cmd != CommandType.ack or acknowledged.HasField("code"):
            self._say("failed", conversation=sending.conversation, body=sending.body, why=_refusal(frame))
            sending.again_at = time.monotonic() + TICK_SECONDS
            return
        self._say(
            "acked",
            conversation=sending.conversation,
            body=sending.body,
            message=acknowledged.uid,
            at=acknowledged.t,
        )
        self._unacknowledged.pop(sending.body, None)

    def _hear_history(self, page: list[LogItem]) -> None:
        reading = self._readings[0]
        place = self._places[reading.conversation]
        for item in page:
            body = body_of(item.data)
            self._say(
                reading.kind,
                conversation=reading.conversation,
                body=body,
                message=item.msgId,
                at=item.timestamp,
                sender=getattr(item, "from"),
            )
            reading.after = (item.timestamp, item.msgId)
            place.known.add(reading.after)
            place.has_ended |= body.startswith(self._end)
        if reading.kind == "history" and reading.after is not None:
            place.seen = reading.after
        if len(page) < PAGE:
            self._readings.popleft()
            if reading.kind == "history":
                place.catch_up(reading.after)

    def _say(
        self,
        kind: str,
        *,
        conversation: str = "",
        body: str = "",
        message: str = "",
        at: int = 0,
        sender: str = "",
        count: int = 0,
        why: str = "",
    ) -> None:
        self._record(Fact(kind, self.client_id, conversation, body, message, at, sender, count, why))

    def _note(self, why: str) -> None:
        self._say("note", why=why)
