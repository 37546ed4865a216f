"""What is said to every client of an application over HTTP (rest-api 8.14)."""

import asyncio

import pytest

from imcore import identifiers
from imcore.bridge import in_database
from imcore.models import Application
from messaging.models import ServiceMark
from tests.conftest import SignIn
from tests.conversations.commands.test_systems import service_of
from tests.imclient import ImClient
from tests.messaging.api.saying import SERVICES, acknowledgement, ask, code, edit, recall, stored, to_everybody
from tests.messaging.returning import OFFLINE_PUSH, Connect, all_kept, back
from tests.messaging.support import heard

MINUTE_MS = 60_000
ONLINE = 2000


@pytest.mark.slow
async def test_a_broadcast_reaches_two_thousand_on_line_one_away_and_one_of_tomorrow_once_each(
    application: Application, signed_in: SignIn, service: str, connect: Connect
) -> None:
    """Checklist 33; one row, and nothing is written for those who hear it. Ten clients share a connection."""
    away = await signed_in("away", wire=await connect(OFFLINE_PUSH))
    await away.wire.close()
    clients: list[ImClient] = []
    while len(clients) < ONLINE:
        first = await signed_in(f"client {len(clients)}")
        more = [signed_in(f"client {len(clients) + number}", wire=first.wire) for number in range(1, 10)]
        clients += [first, *[await one for one in more]]

    ack = acknowledgement(await to_everybody(application, service))

    heard_by = await asyncio.gather(*(heard(client) for client in clients))
    assert {message.id for message in heard_by} == {ack.uid}
    returned = await back(away, connect, application.app_id)
    tomorrow = await signed_in("of tomorrow", wire=await connect(OFFLINE_PUSH))
    for client in (returned, tomorrow):
        assert [message.id for message in await all_kept(client, 1)] == [ack.uid]
    again = await back(returned, connect, application.app_id)
    for client in (*clients[::100], again, tomorrow):
        await client.nothing_more()
    assert len(await stored(application)) == 1
    marks = ServiceMark.objects.filter(application=application)
    assert await in_database(lambda: set(marks.values_list("client_id", flat=True))) <= {"away", "of tomorrow"}


async def test_valid_broadcasts_are_listed_until_they_are_deleted(application: Application, service: str) -> None:
    """Checklist 33: newest first, with `valid-till`; what is over, or deleted, is not there."""
    over = await to_everybody(application, service, "over", valid_till=1)
    first = acknowledgement(await to_everybody(application, service, "first"))
    until_ms = identifiers.now_ms() + MINUTE_MS
    second = acknowledgement(await to_everybody(application, service, "second", valid_till=until_ms))
    assert over.status_code == 200

    answer = await ask(application, "GET", "/1.2/rtm/broadcasts", conv_id=service)

    newest, oldest = answer.json()
    assert newest == {
        "timestamp": second.t,
        "conv-id": service,
        "to": service,
        "data": "second",
        "from": "tom",
        "msg-id": second.uid,
        "is-conv": True,
        "is-room": False,
        "bin": False,
        "from-ip": "",
        "valid-till": until_ms,
    }
    assert oldest["msg-id"] == first.uid
    page = await ask(application, "GET", "/1.1/rtm/broadcast", conv_id=service, limit="1", skip="1")
    assert [one["msg-id"] for one in page.json()] == [first.uid]

    assert (await ask(application, "DELETE", f"/1.2/rtm/broadcasts/{second.uid}")).json() == {}
    assert (await ask(application, "DELETE", "/1.1/rtm/broadcast", mid=first.uid)).json() == {}
    assert (await ask(application, "GET", "/1.2/rtm/broadcasts", conv_id=service)).json() == []
    assert code(await ask(application, "DELETE", f"/1.2/rtm/broadcasts/{second.uid}")) == (400, 4404)
    assert code(await ask(application, "GET", "/1.2/rtm/broadcasts")) == (400, 1)


async def test_a_recalled_broadcast_is_listed_no_more(application: Application, service: str) -> None:
    """Checklist 33: nobody gets it who logs in."""
    ack = acknowledgement(await to_everybody(application, service))

    assert (await recall(application, service, ack, of=SERVICES)).json() == {}

    assert (await ask(application, "GET", "/1.2/rtm/broadcasts", conv_id=service)).json() == []


async def test_who_is_new_gets_the_newest_broadcast_of_a_service_that_is_there(
    application: Application, signed_in: SignIn, service: str, connect: Connect
) -> None:
    """Checklist 33: what a deleted service has said last does not stand for it; it cannot be deleted any more."""
    gone = await service_of(application)
    for cid, message in ((service, "old"), (service, "newest"), (gone, "of nobody")):
        ack = acknowledgement(await to_everybody(application, cid, message))
    assert (await ask(application, "DELETE", f"/1.2/rtm/{SERVICES}/{gone}")).status_code == 200

    new = await signed_in("new", wire=await connect(OFFLINE_PUSH))

    assert [message.msg for message in await all_kept(new, 1)] == ["newest"]
    await new.nothing_more()
    assert code(await ask(application, "DELETE", f"/1.2/rtm/broadcasts/{ack.uid}")) == (400, 4404)


async def test_a_transient_broadcast_is_heard_and_not_kept(
    application: Application, signed_in: SignIn, service: str
) -> None:
    """rest-api 8.14."""
    jerry = await signed_in("jerry")

    acknowledgement(await to_everybody(application, service, "now", transient=True))

    assert (await heard(jerry)).transient
    assert await stored(application) == []


async def test_an_edited_broadcast_comes_to_who_has_not_had_it(
    application: Application, signed_in: SignIn, service: str, connect: Connect
) -> None:
    """rest-api 8.9: who has had it is not told."""
    jerry = await signed_in("jerry")
    ack = acknowledgement(await to_everybody(application, service, "typo"))
    await heard(jerry)

    assert (await edit(application, service, ack, "better", of=SERVICES)).json() == {}

    await jerry.nothing_more()
    new = await signed_in("new", wire=await connect(OFFLINE_PUSH))
    assert [message.msg for message in await all_kept(new, 1)] == ["better"]
