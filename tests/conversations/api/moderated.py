"""Silences, roles and block lists as a back end asks for them, in short calls, and where."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from conversations.models import Block, KeptNotice, MemberInfo, Silence
from imcore.bridge import in_database
from imcore.models import Application
from tests.conftest import SignIn
from tests.conversations.commands.test_systems import service_of
from tests.conversations.talking import add, heard, start
from tests.imclient import ImClient
from tests.restclient import call, master_of

NORMAL, CHAT_ROOMS, SERVICES = "conversations", "chatrooms", "service-conversations"
NO_SUCH_CID = "0123456789abcdef01234567"

Code = tuple[int, int]


async def ask(application: Application, method: str, path: str, body: Any = None, **query: Any) -> Any:
    """Make a request below `/1.2/rtm/` and return the body of its answer, which must be a success."""
    answer = await call(method, f"/1.2/rtm/{path}", master_of(application), body, **query)
    assert answer.status_code == 200, answer.content
    return answer.json()


async def refused(application: Application, method: str, path: str, body: Any = None, **query: Any) -> Code:
    """Make a request below `/1.2/rtm/` and return the status and the code it fails with."""
    answer = await call(method, f"/1.2/rtm/{path}", master_of(application), body, **query)
    assert answer.json().keys() <= {"code", "error", "detail"}, answer.content
    return answer.status_code, answer.json()["code"]


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
    """Sign clients in and bring them together in a conversation of a family, which the first creates, if a client can."""
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
