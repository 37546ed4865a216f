"""Getting events to clients: who is here, on which node, and the bounded way to each socket.

Promise: an event handed to `publish` reaches every open session of its recipients, on every node, at most once and in
the order of the conversation, unless a node, Redis or a connection fails. Then it is lost here, on purpose: the row is
the message, and clients recover from history and unread counts.

    service ── router.publish ──► encoding (once) ──► this node ──► session ──► outbound queue ──► socket
                                       │
                                       └── presence: which other nodes? ──► one publish per node ──► their inbox

May import the protocol and the kernel; knows neither sockets' server nor any app.
"""
