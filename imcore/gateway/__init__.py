"""Holding sockets: from a frame to the command that answers it.

    websocket.py   what our WebSocket server does beyond uvicorn's (close codes, idle limit, hostile peers)
    consumer.py    one WebSocket: accept, receive, close
    connection.py  who is here, in what state: connections, their clients' lanes, sessions
    dispatch.py    guard → handler → reply; error → code
    registry.py    which function serves which command

Promise: no frame hops a thread, no handler holds up another client's commands or a heartbeat, and nobody's bad input
is felt by anybody else. May import delivery, the protocol and the kernel; apps register with it, it imports none.
"""
