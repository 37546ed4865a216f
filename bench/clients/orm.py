"""Clients of the ORM way: JSON over a WebSocket, each signed in by its path."""

import json

from bench.clients.rooms import BODY
from bench.generator import Framing, Lane, Load
from bench.wire import WebSocket, receive_until, wait_until_quiet


def pairs(port: int, count: int) -> Load:
    """Connect pairs of clients, each pair with a conversation of its own."""
    lanes = []
    for number in range(count):
        sender = WebSocket(port, f"/ws/sender-{number}/")
        receiver = WebSocket(port, f"/ws/receiver-{number}/")
        sender.send(json.dumps({"type": "start", "with": f"receiver-{number}"}).encode(), is_text=True)
        conversation = json.loads(sender.receive())["conversation"]
        command = {"type": "message", "conversation": conversation, "body": BODY.decode()}
        lanes.append(Lane(sender, [receiver], WebSocket.frame(json.dumps(command).encode(), is_text=True)))
    for lane in lanes:
        lane.sender.write(lane.message)
        receive_until(lane.sender.receive, lambda frame: json.loads(frame)["type"] == "ack")
        receive_until(lane.receivers[0].receive, lambda frame: BODY in frame)
    wait_until_quiet([connection for lane in lanes for connection in (lane.sender, *lane.receivers)])
    return Load(framing=Framing.WEBSOCKET, lanes=lanes, deliveries=1, is_stored=True)
