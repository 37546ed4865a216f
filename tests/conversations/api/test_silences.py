"""What back ends do about who may send (rest-api 8.10; 9 for 1.1)."""

from typing import Any

import pytest

from conversations.models import Conversation, Silence
from conversations.policy import Kind
from conversations.services import moderation
from imcore import limits
from imcore.bridge import in_database
from imcore.identifiers import now_ms
from imcore.models import Application
from imcore.protocol.message_pb2 import OpType
from tests.conftest import SignIn
from tests.conversations.api.backend import CHAT_ROOMS, NORMAL, SERVICES, ask, refused
from tests.conversations.api.moderated import NO_SUCH_CID, pages, place_of, traces
from tests.conversations.moderating import attempt, hears, silence_until, stored_silences
from tests.conversations.talking import heard, look_up, remove, start
from tests.messaging.support import another_application
from tests.restclient import app_of, call, master_of

FOR_TIME, FOR_GOOD = (4315, "CONVERSATION_BLACKLISTED"), (4563, "SILIENCED")
OLD = "/1.1/rtm/conversation/blacklist"


@pytest.mark.parametrize("family", [NORMAL, CHAT_ROOMS])
async def test_a_silence_for_a_time_stops_sends_and_nobody_is_told(
    application: Application, signed_in: SignIn, family: str
) -> None:
    """Checklist 36: 4315 until it is ended; it is in no list."""
    path, cid, (tom, jerry) = await place_of(application, signed_in, family, "tom", "jerry")

    done = await ask(application, "POST", f"{path}/temporary-silenceds", {"client_id": "jerry", "ttl": 50})
    silenced = await attempt(jerry, cid), await attempt(jerry, cid, transient=True)
    listed = await pages(application, f"{path}/permanent-silenceds", "client_ids")
    ended = await ask(application, "DELETE", f"{path}/temporary-silenceds", client_id="jerry")
    told = await heard(tom), await heard(jerry)
    again = await attempt(jerry, cid)

    assert done == ended == {}
    assert silenced == (FOR_TIME, FOR_TIME)
    assert listed == [[]]
    assert told == ([], [])
    assert again == (0, "")


async def test_it_lasts_as_long_as_it_says(application: Application, signed_in: SignIn) -> None:
    """Checklist 36: `ttl` seconds from now; saying it again sets another end."""
    path, cid, _ = await place_of(application, signed_in, NORMAL, "tom", "jerry")
    ends = []
    for ttl in (86_400, 1.9):
        before_ms = now_ms()
        await ask(application, "POST", f"{path}/temporary-silenceds", {"client_id": "jerry", "ttl": ttl})
        end = await in_database(lambda: Silence.objects.get(conversation__object_id=cid).until_ms)
        assert end is not None
        ends.append((end - before_ms) // 1000)

    assert ends[0] in (86_400, 86_401)
    assert ends[1] in (1, 2)


@pytest.mark.parametrize("kind", Kind)
async def test_the_old_call_silences_in_every_kind(application: Application, signed_in: SignIn, kind: Kind) -> None:
    """Checklist 36, rest-api 9: `blacklist` of 1.1 is the silence for a time, and the id alone decides."""
    if kind is Kind.TEMPORARY:
        tom, jerry = await signed_in("tom"), await signed_in("jerry")
        cid = (await start(tom, "jerry", tempConv=True)).cid
        await heard(jerry)
    else:
        family = {Kind.NORMAL: NORMAL, Kind.CHAT_ROOM: CHAT_ROOMS, Kind.SYSTEM: SERVICES}[kind]
        _, cid, (tom, jerry) = await place_of(application, signed_in, family, "tom", "jerry")
    body = {"client_id": "jerry", "conv_id": cid}

    done = await call("POST", OLD, master_of(application), {**body, "ttl": "60"})
    silenced = await attempt(jerry, cid)
    ended = await call("DELETE", OLD, master_of(application), **body)
    told = await heard(jerry)

    assert (done.json(), ended.json()) == ({}, {})
    assert silenced == FOR_TIME
    assert told == []
    assert await attempt(jerry, cid) == (0, "")


async def test_a_service_is_silenced_by_its_id_alone(application: Application, signed_in: SignIn) -> None:
    """Checklist 36: services have no such path of their own in 1.2."""
    path, _, _ = await place_of(application, signed_in, SERVICES, "tom")

    for name in ("temporary-silenceds", "permanent-silenceds", "member-infos"):
        assert await refused(application, "POST", f"{path}/{name}", {"client_id": "tom", "ttl": 1}) == (404, 404)


async def test_the_two_silences_do_not_touch_each_other(application: Application, signed_in: SignIn) -> None:
    """Checklist 36: one for good outlasts the end of one for a time, and takes its place."""
    path, cid, (_, jerry) = await place_of(application, signed_in, NORMAL, "tom", "jerry")
    timed = {"client_id": "jerry", "ttl": 50}
    await ask(application, "POST", f"{path}/temporary-silenceds", timed)

    await ask(application, "POST", f"{path}/permanent-silenceds", {"client_ids": ["jerry"]})
    for_good = await attempt(jerry, cid)
    await ask(application, "POST", f"{path}/temporary-silenceds", timed)
    await ask(application, "DELETE", f"{path}/temporary-silenceds", client_id="jerry")
    still = await attempt(jerry, cid)
    await ask(application, "DELETE", f"{path}/permanent-silenceds", {"client_ids": ["jerry"]})

    assert for_good == still == FOR_GOOD
    assert await attempt(jerry, cid) == (0, "")


async def test_what_comes_after_it_is_told_in_order(application: Application, signed_in: SignIn) -> None:
    """A silence nobody is told of has its place among the changes; what follows does not wait for it."""
    path, _, (_, jerry) = await place_of(application, signed_in, NORMAL, "tom", "jerry")
    await ask(application, "POST", f"{path}/permanent-silenceds", {"client_ids": ["tom"]})
    await ask(application, "POST", f"{path}/temporary-silenceds", {"client_id": "jerry", "ttl": 50})
    await ask(application, "DELETE", f"{path}/permanent-silenceds", {"client_ids": ["tom"]})

    assert await hears(jerry) == [("members_shutuped", "", ["tom"]), ("members_unshutuped", "", ["tom"])]


async def test_silences_whose_time_is_over_do_not_gather(application: Application, signed_in: SignIn) -> None:
    """What is over is deleted when somebody else is silenced, and takes no place."""
    path, cid, _ = await place_of(application, signed_in, NORMAL, "tom", "jerry", "spike")
    await silence_until(cid, "jerry", now_ms() - 1)

    await ask(application, "POST", f"{path}/temporary-silenceds", {"client_id": "spike", "ttl": 50})

    assert await stored_silences(cid) == ["spike"]


async def test_as_many_are_silenced_for_a_time_as_for_good(
    application: Application, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checklist 36: 4561; who is silenced can be for longer, and those for good take no place of these."""
    monkeypatch.setattr(moderation, "_SILENCED", moderation._SILENCED._replace(max_of_normal=1))
    path, cid, _ = await place_of(application, signed_in, NORMAL, "tom", "jerry", "spike")
    await ask(application, "POST", f"{path}/permanent-silenceds", {"client_ids": ["tom"]})

    for _ in range(2):
        await ask(application, "POST", f"{path}/temporary-silenceds", {"client_id": "jerry", "ttl": 50})
    third = await refused(application, "POST", f"{path}/temporary-silenceds", {"client_id": "spike", "ttl": 50})

    assert third == (400, 4561)
    assert sorted(await stored_silences(cid)) == ["jerry", "tom"]


async def test_silencing_for_good_is_told_to_all(application: Application, signed_in: SignIn) -> None:
    """Checklist 36: `shutuped` and `members_shutuped` to the client, the latter to the others; `initBy` is empty.

    Also the Owner can be silenced, although roles are not enabled for clients.
    """
    path, cid, (tom, jerry) = await place_of(application, signed_in, NORMAL, "tom", "jerry")

    done = await ask(application, "POST", f"{path}/permanent-silenceds", {"client_ids": ["jerry", "tom", "jerry"]})
    told = [await heard(client) for client in (tom, jerry)]
    sends = await attempt(tom, cid), await attempt(jerry, cid)
    repeated = await ask(application, "POST", f"{path}/permanent-silenceds", {"client_ids": ["jerry"]})
    lifted = await ask(application, "DELETE", f"{path}/permanent-silenceds", {"client_ids": ["jerry", "nobody"]})

    assert done == repeated == lifted == {}
    updated = (await look_up(tom, cid))["updatedAt"]
    for frames in told:
        assert [(one.op, one.notificationType) for one in frames] == [
            (OpType.shutuped, 1),
            (OpType.members_shutuped, 2),
        ]
        assert list(frames[1].convMessage.m) == ["jerry", "tom"]
        assert {one.convMessage.initBy for one in frames} == {""}
        assert {one.convMessage.udate < updated for one in frames} == {True}
    assert sends == (FOR_GOOD, FOR_GOOD)
    assert await hears(jerry) == [("unshutuped", "", []), ("members_unshutuped", "", ["jerry"])]
    assert await hears(tom) == [("members_unshutuped", "", ["jerry"])]
    assert await attempt(jerry, cid) == (0, "")


async def test_in_a_chat_room_only_the_silenced_is_told(application: Application, signed_in: SignIn) -> None:
    """Checklist 36: whoever it is, there or not."""
    path, _, (tom, jerry) = await place_of(application, signed_in, CHAT_ROOMS, "tom", "jerry")

    await ask(application, "POST", f"{path}/permanent-silenceds", {"client_ids": ["away", "jerry"]})
    told = await hears(jerry), await hears(tom)
    listed = await pages(application, f"{path}/permanent-silenceds", "client_ids")
    await ask(application, "DELETE", f"{path}/permanent-silenceds", {"client_ids": ["away", "jerry"]})

    assert told == ([("shutuped", "", [])], [])
    assert listed == [["away", "jerry"]]
    assert await hears(jerry) == [("unshutuped", "", [])]
    assert await pages(application, f"{path}/permanent-silenceds", "client_ids") == [[]]


async def test_all_of_them_or_none(application: Application, signed_in: SignIn) -> None:
    """Checklist 36: a stranger is 4317 in a normal conversation, whichever silence it is, and nobody is silenced."""
    path, cid, (_, jerry) = await place_of(application, signed_in, NORMAL, "tom", "jerry")

    for_good = await refused(application, "POST", f"{path}/permanent-silenceds", {"client_ids": ["jerry", "spike"]})
    for_time = await refused(application, "POST", f"{path}/temporary-silenceds", {"client_id": "spike", "ttl": 1})

    assert for_good == for_time == (403, 4317)
    assert await stored_silences(cid) == []
    assert await heard(jerry) == []


async def test_a_silence_survives_leaving_and_is_lifted_from_who_is_away(
    application: Application, signed_in: SignIn
) -> None:
    """Checklist 36: lifting it asks for no membership."""
    path, cid, (_, jerry) = await place_of(application, signed_in, NORMAL, "tom", "jerry")
    await ask(application, "POST", f"{path}/permanent-silenceds", {"client_ids": ["jerry"]})
    await remove(jerry, cid, "jerry")

    await ask(application, "DELETE", f"{path}/permanent-silenceds", {"client_ids": ["jerry"]})

    assert await stored_silences(cid) == []


@pytest.mark.parametrize(("family", "most"), [(NORMAL, 500), (CHAT_ROOMS, 10_000)])
async def test_the_list_has_500_places_and_in_chat_rooms_10000(
    application: Application, signed_in: SignIn, family: str, most: int
) -> None:
    """Checklist 36: one more is 4561, and nobody of that request is silenced."""
    path, cid, _ = await place_of(application, signed_in, family, "tom", "a", "b")

    def fill() -> None:
        row = Conversation.objects.get(object_id=cid)
        Silence.objects.bulk_create(
            Silence(application=application, conversation=row, client_id=f"client {number}", created_ms=1)
            for number in range(most - 1)
        )
        Conversation.objects.filter(pk=row.pk).update(has_silenced=True)

    await in_database(fill)

    both = await refused(application, "POST", f"{path}/permanent-silenceds", {"client_ids": ["a", "b"]})
    none = (await stored_silences(cid))[-1]
    await ask(application, "POST", f"{path}/permanent-silenceds", {"client_ids": ["a"]})
    one = await refused(application, "POST", f"{path}/permanent-silenceds", {"client_ids": ["b"]})

    assert both == one == (400, 4561)
    assert none == f"client {most - 2}"
    assert (await stored_silences(cid))[-1] == "a"


async def test_the_list_comes_in_pages(application: Application, signed_in: SignIn) -> None:
    """Checklist 36: 10 unless `limit` says otherwise, up to 100; `next` is absent at the end."""
    path, _, _ = await place_of(application, signed_in, CHAT_ROOMS, "tom")
    names = [f"client {number:03}" for number in range(105)]
    await ask(application, "POST", f"{path}/permanent-silenceds", {"client_ids": names})

    async def sizes(**query: Any) -> list[int]:
        found = await pages(application, f"{path}/permanent-silenceds", "client_ids", **query)
        assert [name for page in found for name in page] == names
        return [len(page) for page in found]

    assert await sizes() == await sizes(limit=0) == await sizes(limit="many") == [10] * 10 + [5]
    assert await sizes(limit=1000) == await sizes(limit=100) == [100, 5]
    assert await sizes(limit=105 // 3) == [35, 35, 35]
    for following in ("x", "-1", "²", "9" * 40):
        path_of_list = f"{path}/permanent-silenceds"
        assert await refused(application, "GET", path_of_list, next=following) == (400, 1)


BAD = [
    ("temporary-silenceds", {}, 1),
    ("temporary-silenceds", {"client_id": "jerry"}, 1),
    ("temporary-silenceds", {"ttl": 50}, 1),
    ("temporary-silenceds", {"client_id": "jerry", "ttl": 0}, 1),
    ("temporary-silenceds", {"client_id": "jerry", "ttl": -1}, 1),
    ("temporary-silenceds", {"client_id": "jerry", "ttl": 86_401}, 1),
    ("temporary-silenceds", {"client_id": "jerry", "ttl": True}, 1),
    ("temporary-silenceds", {"client_id": "jerry", "ttl": "soon"}, 1),
    ("temporary-silenceds", {"client_id": ["jerry"], "ttl": 50}, 1),
    ("temporary-silenceds", {"client_id": "", "ttl": 50}, 4103),
    ("temporary-silenceds", {"client_id": "x" * 65, "ttl": 50}, 4103),
    ("permanent-silenceds", {}, 1),
    ("permanent-silenceds", {"client_ids": []}, 1),
    ("permanent-silenceds", {"client_ids": "jerry"}, 1),
    ("permanent-silenceds", {"client_ids": {"jerry": 1}}, 1),
    ("permanent-silenceds", {"client_ids": ["jerry", 5]}, 1),
    ("permanent-silenceds", {"client_ids": ["jerry", ""]}, 4103),
    ("permanent-silenceds", {"client_ids": ["jerry", "a\0b"]}, 1),
    ("permanent-silenceds", {"client_ids": ["jerry"] * (limits.LISTED_IN_ROOM_MAX + 1)}, 1),
    ("permanent-silenceds", "[]", 107),
    ("permanent-silenceds", "{", 107),
]


async def test_what_cannot_be_read_changes_nothing(application: Application, signed_in: SignIn) -> None:
    """Checklist 36: the documented error, and nobody is told."""
    path, _, (tom, jerry) = await place_of(application, signed_in, NORMAL, "tom", "jerry")
    before = await traces(application)

    for name, body, code in BAD:
        assert await refused(application, "POST", f"{path}/{name}", body) == (400, code), (name, str(body)[:80])
    for name, body, code in BAD:
        if "temporary" not in name:
            assert await refused(application, "DELETE", f"{path}/{name}", body) == (400, code), (name, str(body)[:80])
    assert await refused(application, "DELETE", f"{path}/temporary-silenceds") == (400, 1)

    assert await traces(application) == before
    assert await heard(tom) == await heard(jerry) == []


async def test_it_is_for_the_developer_and_his_own_conversations(application: Application, signed_in: SignIn) -> None:
    """Checklist 36: 403 with the app key, 4303 for what is not there or another's, and the kind is the path's."""
    path, cid, _ = await place_of(application, signed_in, NORMAL, "tom", "jerry")
    other = await another_application()
    calls: list[tuple[str, str, Any]] = [
        ("POST", "temporary-silenceds", {"client_id": "jerry", "ttl": 50}),
        ("DELETE", "temporary-silenceds", {"client_id": "jerry"}),
        ("POST", "permanent-silenceds", {"client_ids": ["jerry"]}),
        ("DELETE", "permanent-silenceds", {"client_ids": ["jerry"]}),
        ("GET", "permanent-silenceds", None),
    ]
    before = await traces(application)

    for method, name, body in calls:
        denied = await call(method, f"/1.2/rtm/{path}/{name}", app_of(application), body)
        assert (denied.status_code, denied.json()["code"]) == (403, 403)
        assert await refused(other, method, f"{path}/{name}", body) == (400, 4303)
        assert await refused(application, method, f"{NORMAL}/{NO_SUCH_CID}/{name}", body) == (400, 4303)
        assert await refused(application, method, f"{CHAT_ROOMS}/{cid}/{name}", body) == (400, 4316)
    old = {"client_id": "jerry", "conv_id": cid, "ttl": 50}
    for method in ("POST", "DELETE"):
        denied = await call(method, OLD, app_of(application), old)
        assert (denied.status_code, denied.json()["code"]) == (403, 403)
        for missing in ("client_id", "conv_id"):
            body = {name: value for name, value in old.items() if name != missing}
            assert (await call(method, OLD, master_of(application), body)).json()["code"] == 1
        unknown = await call(method, OLD, master_of(application), {**old, "conv_id": NO_SUCH_CID})
        assert unknown.json()["code"] == 4303

    assert await traces(application) == before
