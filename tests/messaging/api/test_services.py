"""What service conversations say over HTTP, to clients and subscribers, and its changes (rest-api 8.7, 8.9, 8.11)."""

from collections.abc import Awaitable
from typing import Any

import pytest

from conversations.policy import Kind
from conversations.services import directory
from imcore.errors import StorageUnavailable
from imcore.models import Application, RestSettings
from imcore.protocol.message_pb2 import AckCommand
from messaging.services import broadcasting
from messaging.storage import service_waiting
from tests.conftest import SignIn
from tests.conversations.talking import add
from tests.imclient import ImClient
from tests.messaging.api.saying import (
    SERVICES,
    acknowledgement,
    ask,
    attempt,
    code,
    edit,
    recall,
    send,
    stored,
    to_everybody,
    to_subscribers,
)
from tests.messaging.patching import hears_patch
from tests.messaging.signing_in import ObeySettings
from tests.messaging.support import another_application, heard, started, texts
from tests.restclient import app_of, call


async def subscriber(signed_in: SignIn, cid: str, client_id: str) -> ImClient:
    """Sign a client in and make it follow a service."""
    client = await signed_in(client_id)
    await add(client, cid, client_id)
    return client


async def test_a_message_to_named_clients_reaches_them_alone(
    application: Application, signed_in: SignIn, service: str
) -> None:
    """Checklist 31: direct to 20, subscribed or not."""
    jerry, mary = await signed_in("jerry"), await subscriber(signed_in, service, "mary")
    receivers = ["jerry", *(f"client {number}" for number in range(19))]

    ack = await send(application, service, "news", {"_lctype": -1, "_lctext": "hi"}, of=SERVICES, to_clients=receivers)

    message = await heard(jerry)
    assert (message.id, message.timestamp, message.fromPeerId) == (ack.uid, ack.t, "news")
    assert (message.msg, message.convType) == ('{"_lctype":-1,"_lctext":"hi"}', Kind.SYSTEM)
    await mary.nothing_more()
    assert {row.client_id for row in await stored(application)} == set(receivers)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"to_clients": [f"client {number}" for number in range(21)]}, (400, 1)),
        ({"to_clients": []}, (400, 1)),
        ({}, (400, 1)),
        ({"to_clients": "jerry"}, (400, 1)),
        ({"to_clients": ["x" * 65]}, (400, 4103)),
        ({"to_clients": ["jerry"], "message": "x" * 5121}, (400, 4109)),
        ({"to_clients": ["jerry"], "message": None}, (400, 1)),
        ({"to_clients": ["jerry"], "message": 7}, (400, 1)),
        ({"to_clients": ["jerry"], "from_client": ""}, (400, 4103)),
        ({"to_clients": ["jerry"], "priority": "urgent"}, (400, 1)),
    ],
)
async def test_what_cannot_be_said_is_refused_and_nobody_hears_it(
    application: Application, signed_in: SignIn, service: str, more: dict[str, Any], expected: tuple[int, int]
) -> None:
    """Checklist 31: 21 refused; and what else is wrong."""
    jerry = await signed_in("jerry")

    answer = await attempt(application, service, of=SERVICES, **more)

    assert code(answer) == expected
    assert await stored(application) == []
    await jerry.nothing_more()


async def test_who_may_not_speak_through_a_service(application: Application, signed_in: SignIn, service: str) -> None:
    """Not with the app key, not another application, not through another kind of conversation."""
    group = await started(application, "tom", "jerry")
    jerry = await signed_in("jerry")
    body = {"from_client": "tom", "message": "hi", "to_clients": ["jerry"], "conv_id": service}
    paths = [f"/1.2/rtm/{SERVICES}/{{}}/messages", f"/1.2/rtm/{SERVICES}/{{}}/broadcasts", "/1.2/rtm/broadcasts"]
    other = await another_application()

    for path in paths:
        with_app_key = await call("POST", path.format(service), app_of(application), body)
        assert code(with_app_key) == (403, 403)
        assert code(await ask(other, "POST", path.format(service), body)) == (400, 4401)
        assert code(await ask(application, "POST", path.format(group), body | {"conv_id": group})) == (400, 4313)
        unknown = body | {"conv_id": "nothing"}
        assert code(await ask(application, "POST", path.format("nothing"), unknown)) == (400, 4401)

    assert await stored(application) == await stored(other) == []
    await jerry.nothing_more()


async def test_a_message_to_subscribers_reaches_those(
    application: Application, signed_in: SignIn, service: str
) -> None:
    """Checklist 31: broadcast to subscribers, one row; in 1.1, too, with Python's name for the push."""
    jerry, mary = await subscriber(signed_in, service, "jerry"), await signed_in("mary")

    ack = acknowledgement(await to_subscribers(application, service, push={"alert": "news"}))
    old = {"from_peer": "tom", "conv_id": service, "message": "old", "push_data": '{"alert": "old"}'}
    again = acknowledgement(await ask(application, "POST", "/1.1/rtm/broadcast/subscriber", old))

    for expected, text in ((ack, "news"), (again, "old")):
        message = await heard(jerry)
        assert (message.id, message.msg, message.cid) == (expected.uid, text, service)
    await mary.nothing_more()
    assert len(await stored(application)) == 2


async def test_a_service_that_was_deleted_elsewhere_has_nothing_to_say(
    application: Application, signed_in: SignIn, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """4401, as from the server that has deleted it."""
    jerry = await signed_in("jerry")
    acks = [acknowledgement(await to_subscribers(application, service)) for _ in range(2)]
    remembered = await directory.find(application=application.pk, conversation_id=service, now_ms=0)
    assert (await ask(application, "DELETE", f"/1.2/rtm/{SERVICES}/{service}")).status_code == 200
    path = f"/1.2/rtm/{SERVICES}/{service}/subscribers/jerry/messages/{acks[0].uid}"

    async def still_known(asking: Awaitable[Any]) -> tuple[int, int]:
        """Ask a server that knew it a while ago."""
        directory.remember(remembered)
        return code(await asking)

    monkeypatch.setattr(broadcasting, "TRANSIENT_MAX_AGE_SECONDS", 0)  # so long ago
    answers = [
        await still_known(edit(application, service, acks[0], "better", of=SERVICES)),
        await still_known(recall(application, service, acks[1], of=SERVICES)),
        await still_known(ask(application, "DELETE", path, from_client="tom", timestamp=str(acks[0].t))),
        await still_known(ask(application, "GET", "/1.2/rtm/broadcasts", conv_id=service)),
        await still_known(to_everybody(application, service)),
        await still_known(to_everybody(application, service, transient=True)),
        await still_known(attempt(application, service, of=SERVICES, to_clients=["jerry"], transient=True)),
    ]

    assert set(answers) == {(400, 4401)}
    await jerry.nothing_more()


async def test_what_was_said_to_clients_is_changed_for_those_who_are_named(
    application: Application, signed_in: SignIn, service: str
) -> None:
    """Checklist 30, for a service: edit with `to_clients`."""
    jerry, mary = await signed_in("jerry"), await signed_in("mary")
    ack = await send(application, service, of=SERVICES, to_clients=["jerry", "mary"])
    for client in (jerry, mary):
        await heard(client)

    assert (await edit(application, service, ack, "better", of=SERVICES, to_clients=["jerry"])).json() == {}

    patched = await hears_patch(jerry)
    assert (patched.mid, patched.data, patched.recall) == (ack.uid, b"better", False)
    await mary.nothing_more()
    assert (await texts(jerry, service), await texts(mary, service)) == (["better"], ["hello"])


async def test_what_was_said_to_subscribers_is_recalled_for_all(
    application: Application, signed_in: SignIn, service: str
) -> None:
    """Checklist 30, for a service: recall without `to_clients`."""
    jerry, mary = [await subscriber(signed_in, service, name) for name in ("jerry", "mary")]
    ack = acknowledgement(await to_subscribers(application, service))
    for client in (jerry, mary):
        await heard(client)

    assert (await recall(application, service, ack, of=SERVICES)).json() == {}

    for client in (jerry, mary):
        patched = await hears_patch(client)
        assert (patched.mid, patched.recall) == (ack.uid, True)


async def test_a_recall_is_told_though_nobody_can_be_counted_for(
    application: Application, signed_in: SignIn, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checklist 30: it is done, and would not be told when it is asked for again."""
    jerry = await signed_in("jerry")
    ack = await send(application, service, of=SERVICES, to_clients=["jerry"])
    await heard(jerry)

    def overloaded(**asked: Any) -> None:
        raise StorageUnavailable

    monkeypatch.setattr(service_waiting, "count", overloaded)
    answer = await recall(application, service, ack, of=SERVICES, to_clients=["jerry"])

    assert answer.status_code == 503
    assert (await hears_patch(jerry)).recall


async def test_deleting_for_a_subscriber_leaves_it_to_the_others(
    application: Application, signed_in: SignIn, service: str
) -> None:
    """Checklist 30, for a service: nobody is told; a broadcast to everybody cannot be deleted so."""
    jerry, odd = [await subscriber(signed_in, service, name) for name in ("jerry", "a/b")]
    ack = acknowledgement(await to_subscribers(application, service))
    broadcast = acknowledgement(await to_everybody(application, service))
    for client in (jerry, odd):
        await heard(client), await heard(client)

    async def delete(client_id: str, one: AckCommand) -> Any:
        path = f"/1.2/rtm/{SERVICES}/{service}/subscribers/{client_id}/messages/{one.uid}"
        return await ask(application, "DELETE", path, from_client="tom", timestamp=str(one.t))

    assert (await delete("a/b", ack)).json() == {}

    assert await texts(odd, service) == ["for all"]
    assert await texts(jerry, service) == ["news", "for all"]
    assert code(await delete("a/b", ack)) == (400, 4404)
    assert code(await delete("jerry", broadcast)) == (400, 4404)
    await jerry.nothing_more()
    await odd.nothing_more()


async def test_a_change_must_name_time_and_sender(application: Application, service: str) -> None:
    """4404 and 4403, and nothing is changed."""
    ack = acknowledgement(await to_subscribers(application, service))

    assert code(await edit(application, service, AckCommand(uid=ack.uid, t=ack.t + 1), "x", of=SERVICES)) == (400, 4404)
    assert code(await edit(application, service, ack, "x", of=SERVICES, from_client="jerry")) == (400, 4403)
    assert code(await recall(application, service, AckCommand(uid="none", t=ack.t), of=SERVICES)) == (400, 4404)
    assert code(await recall(application, service, ack, of=SERVICES, to_clients=["jerry"])) == (400, 4404)
    assert code(await edit(application, service, ack, "x" * 5121, of=SERVICES)) == (400, 4109)
    assert code(await edit(application, service, ack, "x", of=SERVICES, timestamp="now")) == (400, 1)
    assert code(await recall(application, service, ack, of=SERVICES, to_clients=[])) == (400, 1)
    assert code(await recall(application, service, ack, of=SERVICES, to_clients=[""])) == (400, 4103)
    nobody = f"/1.2/rtm/{SERVICES}/{service}/subscribers/{'x' * 65}/messages/{ack.uid}"
    assert code(await ask(application, "DELETE", nobody, from_client="tom", timestamp=str(ack.t))) == (400, 4103)

    [row] = await stored(application)
    assert (row.text, row.patch_ms) == ("news", None)


@pytest.mark.usefixtures("one_minute")
async def test_each_audience_has_a_rate_of_its_own(
    application: Application, service: str, obey_settings: ObeySettings
) -> None:
    """Checklist 37: what goes to many counts apart, and so do changes of it."""
    await obey_settings(
        RestSettings,
        rest_messages_per_minute=2,
        rest_subscriber_messages_per_minute=2,
        rest_broadcasts_per_minute=2,
        rest_subscriber_messages_per_day=0,
        rest_broadcasts_per_day=0,
    )
    to_some = await send(application, service, of=SERVICES, to_clients=["jerry"])
    to_many = acknowledgement(await to_subscribers(application, service))
    to_all = acknowledgement(await to_everybody(application, service))

    for ack, more in ((to_some, {"to_clients": ["jerry"]}), (to_many, {}), (to_all, {})):
        assert (await edit(application, service, ack, "better", of=SERVICES, **more)).status_code == 200
        refused = await edit(application, service, ack, "best", of=SERVICES, **more)
        assert code(refused) == (429, 429)
        assert int(refused["Retry-After"]) > 0
