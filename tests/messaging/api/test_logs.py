"""History as 1.1 has it, who else may read it, and correcting it (rest-api 8.8, 9)."""

import hashlib
import hmac
from typing import Any

import pytest

from imcore import identifiers
from imcore.models import Application
from messaging.models import MessagingSettings
from tests.conftest import SignIn
from tests.conversations.rooming import room_of
from tests.messaging.api.reading import ALL, HISTORY, LOGS, path_of, read, texts
from tests.messaging.api.saying import ask, code, send
from tests.messaging.patching import unread
from tests.messaging.signing_in import ObeySettings
from tests.messaging.speaking import new_service
from tests.messaging.support import another_application, heard, history, say, started
from tests.restclient import app_of, call

HOUR_MS = 3_600_000


def signed(application: Application, cid: str, *, at: int | None = None, order: str = "nt", **more: Any) -> Any:
    """Return what a client adds to its query to read a conversation with the App Key."""
    at = identifiers.now_ms() if at is None else at
    nonce = more.get("nonce", "some-nonce")
    last = f"{nonce}:{at}" if order == "nt" else f"{at}:{nonce}"
    text = f"{application.app_id}:tom:{cid}:{last}"
    digest = hmac.new(application.master_key.encode(), text.encode(), hashlib.sha1).hexdigest()
    return {"client_id": "tom", "nonce": nonce, "signature_ts": at, "signature": digest, **more}


@pytest.mark.parametrize("path", [HISTORY, LOGS])
async def test_history_of_1_1_is_of_a_conversation_of_a_client_or_of_all(
    application: Application, signed_in: SignIn, path: str
) -> None:
    """Checklist 39: by `convid`, by `from`, by neither; `max_ts` is the start, and excluded, as is `timestamp`."""
    tom = await signed_in("tom")
    cid, room = await started(application, "tom", "jerry"), await room_of(tom)
    await say(tom, cid, "first")
    second = await say(tom, room, "second")
    third = await send(application, cid, "jerry", "third")

    assert await texts(application, path, convid=cid) == ["third", "first"]
    assert await texts(application, path, convid=room) == ["second"]
    assert await texts(application, path, **{"from": "tom"}) == ["second", "first"]
    assert await texts(application, path) == ["third", "second", "first"]
    assert await texts(application, path, limit=1, reversed="True") == ["first"]
    for name in ("max_ts", "timestamp"):
        assert await texts(application, path, **{name: second.t}) == ["first"]
        page = await texts(application, path, msgid=third.uid, include_start=True, **{name: third.t})
        assert page == ["third", "second", "first"]
    assert await read(application, path) == await read(application, ALL)
    assert code(await ask(application, "GET", path, msgid="x")) == (400, 1)
    assert code(await ask(application, "GET", path, convid="0" * 24)) == (400, 4303)
    assert code(await ask(application, "GET", path, convid=(await new_service(application)).cid)) == (400, 4314)
    assert code(await ask(application, "GET", path, **{"from": "x" * 65})) == (400, 4103)


async def test_the_app_key_reads_1_1_history_where_the_application_lets_it(
    application: Application, obey_settings: ObeySettings
) -> None:
    """9: off by default; the calls of 1.2 stay the developer's."""
    cid = await started(application, "tom", "jerry")
    await send(application, cid, "tom", "hello")
    assert code(await call("GET", LOGS, app_of(application), convid=cid)) == (403, 403)

    await obey_settings(MessagingSettings, history_with_app_key=True)

    for path in (HISTORY, LOGS):
        answer = await call("GET", path, app_of(application), convid=cid)
        assert [entry["data"] for entry in answer.json()] == ["hello"]
    assert code(await call("GET", path_of(cid), app_of(application))) == (403, 403)
    assert code(await call("GET", ALL, app_of(application))) == (403, 403)
    assert code(await call("PUT", LOGS, app_of(application), {})) == (403, 403)
    assert code(await call("DELETE", LOGS, app_of(application))) == (403, 403)


async def test_a_signature_opens_one_conversation(application: Application, obey_settings: ObeySettings) -> None:
    """8.8: either order of nonce and time, milliseconds or seconds, `client_id` or `peerid`, any case."""
    await obey_settings(MessagingSettings, sign_history=True)
    cid, other = await started(application, "tom", "jerry"), await started(application, "tom", "mary")
    await send(application, cid, "tom", "hello")
    seconds = identifiers.now_ms() // 1000

    good = [signed(application, cid), signed(application, cid, order="tn"), signed(application, cid, at=seconds)]
    for query in [*good, good[0] | {"signature": good[0]["signature"].upper()}]:
        answer = await call("GET", path_of(cid), app_of(application), **query)
        assert [entry["data"] for entry in answer.json()] == ["hello"]
        assert code(await call("GET", path_of(other), app_of(application), **query)) == (401, 401)
        old = {("peerid" if name == "client_id" else name): value for name, value in query.items()}
        assert len((await call("GET", HISTORY, app_of(application), convid=cid, **old)).json()) == 1
        for path in (ALL, HISTORY, "/1.2/rtm/clients/tom/messages"):
            assert code(await call("GET", path, app_of(application), **query)) == (403, 403)


async def test_a_signature_that_is_wrong_or_old_opens_nothing(
    application: Application, obey_settings: ObeySettings
) -> None:
    """8.8: fresh within 6 hours; what was signed to start a conversation of several is none."""
    cid = await started(application, "tom", "jerry")
    good = signed(application, cid)
    assert code(await call("GET", path_of(cid), app_of(application), **good)) == (403, 403), "it is off"
    await obey_settings(MessagingSettings, sign_history=True)
    now = identifiers.now_ms()

    for query in (
        good | {"client_id": "jerry"},
        good | {"nonce": "another"},
        good | {"signature_ts": now + 1},
        good | {"signature": "0" * 40},
        signed(application, cid, at=now - 7 * HOUR_MS),
        signed(application, cid, at=now + 7 * HOUR_MS),
        signed(application, cid, nonce=f"mary:{now}"),
    ):
        assert code(await call("GET", path_of(cid), app_of(application), **query)) == (401, 401)
    for name, refused in (("nonce", 1), ("signature_ts", 1), ("client_id", 1), ("signature", 403)):
        query = {key: value for key, value in good.items() if key != name}
        assert code(await call("GET", path_of(cid), app_of(application), **query))[1] == refused


async def test_a_corrected_message_is_history_and_nobody_is_told(
    application: Application, signed_in: SignIn, obey_settings: ObeySettings
) -> None:
    """Checklist 40: the entry that history has shown, with other data; who logs in later is not told, either."""
    cid = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    await say(tom, cid, "wrong")
    await heard(jerry)
    [entry] = await read(application, path_of(cid))

    answer = await ask(application, "PUT", LOGS, {**entry, "data": '{"_lctype":7}', "from": "mary"})

    assert (answer.status_code, answer.json()) == (200, {})
    for client in (tom, jerry):
        await client.nothing_more()
    assert await read(application, path_of(cid), extra=1) == [
        {**entry, "data": '{"_lctype":7}', "mention-all": False, "mention-pids": [], "recall": False}
    ]
    assert [item.data for item in await history(jerry, cid, lctype=7)] == ['{"_lctype":7}']
    assert await unread(cid) == {"tom": (0, False), "jerry": (1, False)}
    assert (await ask(application, "PUT", LOGS, {**entry, "data": "AP8=", "bin": True})).status_code == 200
    assert (await read(application, path_of(cid)))[0]["data"] == "AP8="


async def test_what_a_service_said_is_corrected_for_one_or_for_all(application: Application) -> None:
    """Checklist 40: the log that is named decides."""
    service = await new_service(application)
    await service.tell("tom", "jerry", text="wrong")
    path = f"/1.2/rtm/service-conversations/{service.cid}/subscribers/{{}}/messages"
    [entry] = await read(application, path.format("tom"))

    await ask(application, "PUT", LOGS, {**entry, "data": "for tom"})
    assert await texts(application, path.format("tom")) == ["for tom"]
    assert await texts(application, path.format("jerry")) == ["wrong"]
    await ask(application, "PUT", LOGS, {**entry, "conv-id": service.cid, "data": "for both"})

    for client in ("tom", "jerry"):
        assert await texts(application, path.format(client)) == ["for both"]


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({"timestamp": 1}, 4404),
        ({"msg-id": "unknown"}, 4404),
        ({"msg-id": "a\0b"}, 1),
        ({"data": "x" * 5121}, 4109),
        ({"data": "no base64!", "bin": True}, 1),
        ({"data": "é", "bin": True}, 1),
        ({"data": None}, 1),
        ({"data": {"a": 1}}, 1),
        ({"timestamp": None}, 1),
        ({"msg-id": None}, 1),
    ],
)
async def test_a_bad_correction_changes_nothing(application: Application, change: dict[str, Any], refused: int) -> None:
    """9: nor does one by another application."""
    cid = await started(application, "tom", "jerry")
    await send(application, cid, "tom", "hello")
    [entry] = await read(application, path_of(cid))

    assert code(await ask(application, "PUT", LOGS, {**entry, "data": "other"} | change)) == (400, refused)
    other = await another_application()
    assert code(await ask(other, "PUT", LOGS, {**entry, "data": "other"})) == (400, 4404)

    assert await read(application, path_of(cid)) == [entry]


@pytest.mark.parametrize("names_sender", [True, False])
async def test_a_deleted_message_is_in_no_history_and_unread_for_nobody(
    application: Application, signed_in: SignIn, names_sender: bool
) -> None:
    """Checklist 40: nobody is told; `from` may be left out."""
    cid = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    ack = await say(tom, cid, "gone")
    await heard(jerry)
    query = {"convid": cid, "msgid": ack.uid, "timestamp": ack.t} | ({"from": "tom"} if names_sender else {})

    for wrong, refused in (({"timestamp": 1}, 4404), ({"msgid": "x"}, 4404), ({"from": "jerry"}, 4403)):
        assert code(await ask(application, "DELETE", LOGS, **query | wrong)) == (400, refused)
    for name in ("convid", "msgid", "timestamp"):
        partial = {key: value for key, value in query.items() if key != name}
        assert code(await ask(application, "DELETE", LOGS, **partial)) == (400, 1)
    answer = await ask(application, "DELETE", LOGS, **query)

    assert (answer.status_code, answer.json()) == (200, {})
    for client in (tom, jerry):
        await client.nothing_more()
    assert await read(application, path_of(cid)) == []
    assert await unread(cid) == {"tom": (0, False), "jerry": (0, False)}
