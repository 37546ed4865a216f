"""Clients of imcore: sign in, start or enter a conversation, send and query as the SDKs do."""

import json
from collections.abc import Sequence

from bench.generator import COUNTER, Framing, Lane, Load, Surge
from bench.wire import WebSocket, WireError, receive_until, wait_until_quiet
from imcore.protocol.message_pb2 import (
    CommandType,
    ConvCommand,
    DirectCommand,
    GenericCommand,
    JsonObjectMessage,
    OpType,
    SessionCommand,
)

APP_ID = "benchmarkbenchmarkbenchm"
APP_KEY = "benchmarkbenchmarkbenchm"
MASTER_KEY = "benchmarkbenchmarkbenchn"
SUBPROTOCOL = "lc.protobuf2.3"
CONFIG_BITMAP = 187  # what the JavaScript SDK 5 declares (realtime-protocol 4.1.1)
TEXT = json.dumps({"_lctype": -1, "_lctext": "x" * 172}, separators=(",", ":"))  # 200 bytes
SERIAL = 7  # of every command: the generator sends one message over and over


class Client(WebSocket):
    """One signed-in client on a connection of its own."""

    def __init__(self, port: int, client_id: str) -> None:
        super().__init__(port, subprotocol=SUBPROTOCOL)
        self.client_id = client_id
        self.ask(
            GenericCommand(
                cmd=CommandType.session,
                op=OpType.open,
                appId=APP_ID,
                peerId=client_id,
                sessionMessage=SessionCommand(ua="bench", configBitmap=CONFIG_BITMAP, deviceId=client_id),
            )
        )

    def ask(self, command: GenericCommand) -> GenericCommand:
        """Send a command and return its reply; raise WireError if it is refused."""
        command.i = SERIAL
        self.send(command.SerializeToString())
        reply = receive_until(self.command, lambda received: received.HasField("i"))
        if reply.cmd == CommandType.error or reply.ackMessage.HasField("code"):
            raise WireError(f"imcore refused a command: {reply}")
        return reply

    def command(self) -> GenericCommand:
        """Return the next command from the server."""
        return GenericCommand.FromString(self.receive())

    def start_conversation(self, members: Sequence[str], *, is_room: bool = False) -> str:
        """Start a normal conversation or a chat room and return its id."""
        conv = ConvCommand(m=members)
        if is_room:
            conv.transient = True
        return self.ask(self.about(OpType.start, conv)).convMessage.cid

    def about(self, op: OpType, conv: ConvCommand) -> GenericCommand:
        """Return this client's command about a conversation."""
        return GenericCommand(cmd=CommandType.conv, op=op, peerId=self.client_id, i=SERIAL, convMessage=conv)


def fanout(port: int, members: int, *, transient: bool) -> Load:
    """Put members into one normal conversation; the first one speaks, the others hear it."""
    speaker, *others = (Client(port, f"member-{number}") for number in range(members))
    conversation_id = speaker.start_conversation([client.client_id for client in (speaker, *others)])
    lane = _lane(speaker, others, conversation_id, transient=transient)
    return _checked([lane], deliveries=len(others), is_stored=not transient)


def pairs(port: int, count: int) -> Load:
    """Connect pairs of clients, each pair with a conversation of its own."""
    lanes = []
    for number in range(count):
        sender = Client(port, f"sender-{number}")
        receiver = Client(port, f"receiver-{number}")
        conversation_id = sender.start_conversation([sender.client_id, receiver.client_id])
        lanes.append(_lane(sender, [receiver], conversation_id, transient=False))
    return _checked(lanes, deliveries=1, is_stored=True)


def room(port: int, listeners: int, *, transient: bool) -> Load:
    """Put listeners into one chat room and let one more client speak there."""
    speaker, *others = (Client(port, f"guest-{number}") for number in range(listeners + 1))
    conversation_id = speaker.start_conversation([], is_room=True)
    for client in (speaker, *others):
        client.ask(client.about(OpType.add, ConvCommand(cid=conversation_id, m=[client.client_id])))
    lane = _lane(speaker, others, conversation_id, transient=transient)
    return _checked([lane], deliveries=len(others), is_stored=not transient)


def crossing(port: int, count: int, *, is_leaving: bool) -> Load:
    """Let all clients enter one chat room at once, and leave it in between; or the other way round."""
    clients = [Client(port, f"guest-{number}") for number in range(count)]
    conversation_id = clients[0].start_conversation([], is_room=True)

    def lanes(op: OpType) -> list[Lane[Client]]:
        return [
            Lane(client, [], WebSocket.frame(client.about(op, conv).SerializeToString()))
            for client in clients
            for conv in [ConvCommand(cid=conversation_id, m=[client.client_id])]
        ]

    for op in (OpType.add, OpType.remove):
        for client in clients:
            client.ask(client.about(op, ConvCommand(cid=conversation_id, m=[client.client_id])))
    wait_until_quiet(clients)
    forth, back = (OpType.remove, OpType.add) if is_leaving else (OpType.add, OpType.remove)
    return Surge(framing=Framing.WEBSOCKET, forth=lanes(forth), back=lanes(back))


def query(port: int, conversations: int, *, client_id: str, where: str, sort: str) -> Load:
    """Ask for a page of conversations, over and over."""
    client = Client(port, client_id)
    conv = ConvCommand()
    if where:
        conv.where.CopyFrom(JsonObjectMessage(data=where))
    if sort:
        conv.sort = sort
    command = client.about(OpType.query, conv)
    reply = client.ask(command)
    if reply.op != OpType.results:
        raise WireError(f"imcore did not answer a query: {reply}")
    lane = Lane(client, [], WebSocket.frame(command.SerializeToString()))
    return Load(framing=Framing.WEBSOCKET, lanes=[lane], deliveries=1)


def _lane(sender: Client, receivers: Sequence[Client], conversation_id: str, *, transient: bool) -> Lane[Client]:
    direct = DirectCommand(cid=conversation_id, msg=TEXT, dt=f"{sender.client_id}-{COUNTER.decode()}")
    if transient:
        direct.transient = True
    command = GenericCommand(cmd=CommandType.direct, i=SERIAL, peerId=sender.client_id, directMessage=direct)
    return Lane(sender, receivers, WebSocket.frame(command.SerializeToString()))


def _checked(lanes: Sequence[Lane[Client]], *, deliveries: int, is_stored: bool) -> Load:
    """Send each lane's message once, see that it is acknowledged and arrives, and wait until all is quiet."""
    for lane in lanes:
        lane.sender.write(lane.message)
        ack = receive_until(lane.sender.command, lambda received: received.cmd == CommandType.ack)
        if ack.ackMessage.HasField("code"):
            raise WireError(f"imcore refused a message: {ack}")
        for receiver in lane.receivers:
            received = receive_until(receiver.command, lambda received: received.cmd == CommandType.direct)
            if received.directMessage.msg != TEXT:
                raise WireError(f"imcore delivered something else: {received}")
    wait_until_quiet([connection for lane in lanes for connection in (lane.sender, *lane.receivers)])
    return Load(framing=Framing.WEBSOCKET, lanes=lanes, deliveries=deliveries, is_stored=is_stored)
