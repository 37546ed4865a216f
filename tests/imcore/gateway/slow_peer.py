"""A client that keeps up badly."""

import asyncio
from typing import Any

from imcore.protocol.message_pb2 import CommandType, GenericCommand, OpType, SessionCommand
from tests.imcore.gateway.raw_peer import Opcode, RawPeer


class Slow:
    """A client that says that it lives, and reads only when it is told to."""

    def __init__(self, peer: RawPeer) -> None:
        self.peer = peer
        self.lives = asyncio.create_task(self._live())

    @classmethod
    async def connect(cls, port: int, *, subprotocol: str = "lc.protobuf2.3") -> "Slow":
        """Connect with a socket that takes little."""
        return cls(await RawPeer.connect(port, subprotocol=subprotocol, receive_buffer=4096))

    async def close(self) -> None:
        """Be gone."""
        self.lives.cancel()
        await asyncio.gather(self.lives, return_exceptions=True)
        await self.peer.close()

    async def open(self, app_id: str, client_id: str, **session: Any) -> None:
        """Sign in."""
        opened = await self.ask(
            GenericCommand(
                cmd=CommandType.session,
                op=OpType.open,
                i=1,
                appId=app_id,
                peerId=client_id,
                sessionMessage=SessionCommand(**session),
            )
        )
        assert opened.op == OpType.opened

    async def ask(self, command: GenericCommand) -> GenericCommand:
        """Send a command and return what comes next."""
        await self.peer.send(command.SerializeToString())
        return await self.receive()

    async def receive(self) -> GenericCommand:
        """Return the next command."""
        while True:
            opcode, payload = await self.peer.receive()
            if opcode == Opcode.BINARY:
                return GenericCommand.FromString(payload)

    async def _live(self) -> None:
        while True:
            await self.peer.send(b"", Opcode.PONG)
            await asyncio.sleep(0.05)
