"""Editing, recalling and deleting what system conversations have said (rest-api 8.9)."""

from typing import Any

import pytest

from imcore import identifiers
from imcore.bridge import in_database
from imcore.errors import (
    ConversationRequestInvalid,
    InvalidMessagingTarget,
    MessageNotFound,
    MessageOwnershipRequired,
    MessageTooLong,
)
from imcore.models import Application
from messaging.services.sending import Acknowledgement
from messaging.storage.catching_up import PATCH_MARGIN_MS
from tests.conftest import SignIn
from tests.conversations.talking import add
from tests.imclient import ImClient
from tests.messaging.returning import OFFLINE_PUSH, Connect, all_kept, back, only_count, told_patch
from tests.messaging.speaking import Service, new_service
from tests.messaging.support import heard, texts

RECALLED = '{"_lctype":-127}'


@pytest.fixture
async def service(application: Application) -> Service:
    """A system conversation."""
    return await new_service(application)


async def speak(service: Service, audience: str, text: str = "typo") -> tuple[Acknowledgement, list[str]]:
    """Say something to tom and jerry, to subscribers or to everybody; return how it is changed, too."""
    if audience == "clients":
        return await service.tell("tom", "jerry", text=text), ["tom", "jerry"]
    if audience == "subscribers":
        return await service.announce(text), []
    return await service.broadcast(text), []


async def subscribed(signed_in: SignIn, service: Service, *names: str) -> list[ImClient]:
    """Sign subscribers in."""
    clients = [await signed_in(name) for name in names]
    for client in clients:
        await add(client, service.cid, client.client_id)
    return clients


@pytest.mark.parametrize("audience", ["clients", "subscribers"])
@pytest.mark.parametrize("text", ["better", None])
async def test_those_on_line_are_told_and_history_has_the_new_body(
    signed_in: SignIn, service: Service, audience: str, text: str | None
) -> None:
    """One call for all of them."""
    tom, toms_web, jerry = await subscribed(signed_in, service, "tom", "tom", "jerry")
    mary = await signed_in("mary")
    spoken, client_ids = await speak(service, audience)
    for client in (tom, toms_web, jerry):
        await heard(client)

    patch_ms = await service.patch(spoken, text, client_ids=client_ids)

    for client in (tom, toms_web, jerry):
        item = await told_patch(client)
        assert (item.cid, item.mid, item.timestamp, getattr(item, "from")) == (service.cid, *spoken, "voice")
        assert (item.recall, item.data.decode()) == (text is None, text or RECALLED)
        assert item.patchTimestamp == patch_ms
        if text is None and audience == "clients":
            assert (await only_count(client)).unread == 0
        await client.nothing_more()
        assert await texts(client, service.cid) == [text or RECALLED]
    await mary.nothing_more()


async def test_a_message_to_clients_is_changed_for_those_who_are_named(signed_in: SignIn, service: Service) -> None:
    """The others keep it as it was."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    spoken, _ = await speak(service, "clients")
    for client in (tom, jerry):
        await heard(client)

    await service.patch(spoken, "for jerry", client_ids=["jerry"])

    assert (await told_patch(jerry)).data == b"for jerry"
    await tom.nothing_more()
    assert (await texts(tom, service.cid), await texts(jerry, service.cid)) == (["typo"], ["for jerry"])


@pytest.mark.parametrize("text", ["better", None])
async def test_who_has_had_a_message_to_everybody_is_not_told_of_its_change(
    application: Application, signed_in: SignIn, connect: Connect, service: Service, text: str | None
) -> None:
    """Who has not gets the new one; of a recalled one, nothing."""
    tom = await signed_in("tom")
    old = await signed_in("old", wire=await connect(OFFLINE_PUSH))
    await old.wire.close()
    spoken, _ = await speak(service, "everybody")
    await heard(tom)

    await service.patch(spoken, text)

    await tom.nothing_more()
    old = await back(old, connect, application.app_id)
    if text is None:
        await old.nothing_more()
    else:
        assert [one.msg for one in await all_kept(old, 1)] == [text]
    tom = await back(tom, connect, application.app_id, lastPatchTime=1)
    if text is None:
        await tom.nothing_more()
    else:
        assert (await only_count(tom)).data == text
        await tom.nothing_more()


async def test_those_who_were_away_are_told_what_was_changed(
    application: Application, signed_in: SignIn, connect: Connect, service: Service
) -> None:
    """4.12: after `lastPatchTime`, oldest first, together with those of other conversations; what was read is read."""
    [tom] = await subscribed(signed_in, service, "tom")
    to_tom, to_all = await service.tell("tom", text="one"), await service.announce("two")
    gone = await service.announce("gone")
    for _ in range(3):
        await heard(tom)
    await tom.wire.close()
    first_ms = await service.patch(to_all, "two!")
    second_ms = await service.patch(to_tom, None, client_ids=["tom"])
    await service.patch(gone, "gone!")
    await service.delete_for("tom", gone)

    tom = await back(tom, connect, application.app_id, lastPatchTime=first_ms - 1)
    assert (await only_count(tom)).unread == 1
    items = [await told_patch(tom), await told_patch(tom)]
    await tom.nothing_more()

    assert [(item.mid, item.recall, item.data.decode()) for item in items] == [
        (to_all.message_id, False, "two!"),
        (to_tom.message_id, True, RECALLED),
    ]
    assert [item.patchTimestamp for item in items] == [first_ms, second_ms]
    # What is a little older than its position may have been written late.
    tom = await back(tom, connect, application.app_id, lastPatchTime=second_ms + 1)
    await only_count(tom)
    assert {(await told_patch(tom)).mid for _ in range(2)} == {to_all.message_id, to_tom.message_id}
    await tom.nothing_more()
    tom = await back(tom, connect, application.app_id, lastPatchTime=second_ms + PATCH_MARGIN_MS)
    await only_count(tom)
    await tom.nothing_more()


async def test_a_recalled_message_is_unread_for_nobody(
    application: Application, signed_in: SignIn, connect: Connect, service: Service
) -> None:
    """To subscribers who come back, it was never there."""
    [tom] = await subscribed(signed_in, service, "tom")
    await tom.wire.close()
    spoken = await service.announce()
    await service.announce("another")
    await service.patch(spoken, None)

    assert (await only_count(await back(tom, connect, application.app_id))).unread == 1


@pytest.mark.parametrize("audience", ["clients", "subscribers", "everybody"])
async def test_a_change_that_is_refused_changes_nothing(
    signed_in: SignIn, service: Service, application: Application, audience: str
) -> None:
    """rest-api 8.9: 4404 and 4403; 4109 for a body that is too long."""
    [tom] = await subscribed(signed_in, service, "tom")
    spoken, client_ids = await speak(service, audience)
    other = await new_service(application)
    await heard(tom)
    wrong: list[tuple[type[Exception], dict[str, Any]]] = [
        (MessageOwnershipRequired, {"sender": "tom"}),
        (MessageNotFound, {"timestamp_ms": spoken.timestamp_ms + 1}),
        (MessageNotFound, {"client_ids": ["tom", "mary"] if audience == "clients" else ["tom"]}),
    ]
    if audience == "clients":
        wrong.append((MessageNotFound, {"client_ids": []}))
        wrong.append((ConversationRequestInvalid, {"client_ids": [f"client {number}" for number in range(21)]}))

    for text in ("better", None):
        for error, fields in wrong:
            with pytest.raises(error):
                await service.patch(spoken, text, **{"client_ids": client_ids} | fields)
        for unknown in ("unknown", "a\0b"):
            with pytest.raises(MessageNotFound):
                await service.patch(spoken._replace(message_id=unknown), text, client_ids=client_ids)
        with pytest.raises(MessageNotFound):
            await other.patch(spoken, text, client_ids=client_ids)
        with pytest.raises(InvalidMessagingTarget):
            await Service(application, "0" * 24).patch(spoken, text, client_ids=client_ids)
    with pytest.raises(MessageTooLong):
        await service.patch(spoken, "x" * 5121, client_ids=client_ids)

    await tom.nothing_more()
    assert await texts(tom, service.cid) == ["typo"]


@pytest.mark.parametrize("audience", ["clients", "subscribers", "everybody"])
async def test_what_was_recalled_stays_so(signed_in: SignIn, service: Service, audience: str) -> None:
    """Recalling it again changes nothing, and it cannot be edited."""
    [tom] = await subscribed(signed_in, service, "tom")
    spoken, client_ids = await speak(service, audience)
    await heard(tom)
    first_ms = await service.patch(spoken, None, client_ids=client_ids)
    if audience != "everybody":
        await told_patch(tom)
    if audience == "clients":
        await only_count(tom)

    assert await service.patch(spoken, None, client_ids=client_ids) == first_ms
    with pytest.raises(MessageNotFound):
        await service.patch(spoken, "back again", client_ids=client_ids)

    await tom.nothing_more()
    assert await texts(tom, service.cid) == [RECALLED]


@pytest.mark.parametrize("audience", ["clients", "subscribers"])
async def test_deleting_for_one_client_leaves_it_to_the_others_and_tells_nobody(
    application: Application, signed_in: SignIn, connect: Connect, service: Service, audience: str
) -> None:
    """rest-api 8.9; it counts for that client no longer, and is found no more."""
    tom, jerry = await subscribed(signed_in, service, "tom", "jerry")
    spoken, client_ids = await speak(service, audience)
    for client in (tom, jerry):
        await heard(client)

    await service.delete_for("tom", spoken)

    for client in (tom, jerry):
        await client.nothing_more()
    assert (await texts(tom, service.cid), await texts(jerry, service.cid)) == ([], ["typo"])
    await (await back(tom, connect, application.app_id)).nothing_more()
    assert (await only_count(await back(jerry, connect, application.app_id))).unread == 1
    with pytest.raises(MessageNotFound):
        await service.delete_for("tom", spoken)
    if audience == "clients":
        with pytest.raises(MessageNotFound):
            await service.patch(spoken, "x", client_ids=client_ids)


async def test_what_cannot_be_deleted_is_left(signed_in: SignIn, service: Service, application: Application) -> None:
    """rest-api 8.9, 8.14: 4404 and 4403; messages to everybody by their own call only, and only the application's."""
    [tom] = await subscribed(signed_in, service, "tom")
    said = [await service.tell("tom", text="one"), await service.announce("two"), await service.broadcast("three")]
    stranger = Service(await in_database(lambda: Application.objects.create(name="another")), service.cid)
    for _ in said:
        await heard(tom)

    for message in said[:2]:
        with pytest.raises(MessageOwnershipRequired):
            await service.delete_for("tom", message, sender="tom")
        for fields in ({"timestamp_ms": message.timestamp_ms - 1}, {"timestamp_ms": 0}):
            with pytest.raises(MessageNotFound):
                await service.delete_for("tom", message, **fields)
        with pytest.raises(MessageNotFound):
            await service.delete_broadcast(message)
    with pytest.raises(MessageNotFound):
        await service.delete_for("mary", said[0])
    with pytest.raises(MessageNotFound):
        await service.delete_for("tom", said[2])
    with pytest.raises(MessageNotFound):
        await stranger.delete_broadcast(said[2])
    assert await texts(tom, service.cid) == ["one", "two", "three"]
    await service.delete_broadcast(said[2])
    for unknown in (said[2], said[2]._replace(message_id="a\0b")):
        with pytest.raises(MessageNotFound):
            await service.delete_broadcast(unknown)
    assert await texts(tom, service.cid) == ["one", "two"]


async def test_the_valid_ones_are_listed_newest_first(service: Service) -> None:
    """rest-api 8.14: not those that are over, or deleted."""
    said = [await service.broadcast(f"{number}", valid_ms=10_000 * (number - 1)) for number in range(6)]
    await service.delete_broadcast(said[4])

    listed = [await service.valid(limit=2), await service.valid(limit=2, skip=2), await service.valid(limit=100)]

    assert [[one.message.text for one in page] for page in listed] == [["5", "3"], ["2"], ["5", "3", "2"]]
    newest = listed[0][0]
    assert (newest.message.message_id, newest.message.timestamp_ms) == said[5]
    assert abs(newest.valid_till_ms - identifiers.now_ms() - 40_000) < 10_000
