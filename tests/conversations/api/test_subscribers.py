"""Who follows which system conversations, for back ends (rest-api 8.11, 8.12, 9)."""

from itertools import chain
from typing import Any
from urllib.parse import quote

import pytest

from conversations.models import Block, Conversation, Subscription
from imcore import identifiers
from imcore.bridge import in_database
from imcore.models import Application
from tests.conftest import SignIn
from tests.conversations.talking import add, count, heard, start
from tests.messaging.speaking import Service, new_service
from tests.messaging.support import another_application
from tests.restclient import app_of, call, master_of

MISSING = "66a0f1e2c3d4b5a697887766"


@pytest.fixture
async def service(application: Application) -> Service:
    """A system conversation."""
    return await new_service(application)


def subscribers(cid: str, more: str = "") -> str:
    """Return the path of a conversation's subscribers."""
    return f"/1.2/rtm/service-conversations/{cid}/subscribers{more}"


async def answered(method: str, path: str, application: Application, body: Any = None, **query: Any) -> Any:
    """Ask as the developer and return the body of an answer that must be 200."""
    answer = await call(method, path, master_of(application), body, **query)
    assert answer.status_code == 200, answer.content
    return answer.json()


async def code(method: str, path: str, headers: dict[str, str], body: Any = None, **query: Any) -> tuple[int, int]:
    """Ask, and return the status and the code of the refusal."""
    answer = await call(method, path, headers, body, **query)
    return answer.status_code, answer.json()["code"]


async def listed(application: Application, cid: str, **query: Any) -> list[str]:
    """Return a page of a conversation's subscribers."""
    return [one["subscriber"] for one in await answered("GET", subscribers(cid), application, **query)]


async def followed(application: Application, client_id: str, **query: Any) -> list[str]:
    """Return a page of what a client follows."""
    path = f"/1.2/rtm/clients/{quote(client_id)}/service-conversations"
    found = await answered("GET", path, application, **query)
    assert {one["subscriber"] for one in found} <= {client_id}
    return [one["conv_id"] for one in found]


async def stored(application: Application) -> int:
    """Return how many subscriptions an application has."""
    return await in_database(lambda: Subscription.objects.filter(application=application).count())


async def follow(service: Service, *client_ids: str, at_ms: int = 1) -> None:
    """Write subscriptions, in their order."""

    def write() -> None:
        whose: Any = {"application_id": service.application, "conversation": conversation_row(service)}
        Subscription.objects.bulk_create(
            Subscription(**whose, client_id=one, subscribed_ms=at_ms) for one in client_ids
        )

    await in_database(write)


def conversation_row(service: Service) -> Conversation:
    """Return the row of a system conversation."""
    return Conversation.objects.get(object_id=service.cid)


async def test_a_client_is_subscribed_counted_listed_and_unsubscribed(
    application: Application, service: Service, signed_in: SignIn
) -> None:
    """Checklist 31: it gets what is said to subscribers meanwhile, and nobody is told of the subscription."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    began = identifiers.now_ms()

    made = await answered("POST", subscribers(service.cid), application, {"client_id": "tom"})
    again = await answered("POST", subscribers(service.cid), application, {"client_id": "tom"})
    [row] = await answered("GET", subscribers(service.cid), application)
    number = await answered("GET", subscribers(service.cid, "/count"), application)
    before = await heard(tom)
    await service.announce("news")
    during = await heard(tom), await heard(jerry)
    gone = await answered("DELETE", subscribers(service.cid, "/tom"), application)
    repeated = await answered("DELETE", subscribers(service.cid, "/tom"), application)
    await service.announce("later")

    assert [made, again, gone, repeated] == [{}] * 4
    assert row == {"timestamp": row["timestamp"], "subscriber": "tom", "conv_id": service.cid}
    assert began <= row["timestamp"] <= identifiers.now_ms()
    assert number == {"count": 1}
    assert before == await heard(tom) == []
    assert [[frame.directMessage.msg for frame in frames] for frames in during] == [["news"], []]
    assert await answered("GET", subscribers(service.cid, "/count"), application) == {"count": 0}
    assert await count(tom, service.cid) == 0


async def test_pages_are_in_the_order_of_subscribing(application: Application, service: Service) -> None:
    """Checklist 31: of 50 at most, each behind the last client of the one before."""
    names = [f"client {number * 37 % 120}" for number in range(120)]
    await follow(service, *names)

    pages = [await listed(application, service.cid)]
    while pages[-1]:
        pages.append(await listed(application, service.cid, client_id=pages[-1][-1]))

    assert [len(page) for page in pages] == [50, 50, 20, 0]
    assert list(chain.from_iterable(pages)) == names
    assert await listed(application, service.cid, limit=3, client_id=names[4]) == names[5:8]
    for limit in (0, 51, -1, "many"):
        assert len(await listed(application, service.cid, limit=limit)) == 50


async def test_a_cursor_that_is_subscribed_no_longer_begins_anew(application: Application, service: Service) -> None:
    """Checklist 31: so that nobody is left out, also by who unsubscribes page by page."""
    await follow(service, *(f"client {number}" for number in range(5)))
    seen = await listed(application, service.cid, limit=2)
    for name in seen:
        await answered("DELETE", subscribers(service.cid, f"/{name}"), application)

    rest = await listed(application, service.cid, limit=2, client_id=seen[-1])

    assert rest == ["client 2", "client 3"]
    assert await listed(application, service.cid, client_id="never") == ["client 2", "client 3", "client 4"]


@pytest.mark.parametrize("client_id", ["a/b", "count", "a b?c"])
async def test_a_client_may_have_any_name(application: Application, service: Service, client_id: str) -> None:
    """Checklist 31: its path has slashes then, or is that of something else."""
    await answered("POST", subscribers(service.cid), application, {"client_id": client_id})
    assert await listed(application, service.cid) == [client_id]
    assert await followed(application, client_id) == [service.cid]

    await answered("DELETE", subscribers(service.cid, f"/{quote(client_id)}"), application)

    assert await listed(application, service.cid) == []


async def test_what_a_client_follows_comes_in_the_order_of_time(application: Application) -> None:
    """Checklist 31: from either end, behind a conversation and its time, though it may be followed no more."""
    services = sorted([await new_service(application) for _ in range(5)], key=lambda one: one.cid)
    for number, one in enumerate(services):
        await follow(one, "tom", "jerry", at_ms=10 + number // 2)  # two of each millisecond
    cids = [one.cid for one in services]

    forward = [await followed(application, "tom", limit=2)]
    backward = [await followed(application, "tom", limit=2, direction="old")]
    for pages, direction in ((forward, "new"), (backward, "old")):
        while pages[-1]:
            last = pages[-1][-1]
            where = {"conv_id": last, "timestamp": 10 + cids.index(last) // 2}
            pages.append(await followed(application, "tom", limit=2, direction=direction, **where))
    await answered("DELETE", subscribers(cids[2], "/tom"), application)
    behind = await followed(application, "tom", conv_id=cids[2], timestamp="11.7")

    assert list(chain.from_iterable(forward)) == cids
    assert list(chain.from_iterable(backward)) == cids[::-1]
    assert behind == cids[3:]
    assert await followed(application, "nobody") == []


@pytest.mark.parametrize("path", ["/1.1/rtm/conversation/subscription", "/1.1/rtm/broadcast/subscription"])
async def test_1_1_names_both_in_its_parameters(application: Application, service: Service, path: str) -> None:
    """Checklist 31, in the words of 1.1."""
    named = {"conv_id": service.cid, "client_id": "tom"}

    assert await answered("POST", path, application, named) == {}
    assert await listed(application, service.cid) == ["tom"]
    assert await answered("DELETE", path, application, **named) == {}
    assert await listed(application, service.cid) == []
    await answered("POST", path, application, named)
    assert await answered("DELETE", path, application, named) == {}
    assert await stored(application) == 0


async def test_who_is_blocked_cannot_be_subscribed(
    application: Application, service: Service, signed_in: SignIn
) -> None:
    """8.5, and so here: 4548."""

    def write() -> None:
        row = conversation_row(service)
        Block.objects.create(application=application, conversation=row, client_id="tom", created_ms=1)
        Conversation.objects.filter(pk=row.pk).update(has_blocked=True)

    await in_database(write)

    refused = await code("POST", subscribers(service.cid), master_of(application), {"client_id": "tom"})

    assert refused == (403, 4548)
    assert await stored(application) == 0


async def test_what_cannot_be_asked_is_refused(application: Application, service: Service, signed_in: SignIn) -> None:
    """Checklist 31: a parameter, a key, a conversation of another kind or of another application."""
    tom = await signed_in("tom")
    chat, room = (await start(tom, "tom")).cid, (await start(tom, transient=True)).cid
    theirs = (await new_service(await another_application())).cid
    master, app = master_of(application), app_of(application)
    path, named = subscribers(service.cid), "/1.1/rtm/conversation/subscription"
    follows = "/1.2/rtm/clients/tom/service-conversations"
    good = {"client_id": "tom"}
    cases: list[tuple[tuple[int, int], str, str, dict[str, str], Any]] = [
        ((400, 1), "POST", path, master, {}),
        ((400, 1), "POST", path, master, {"client_id": 7}),
        ((400, 1), "POST", path, master, {"client_id": ["tom"]}),
        ((400, 4103), "POST", path, master, {"client_id": "x" * 65}),
        ((400, 4103), "POST", path, master, {"client_id": "a\0b"}),
        ((400, 4303), "POST", subscribers(MISSING), master, good),
        ((400, 4303), "POST", subscribers(theirs), master, good),
        ((400, 4313), "POST", subscribers(chat), master, good),
        ((400, 4313), "POST", subscribers(room), master, good),
        ((403, 403), "POST", path, app, good),
        ((403, 403), "DELETE", path + "/tom", app, None),
        ((400, 4303), "DELETE", subscribers(MISSING, "/tom"), master, None),
        ((400, 4313), "DELETE", subscribers(chat, "/tom"), master, None),
        ((403, 403), "GET", path, app, None),
        ((400, 4303), "GET", subscribers(MISSING), master, None),
        ((403, 403), "GET", path + "/count", app, None),
        ((400, 4313), "GET", subscribers(chat, "/count"), master, None),
        ((400, 1), "POST", named, master, good),
        ((400, 1), "POST", named, master, {"conv_id": service.cid}),
        ((400, 4313), "POST", named, master, {"conv_id": chat, **good}),
        ((403, 403), "POST", named, app, {"conv_id": service.cid, **good}),
        ((400, 1), "DELETE", named, master, {"conv_id": service.cid}),
        ((403, 403), "GET", follows, app, None),
        ((400, 1), "GET", follows + "?conv_id=x", master, None),
        ((400, 1), "GET", follows + "?timestamp=7", master, None),
        ((400, 1), "GET", follows + "?conv_id=x&timestamp=soon", master, None),
        ((400, 1), "GET", follows + "?direction=sideways", master, None),
    ]

    for expected, method, where, headers, body in cases:
        assert await code(method, where, headers, body) == expected, (method, where, body)
    assert await code("GET", path, master, client_id="x" * 65) == (400, 4103)
    assert await stored(application) == 0


async def test_1_1_counts_a_chat_room(application: Application, signed_in: SignIn, service: Service) -> None:
    """`transient_group/onlines`, for whoever knows the app key."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    room = (await start(tom, transient=True)).cid
    await add(jerry, room, "jerry")
    path, app = "/1.1/rtm/transient_group/onlines", app_of(application)

    both = await call("GET", path, app, gid=room)
    await jerry.wire.close()
    one = await call("GET", path, app, gid=room)

    assert (both.json(), one.json()) == ({"result": 2}, {"result": 1})
    assert await code("GET", path, app) == (400, 1)
    assert await code("GET", path, app, gid=MISSING) == (400, 4303)
    assert await code("GET", path, app, gid=service.cid) == (400, 4316)
    assert await code("GET", path, {}, gid=room) == (401, 401)
