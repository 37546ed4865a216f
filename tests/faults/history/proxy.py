"""A TCP proxy of ours that can become a black hole, and that passes a slow reader's slowness on to the server."""

import asyncio
import contextlib
import socket
from dataclasses import dataclass

# As much as lies about on a thin line. With the kernel's own sizes a client that reads nothing is not noticed for
# megabytes.
BUFFER = 32 * 1024
# Of a network; the loopback's, 64 KB, do not fit into such buffers, which makes it crawl.
SEGMENT = 1400


@dataclass(eq=False)
class _Pair:
    """A client's connection and the one to the server that goes with it."""

    is_swallowed: bool = False


class Proxy:
    """Forwards connections to a port of 127.0.0.1. Use it as an async context."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._pairs: set[_Pair] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None
        self.port = 0

    async def __aenter__(self) -> "Proxy":
        listening = _small()
        listening.bind(("127.0.0.1", 0))
        self._listener = await asyncio.start_server(self._serve, sock=listening, limit=BUFFER)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._listener is not None
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def swallow(self) -> None:
        """Drop from now on whatever comes through the connections there are, either way, and keep them open.

        Neither end is told of it, nor of the other one's leaving. New connections are as good as ever.
        """
        for pair in self._pairs:
            pair.is_swallowed = True

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        outgoing = _small()
        try:
            await asyncio.get_running_loop().sock_connect(outgoing, ("127.0.0.1", self._server_port))
            server_reader, server_writer = await asyncio.open_connection(sock=outgoing, limit=BUFFER)
            pair = _Pair()
            self._pairs.add(pair)
            try:
                await asyncio.gather(
                    _pass_on(pair, reader, server_writer),
                    _pass_on(pair, server_reader, writer),
                )
            finally:
                self._pairs.remove(pair)
                _drop(server_writer)
        except OSError:
            outgoing.close()
        except asyncio.CancelledError:
            pass  # the proxy is taken down; asyncio would report it as a failure of this handler
        finally:
            _drop(writer)
            self._tasks.discard(task)


async def _pass_on(pair: _Pair, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(BUFFER):
            if not pair.is_swallowed:
                writer.write(data)
                await writer.drain()
    if not pair.is_swallowed:
        writer.close()


def _drop(writer: asyncio.StreamWriter) -> None:
    if not writer.transport.is_closing():
        writer.transport.abort()


def _small() -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
    made.setblocking(False)
    return made
