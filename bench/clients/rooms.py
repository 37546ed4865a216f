"""Clients of the rooms we compare with: everybody in, the first one speaks, everybody hears it, the speaker too."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from bench.generator import Framing, Lane, Load
from bench.wire import Mqtt, WebSocket, receive_until, wait_until_quiet

BODY = b"x" * 200
TOPIC = "room"

AnyConnection = TypeVar("AnyConnection", WebSocket, Mqtt)


def bare(port: int, members: int) -> Load:
    """Connect to the bare ASGI app, which sends every frame to all."""
    connections = [WebSocket(port) for _ in range(members)]
    return _room(connections, WebSocket.frame(BODY), lambda connection: BODY in connection.receive())


def tutorial_chat(port: int, members: int) -> Load:
    """Join one room of the Channels tutorial's chat."""
    connections = [WebSocket(port, "/ws/chat/room/") for _ in range(members)]
    message = WebSocket.frame(json.dumps({"message": BODY.decode()}).encode(), is_text=True)
    return _room(connections, message, lambda connection: BODY in connection.receive())


def socket_io(port: int, members: int) -> Load:
    """Join one room of the socket.io server, by Engine.IO 4 straight over a WebSocket."""
    connections = []
    for _ in range(members):
        connection = WebSocket(port, "/socket.io/?EIO=4&transport=websocket")
        receive_until(connection.receive, lambda packet: packet.startswith(b"0{"))
        connection.send(b"40", is_text=True)
        receive_until(connection.receive, lambda packet: packet.startswith(b"40{"))
        connections.append(connection)
    message = WebSocket.frame(b"42" + json.dumps(["message", BODY.decode()]).encode(), is_text=True)
    return _room(connections, message, lambda connection: BODY in connection.receive(), framing=Framing.ENGINE_IO)


def mqtt(port: int, members: int) -> Load:
    """Subscribe to one topic of an MQTT broker at QoS 0."""
    connections = [Mqtt(port, f"client-{number}") for number in range(members)]
    for connection in connections:
        connection.subscribe(TOPIC)
    message = Mqtt.publish(TOPIC, BODY)
    return _room(connections, message, lambda connection: BODY in connection.receive()[1], framing=Framing.MQTT)


def _room(
    connections: Sequence[AnyConnection],
    message: bytes,
    hears: Callable[[AnyConnection], bool],
    *,
    framing: Framing = Framing.WEBSOCKET,
) -> Load:
    speaker, *others = connections
    speaker.write(message)
    for connection in connections:
        receive_until(partial(hears, connection), bool)
    wait_until_quiet(connections)
    return Load(framing=framing, lanes=[Lane(speaker, others, message)], deliveries=len(connections))
