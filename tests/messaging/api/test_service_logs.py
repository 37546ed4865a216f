"""What a service said to a client, by the MD5 of both (rest-api 8.8, 9)."""

import hashlib
import hmac
import importlib
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection

from conversations.models import Conversation, Subscription
from imcore import identifiers
from imcore.bridge import in_database
from imcore.models import Application
from messaging.models import MessagingSettings, ServiceMark
from tests.messaging.api.reading import HISTORY, LOGS, read, texts
from tests.messaging.api.saying import SERVICES, ask, code
from tests.messaging.signing_in import ObeySettings
from tests.messaging.speaking import Service, new_service
from tests.messaging.support import another_application, started
from tests.restclient import app_of, call

STRANGE = "a/b:c d"


@pytest.fixture
async def service(application: Application) -> Service:
    """A service conversation that has spoken to two clients by name, then to its subscribers and to everybody."""
    made = await new_service(application)
    await made.tell("jerry", STRANGE, text="to both")
    await made.announce("to subscribers")
    await made.broadcast("to everybody")
    return made


def log_of(service: Service, client_id: str) -> str:
    """Return the MD5, as old back ends compute it."""
    return hashlib.md5(f"{service.cid}:{client_id}".encode(), usedforsecurity=False).hexdigest()


def path_of(service: Service, client_id: str) -> str:
    """Return the path of 1.2."""
    return f"/1.2/rtm/{SERVICES}/{service.cid}/subscribers/{quote(client_id)}/messages"


async def subscribe(application: Application, service: Service, client_id: str) -> None:
    """Make a client a subscriber, on line or not."""
    path = f"/1.2/rtm/{SERVICES}/{service.cid}/subscribers"
    assert (await ask(application, "POST", path, {"client_id": client_id})).status_code == 200


@pytest.mark.parametrize("path", [HISTORY, LOGS])
@pytest.mark.parametrize("client_id", ["jerry", STRANGE])
async def test_what_was_said_to_a_client_by_name_is_found_by_the_md5(
    application: Application, service: Service, path: str, client_id: str
) -> None:
    """Checklist 39: as by the path of 1.2, page by page; what `conv-id` of an entry says can be asked for."""
    second = await service.tell(client_id, text="again")
    log = log_of(service, client_id)

    assert await texts(application, path, convid=log) == ["again", "to both"]
    assert await read(application, path, convid=log) == await read(application, path_of(service, client_id))
    assert await texts(application, path, convid=log, limit=1, reversed="True") == ["to both"]
    assert await texts(application, path, convid=log, max_ts=second.timestamp_ms) == ["to both"]
    assert await texts(application, path, convid=log, **{"from": "nobody"}) == ["again", "to both"]
    [entry, _] = await read(application, path_of(service, client_id))
    assert entry["conv-id"] == log


async def test_a_subscriber_who_was_never_here_has_a_log(application: Application, service: Service) -> None:
    """Checklist 39: of what was said to subscribers, also before, while it is one; then what was said to it."""
    await subscribe(application, service, "mary")
    await service.announce("to mary as well")
    log = log_of(service, "mary")

    assert await texts(application, HISTORY, convid=log) == ["to mary as well", "to subscribers"]
    assert {entry["conv-id"] for entry in await read(application, HISTORY, convid=log)} == {log}
    await service.tell("mary", text="to mary")
    assert (await texts(application, HISTORY, convid=log))[0] == "to mary"
    await ask(application, "DELETE", f"/1.2/rtm/{SERVICES}/{service.cid}/subscribers/mary")
    assert await texts(application, HISTORY, convid=log) == ["to mary"]


async def test_a_client_with_a_mark_is_found_once_it_was_spoken_to(application: Application, service: Service) -> None:
    """Checklist 39: receipts, too, leave marks, without a log."""

    def mark() -> None:
        conversation = Conversation.objects.get(object_id=service.cid).pk
        ServiceMark.objects.create(application=application, client_id="mary", conversation_id=conversation, read_ms=1)

    await in_database(mark)
    log = log_of(service, "mary")
    assert code(await ask(application, "GET", HISTORY, convid=log)) == (400, 4303)

    await service.tell("mary", text="to mary")
    await service.tell("mary", text="once more")

    assert await texts(application, HISTORY, convid=log) == ["once more", "to mary"]


async def test_what_is_nobodys_log_is_unknown(application: Application, service: Service) -> None:
    """Checklist 39: 4303, also for the MD5 of one to whom nothing was said, or of another application."""
    other = await another_application()
    log = log_of(service, "jerry")

    for unknown in ("0" * 32, log_of(service, "mary"), log[:-1], f"{log}0", log.upper(), f"{log}\n"):
        assert code(await ask(application, "GET", HISTORY, convid=unknown)) == (400, 4303)
    assert code(await ask(other, "GET", HISTORY, convid=log)) == (400, 4303)
    assert code(await call("GET", HISTORY, app_of(application), convid=log)) == (403, 403)


async def test_a_conversation_may_have_an_id_like_an_md5(application: Application) -> None:
    """9: imported ones have what ids they had."""
    cid = await started(application, "tom", "jerry")
    await in_database(lambda: Conversation.objects.filter(object_id=cid).update(object_id="ab" * 16))

    assert await texts(application, HISTORY, convid="ab" * 16) == []


async def test_a_log_goes_with_its_service(application: Application, service: Service) -> None:
    """Checklist 39: 4303 at once, whether or not what is left of it was deleted; one with its id starts anew."""
    await subscribe(application, service, "mary")
    assert (await ask(application, "DELETE", f"/1.2/rtm/{SERVICES}/{service.cid}")).status_code == 200
    logs = [log_of(service, client_id) for client_id in ("jerry", "mary")]
    for log in logs:
        assert code(await ask(application, "GET", HISTORY, convid=log)) == (400, 4303)

    again = await new_service(application)
    await in_database(lambda: Conversation.objects.filter(object_id=again.cid).update(object_id=service.cid))
    await Service(application, service.cid).tell("jerry", text="anew")

    assert await texts(application, HISTORY, convid=logs[0]) == ["anew"]


async def test_with_a_signature_a_client_reads_its_own_log_alone(
    application: Application, service: Service, obey_settings: ObeySettings
) -> None:
    """9: starting a conversation with a member is signed in the same words, and a member may have any id."""
    await obey_settings(MessagingSettings, sign_history=True)

    def signed(client_id: str, log: str) -> dict[str, Any]:
        at = identifiers.now_ms()
        text = f"{application.app_id}:{client_id}:{log}:nonce:{at}"
        digest = hmac.new(application.master_key.encode(), text.encode(), hashlib.sha1).hexdigest()
        return {"convid": log, "peerid": client_id, "nonce": "nonce", "signature_ts": at, "signature": digest}

    answer = await call("GET", HISTORY, app_of(application), **signed("jerry", log_of(service, "jerry")))
    assert [entry["data"] for entry in answer.json()] == ["to both"]
    refused = await call("GET", HISTORY, app_of(application), **signed("tom", log_of(service, "jerry")))
    assert code(refused) == (400, 4303)
    await obey_settings(MessagingSettings, history_with_app_key=True)
    answer = await call("GET", HISTORY, app_of(application), convid=log_of(service, "jerry"))
    assert len(answer.json()) == 1


async def test_the_upgrade_finds_the_logs_there_are(application: Application, service: Service) -> None:
    """Checklist 39: the database computes them as we do."""
    await subscribe(application, service, "mary")
    await subscribe(application, service, "ü😀")

    def upgrade() -> dict[str, str | None]:
        found: dict[str, str | None] = {}
        for rows, migration in (
            (Subscription.objects.filter(application=application), "conversations.migrations.0011_log_ids"),
            (ServiceMark.objects.filter(application=application), "messaging.migrations.0010_log_ids"),
        ):
            rows.update(log_id=None)
            with connection.cursor() as cursor:
                cursor.execute(importlib.import_module(migration).FILL)
            found |= dict(rows.values_list("client_id", "log_id"))
        return found

    assert await in_database(upgrade) == {
        client_id: log_of(service, client_id) for client_id in ("jerry", STRANGE, "mary", "ü😀")
    }
