"""Clients, for back ends: who is on line, what they have not read, how many there are (rest-api 8.12, 8.14, 9)."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from conversations.policy import Kind
from imcore.bridge import in_database
from imcore.models import Application
from messaging.models import BroadcastMark, Device
from tests.conftest import SignIn
from tests.conversations.talking import add
from tests.messaging.returning import Connect, back, counts
from tests.messaging.signing_in import device_of
from tests.messaging.speaking import new_service
from tests.messaging.support import another_application, say, started
from tests.restclient import app_of, call, master_of

MISSING = "66a0f1e2c3d4b5a697887766"
ONLINE = pytest.mark.parametrize(
    ("path", "name"), [("/1.2/rtm/clients/check-online", "client_ids"), ("/1.1/rtm/online", "peers")]
)


async def unread(application: Application, client_id: str, conversation_id: str | None = None) -> int:
    """Return what the server tells who knows the app key, which must be the same in 1.1."""
    app, query = app_of(application), {} if conversation_id is None else {"conv_id": conversation_id}
    answer = await call("GET", f"/1.2/rtm/clients/{quote(client_id)}/unread-count", app, **query)
    named = f"{client_id}/{conversation_id}" if conversation_id else client_id
    older = await call("GET", f"/1.1/rtm/messages/unread/{quote(named)}", app)
    assert (answer.status_code, older.status_code) == (200, 200), (answer.content, older.content)
    assert answer.json() == older.json()
    count: int = answer.json()["count"]
    return count


@ONLINE
async def test_those_who_are_on_line_are_told(
    application: Application, signed_in: SignIn, path: str, name: str
) -> None:
    """Checklist 34: in the order asked; those who are unknown, or another application's, are not."""
    for client_id in ("tom", "jerry", "a/b"):
        await signed_in(client_id)
    gone = await signed_in("gone")
    await gone.wire.close()
    asked = ["nobody", "jerry", "gone", "tom", "jerry", "a/b"]

    answer = await call("POST", path, master_of(application), {name: asked})
    none = await call("POST", path, master_of(application), {name: []})
    elsewhere = await call("POST", path, master_of(await another_application()), {name: asked})

    assert answer.json() == {"results": ["jerry", "tom", "a/b"]}
    assert none.json() == elsewhere.json() == {"results": []}


@ONLINE
async def test_twenty_can_be_asked_for_and_no_more(application: Application, path: str, name: str) -> None:
    """Checklist 34: 21 are refused, and so is what is no list of ids, or asked with the app key."""
    master = master_of(application)
    twenty = [f"client {number}" for number in range(20)]

    accepted = await call("POST", path, master, {name: twenty})
    refused = [
        (await call("POST", path, headers, body)).json()["code"]
        for headers, body in (
            (master, {name: [*twenty, "one more"]}),
            (master, {}),
            (master, {name: "tom"}),
            (master, {name: [7]}),
            (master, {name: ["x" * 65]}),
            (master, {name: [""]}),
            (app_of(application), {name: twenty}),
        )
    ]

    assert accepted.json() == {"results": []}
    assert refused == [1, 1, 1, 1, 4103, 4103, 403]


async def test_what_a_client_has_not_read_is_counted(application: Application, signed_in: SignIn) -> None:
    """Checklist 34: in one conversation, or in all; its own messages are not unread; what it has read neither."""
    first, second = await started(application, "tom", "jerry"), await started(application, "tom", "jerry")
    fleeting = await started(application, "tom", "jerry", kind=Kind.TEMPORARY, ttl_seconds=100)
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    for cid, number in ((first, 3), (second, 2), (fleeting, 1)):
        for _ in range(number):
            await say(tom, cid, "hello")
    await say(jerry, second, "hello")

    assert await unread(application, "jerry", first) == 3
    assert await unread(application, "jerry", second) == 2
    assert await unread(application, "jerry") == 6
    assert await unread(application, "tom") == 1
    assert await unread(application, "tom", first) == 0


async def test_unknown_clients_have_nothing_unread(application: Application, signed_in: SignIn) -> None:
    """Checklist 34: nor have those who are no members; a conversation must be there."""
    cid = await started(application, "tom", "jerry")
    theirs = await started(await another_application(), "tom", "jerry")
    await say(await signed_in("tom"), cid, "hello")

    for client_id in ("nobody", "a/b", "x" * 65, cid):
        assert await unread(application, client_id) == await unread(application, client_id, cid) == 0
    for missing in (MISSING, theirs, "x" * 65):
        path = "/1.2/rtm/clients/jerry/unread-count"
        answer = await call("GET", path, app_of(application), conv_id=missing)
        assert (answer.status_code, answer.json()["code"]) == (400, 4303)
        older = await call("GET", f"/1.1/rtm/messages/unread/jerry/{missing}", app_of(application))
        assert older.json() == {"count": 0}
    assert (await call("GET", "/1.1/rtm/messages/unread/jerry")).status_code == 401


async def test_a_clients_id_may_have_slashes_where_1_1_puts_a_conversation_behind_it(
    application: Application, signed_in: SignIn
) -> None:
    """Checklist 34: what names no conversation is part of the id."""
    cid = await started(application, "tom", "to/ny")
    await say(await signed_in("tom"), cid, "hello")

    assert await unread(application, "to/ny") == await unread(application, "to/ny", cid) == 1


async def test_what_services_have_said_counts(application: Application, signed_in: SignIn, connect: Connect) -> None:
    """Checklist 34: as much as the client is told when it logs in; asking is not coming."""
    news, weather = await new_service(application), await new_service(application)
    tom = await signed_in("tom")
    await add(tom, news.cid, "tom")
    await news.announce()
    await news.announce()
    await weather.tell("tom", "jerry")
    await weather.broadcast()

    assert await unread(application, "tom", news.cid) == 2
    assert await unread(application, "tom", weather.cid) == 2
    assert await unread(application, "tom") == 4
    assert await unread(application, "jerry") == 2
    told = await counts(await back(tom, connect, application.app_id))
    assert told == {news.cid: 2, weather.cid: 2}
    marks = await in_database(
        lambda: list(BroadcastMark.objects.filter(application=application).values_list("client_id"))
    )
    assert marks == [("tom",)]


async def statistics(application: Application) -> Any:
    """Return what the developer is told."""
    answer = await call("GET", "/1.2/rtm/stats", master_of(application))
    assert answer.status_code == 200
    assert answer.json().keys() == {"result"}
    return answer.json()["result"]


async def test_clients_are_counted(application: Application, signed_in: SignIn) -> None:
    """Checklist 34: those on line once, with however many devices; those of today also when they have gone."""
    nobody = await statistics(application)
    await signed_in("tom", deviceId="phone")
    await signed_in("tom", deviceId="web")
    jerry = await signed_in("jerry")
    both = await statistics(application)
    await jerry.wire.close()
    one = await statistics(application)

    assert nobody == {"online_user_count": 0, "user_count_today": 0}
    assert both == {"online_user_count": 2, "user_count_today": 2}
    assert one == {"online_user_count": 1, "user_count_today": 2}
    assert await statistics(await another_application()) == nobody
    assert (await call("GET", "/1.2/rtm/stats", app_of(application))).status_code == 403


async def test_today_begins_at_midnight_utc(application: Application, signed_in: SignIn) -> None:
    """Checklist 34: who came before that is not counted, unless he is on line still."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for client_id, at in (("tom", midnight - timedelta(microseconds=1)), ("jerry", midnight)):
        device = Device.objects.filter(pk=(await device_of(application, client_id)).pk)
        await in_database(device.update, last_seen_at=at)

    still_here = await statistics(application)
    for client in (tom, jerry):
        await client.wire.close()
    gone = await statistics(application)

    assert still_here == {"online_user_count": 2, "user_count_today": 2}
    assert gone == {"online_user_count": 0, "user_count_today": 1}
