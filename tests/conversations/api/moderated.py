"""Conversations in which back ends silence, block and give roles, and what that leaves."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from conversations.models import Block, KeptNotice, MemberInfo, Silence
from imcore.bridge import in_database
from imcore.models import Application
from tests.conftest import SignIn
from tests.conversations.api.backend import CHAT_ROOMS, NORMAL, SERVICES, ask
from tests.conversations.commands.test_systems import service_of
from tests.conversations.talking import add, heard, start
from tests.imclient import ImClient

NO_SUCH_CID = "0123456789abcdef01234567"


async def pages(application: Application, path: str, name: str, **query: Any) -> list[list[str]]:
    """Return all pages of a list, by following `next`."""
    found = []
    while True:
        page = await ask(application, "GET", path, **query)
        found.append(page.pop(name))
        if not page:
            return found
        query["next"] = page["next"]


class Place(NamedTuple):
    """A conversation of a family, its path, and its clients, who are there and have heard all of it."""

    path: str
    cid: str
    clients: Sequence[ImClient]


async def place_of(application: Application, signed_in: SignIn, family: str, *names: str) -> Place:
    """Sign clients in and bring them together in a conversation of a family; the first starts it, if a client can."""
    clients = [await signed_in(name) for name in names]
    if family == SERVICES:
        cid = await service_of(application)
    else:
        cid = (await start(clients[0], *names, transient=family == CHAT_ROOMS)).cid
    for client in clients:
        if family != NORMAL:
            await add(client, cid, client.client_id)
    for client in clients:
        await heard(client)
    return Place(f"{family}/{cid}", cid, clients)


async def traces(application: Application) -> list[Any]:
    """Return all that is kept of lists, roles and notices in an application."""
    models: Sequence[Any] = (Silence, Block, MemberInfo, KeptNotice)
    return await in_database(
        lambda: [list(model.objects.filter(application=application).order_by("pk").values()) for model in models]
    )
