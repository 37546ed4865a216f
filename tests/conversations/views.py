"""What a connected client knows of conversations, taken from what it fetches and from what it is told."""

from dataclasses import dataclass, field
from typing import Any

from conversations.models import Block
from imcore.bridge import in_database
from imcore.models import Application
from imcore.protocol.message_pb2 import CommandType, OpType
from tests.conversations.moderating import stored_roles
from tests.conversations.talking import answer, heard, look_up, query
from tests.imclient import ImClient


@dataclass
class Talk:
    """Who stands how in a conversation. Who has a record of a role need not be a Manager; a record pins the owner."""

    members: set[str]
    roles: dict[str, str] = field(default_factory=dict)
    silenced: set[str] = field(default_factory=set)
    blocked: set[str] = field(default_factory=set)

    def lose(self, gone: set[str]) -> None:
        """Note that clients are no members any more."""
        self.members -= gone
        self.roles = {one: role for one, role in self.roles.items() if one not in gone}


class View:
    """What one connected client knows: of each conversation it is in, who stands how, and where it is blocked."""

    def __init__(self, client: ImClient, application: Application) -> None:
        self.client = client
        self.application = application
        self.talks: dict[str, Talk] = {}
        self.barred: set[str] = set()

    async def fetch(self) -> None:
        """Look afresh, as after connecting."""
        self.talks = {found["objectId"]: await self._talk(found) for found in await query(self.client, limit=100)}
        mine = Block.objects.filter(application=self.application, client_id=self.client.client_id)
        self.barred = set(await in_database(lambda: list(mine.values_list("conversation__object_id", flat=True))))

    async def listen(self) -> None:
        """Take in what was told since, as an SDK does: a conversation one is new in is looked up."""
        for frame in await heard(self.client):
            if frame.cmd != CommandType.conv:
                continue
            body = frame.convMessage
            named = set(body.m)
            match frame.op:
                case OpType.joined:
                    self.talks[body.cid] = await self._talk(await look_up(self.client, body.cid))
                case OpType.members_joined:
                    self.talks[body.cid].members |= named
                case OpType.left:
                    del self.talks[body.cid]
                case OpType.members_left:
                    self.talks[body.cid].lose(named)
                case OpType.members_shutuped:
                    self.talks[body.cid].silenced |= named
                case OpType.members_unshutuped:
                    self.talks[body.cid].silenced -= named
                case OpType.shutuped | OpType.unshutuped:
                    pass  # a member among those whom the next notice names, or one who is away
                case OpType.blocked:
                    self.barred.add(body.cid)
                case OpType.unblocked:
                    self.barred.remove(body.cid)
                case OpType.members_blocked:
                    self.talks[body.cid].blocked |= named
                case OpType.members_unblocked:
                    self.talks[body.cid].blocked -= named
                case OpType.member_info_changed:
                    self.talks[body.cid].roles[body.info.pid] = body.info.role
                case _:
                    raise AssertionError(f"not expected: {frame}")

    async def _talk(self, found: dict[str, Any]) -> Talk:
        cid = found["objectId"]
        silenced = await answer(self.client, OpType.query_shutup, OpType.shutup_result, cid=cid)
        # As for roles, there is no command by which every member may ask.
        rows = Block.objects.filter(application=self.application, conversation__object_id=cid)
        blocked = await in_database(lambda: set(rows.values_list("client_id", flat=True)))
        return Talk(set(found["m"]), dict(await stored_roles(cid)), set(silenced.m), blocked)
