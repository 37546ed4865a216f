"""Who may not be in conversations, as back ends say, and who does not want to be (rest-api 8.10)."""

import asyncio
from urllib.parse import quote

import pytest

from conversations.models import ConversationSettings, Subscription
from imcore import limits
from imcore.bridge import in_database
from imcore.models import Application
from imcore.protocol.message_pb2 import OpType
from tests.conftest import SignIn
from tests.conversations.api.backend import CHAT_ROOMS, NORMAL, SERVICES, ask, refused
from tests.conversations.api.moderated import NO_SUCH_CID, pages, place_of, traces
from tests.conversations.moderating import answer_list, attempt, failures, hears, stored_blocks
from tests.conversations.talking import add, count, heard, start, stored_members
from tests.messaging.signing_in import ObeySettings
from tests.messaging.support import another_application
from tests.restclient import app_of, call

BLOCKED = (4548, "BLOCKED_BY_CONV")
FAMILIES = [NORMAL, CHAT_ROOMS, SERVICES]


async def test_members_are_out_and_all_are_told(application: Application, signed_in: SignIn) -> None:
    """Checklist 36: `blocked` and `left` to the client, `members_blocked` and `members_left` to the others.

    The Owner can be blocked, too, although block lists are not enabled for clients.
    """
    path, cid, (tom, jerry, spike) = await place_of(application, signed_in, NORMAL, "tom", "jerry", "spike")
    body = {"client_ids": ["jerry", "stranger", "tom"]}

    done = await ask(application, "POST", f"{path}/blacklists", body)
    again = await ask(application, "POST", f"{path}/blacklists", body)

    assert done == again == {}
    for client in (tom, jerry):
        assert await hears(client) == [("blocked", "", []), ("left", "", [])]
    assert await hears(spike) == [
        ("members_blocked", "", ["jerry", "stranger", "tom"]),
        ("members_left", "", ["jerry", "tom"]),
    ]
    assert await stored_members(cid) == ["spike"]
    assert await attempt(jerry, cid) == (4401, "INVALID_MESSAGING_TARGET")
    assert failures((await add(jerry, cid, "jerry")).failedPids) == [(*BLOCKED, ["jerry"])]
    assert failures((await add(spike, cid, "stranger")).failedPids) == [(*BLOCKED, ["stranger"])]


async def test_who_is_unblocked_may_come_again(application: Application, signed_in: SignIn) -> None:
    """Checklist 36: it is told, and is not in the conversation for it; those who were not blocked do not matter."""
    path, cid, (tom, jerry) = await place_of(application, signed_in, NORMAL, "tom", "jerry")
    await ask(application, "POST", f"{path}/blacklists", {"client_ids": ["jerry"]})
    await heard(tom)
    await heard(jerry)

    done = await ask(application, "DELETE", f"{path}/blacklists", client_ids='["jerry", "nobody"]')

    assert done == {}
    assert await hears(jerry) == [("unblocked", "", [])]
    assert await hears(tom) == [("members_unblocked", "", ["jerry"])]
    assert await stored_members(cid) == ["tom"]
    assert list((await add(jerry, cid, "jerry")).allowedPids) == ["jerry"]


async def test_a_chat_room_puts_them_out(application: Application, signed_in: SignIn) -> None:
    """Checklist 36: only who is blocked is told; it hears no more, does not come back, and cannot send."""
    path, cid, (tom, jerry, spike) = await place_of(application, signed_in, CHAT_ROOMS, "tom", "jerry", "spike")

    await ask(application, "POST", f"{path}/blacklists", {"client_ids": ["jerry", "away"]})

    assert await hears(jerry) == [("blocked", "", [])]
    assert await hears(tom) == await hears(spike) == []
    assert await count(tom, cid) == 2
    assert failures((await add(jerry, cid, "jerry")).failedPids) == [(*BLOCKED, ["jerry"])]
    assert await attempt(jerry, cid) == BLOCKED
    await attempt(spike, cid)
    assert await heard(jerry) == []


async def test_a_service_loses_a_subscriber(application: Application, signed_in: SignIn) -> None:
    """Checklist 36: who is blocked follows it no more, cannot again, and cannot send; it is told `blocked` alone."""
    path, cid, (tom, jerry) = await place_of(application, signed_in, SERVICES, "tom", "jerry")

    await ask(application, "POST", f"{path}/blacklists", {"client_ids": ["jerry", "stranger"]})

    assert await hears(jerry) == [("blocked", "", [])]
    assert await heard(tom) == []
    assert await count(tom, cid) == 1
    assert failures((await add(jerry, cid, "jerry")).failedPids) == [(*BLOCKED, ["jerry"])]
    assert await attempt(jerry, cid) == BLOCKED
    await ask(application, "DELETE", f"{path}/blacklists", {"client_ids": ["jerry"]})
    assert await hears(jerry) == [("unblocked", "", [])]
    assert await count(tom, cid) == 1
    assert list((await add(jerry, cid, "jerry")).allowedPids) == ["jerry"]


async def test_a_block_and_a_subscription_at_once_leave_no_blocked_subscriber(
    application: Application, signed_in: SignIn
) -> None:
    """Checklist 36: whichever comes first, the block has the last word."""
    path, cid, _ = await place_of(application, signed_in, SERVICES, "tom")
    names = [f"client {number}" for number in range(6)]
    clients = [await signed_in(name) for name in names]

    await asyncio.gather(
        ask(application, "POST", f"{path}/blacklists", {"client_ids": names}),
        *(client.request(2, OpType.add, convMessage={"cid": cid, "m": [client.client_id]}) for client in clients),
    )

    rows = Subscription.objects.filter(conversation__object_id=cid)
    assert await in_database(lambda: list(rows.values_list("client_id", flat=True))) == ["tom"]


@pytest.mark.parametrize(("family", "most"), [(NORMAL, 500), (CHAT_ROOMS, 10_000), (SERVICES, 10_000)])
async def test_the_list_has_500_places_and_10000_elsewhere(
    application: Application, signed_in: SignIn, family: str, most: int
) -> None:
    """Checklist 36: one more is 4543, and nobody of that request is blocked; so many fit into one request."""
    path, cid, (tom,) = await place_of(application, signed_in, family, "tom")
    names = [f"client {number:05}" for number in range(most)]

    await ask(application, "POST", f"{path}/blacklists", {"client_ids": names[:-1]})
    both = await refused(application, "POST", f"{path}/blacklists", {"client_ids": ["a", "b"]})
    await ask(application, "POST", f"{path}/blacklists", {"client_ids": names})
    full = await refused(application, "POST", f"{path}/blacklists", {"client_ids": ["tom"]})
    listed = await stored_blocks(cid)
    await ask(application, "DELETE", f"{path}/blacklists", {"client_ids": names})

    assert both == full == (400, 4543)
    assert listed == names
    assert await stored_blocks(cid) == []
    assert await attempt(tom, cid) == (0, "")


@pytest.mark.parametrize("family", FAMILIES)
async def test_the_list_comes_in_pages(application: Application, signed_in: SignIn, family: str) -> None:
    """Checklist 36: 10 unless `limit` says otherwise, up to 100; `next` is absent at the end."""
    path, _, _ = await place_of(application, signed_in, family, "tom")
    names = [f"client {number:03}" for number in range(105)]
    empty = await pages(application, f"{path}/blacklists", "client_ids")
    await ask(application, "POST", f"{path}/blacklists", {"client_ids": names})

    for query, sizes in ({}, [10] * 10 + [5]), ({"limit": 500}, [100, 5]), ({"limit": -1}, [10] * 10 + [5]):
        found = await pages(application, f"{path}/blacklists", "client_ids", **query)
        assert [name for page in found for name in page] == names
        assert [len(page) for page in found] == sizes
    assert empty == [[]]
    assert await refused(application, "GET", f"{path}/blacklists", next="x") == (400, 1)


async def test_clients_and_the_application_keep_one_list(
    application: Application, signed_in: SignIn, obey_settings: ObeySettings
) -> None:
    """Checklist 36: what a client blocks, a back end sees and lifts."""
    await obey_settings(ConversationSettings, roles_enabled=True, block_lists_enabled=True)
    path, cid, (tom, _) = await place_of(application, signed_in, NORMAL, "tom", "jerry")
    await answer_list(tom, OpType.block, OpType.blocked, srcCid=cid, toPids=["jerry"])
    await ask(application, "POST", f"{path}/blacklists", {"client_ids": ["spike"]})

    listed = await pages(application, f"{path}/blacklists", "client_ids")
    await ask(application, "DELETE", f"{path}/blacklists", {"client_ids": ["jerry"]})

    assert listed == [["jerry", "spike"]]
    assert list((await answer_list(tom, OpType.query, OpType.query_result, srcCid=cid)).blockedPids) == ["spike"]


BAD = [
    ({}, 1),
    ({"client_ids": []}, 1),
    ({"client_ids": "jerry"}, 1),
    ({"client_ids": [["jerry"]]}, 1),
    ({"client_ids": ["jerry", ""]}, 4103),
    ({"client_ids": ["jerry", "x" * 65]}, 4103),
    ({"client_ids": ["jerry"] * (limits.LISTED_IN_ROOM_MAX + 1)}, 1),
    ("5", 107),
]


@pytest.mark.parametrize("family", FAMILIES)
async def test_what_cannot_be_done_changes_nothing(application: Application, signed_in: SignIn, family: str) -> None:
    """Checklist 36: bad lists, the app key, unknown conversations, another application's, another family's."""
    path, cid, (tom, jerry) = await place_of(application, signed_in, family, "tom", "jerry")
    other = await another_application()
    before = await traces(application)
    good = {"client_ids": ["jerry"]}

    for method in ("POST", "DELETE"):
        for body, code in BAD:
            assert await refused(application, method, f"{path}/blacklists", body) == (400, code), str(body)[:80]
    for method, sent in (("POST", good), ("DELETE", good), ("GET", None)):
        denied = await call(method, f"/1.2/rtm/{path}/blacklists", app_of(application), sent)
        assert (denied.status_code, denied.json()["code"]) == (403, 403)
        assert await refused(other, method, f"{path}/blacklists", sent) == (400, 4303)
        assert await refused(application, method, f"{family}/{NO_SUCH_CID}/blacklists", sent) == (400, 4303)
        for another, code in ((NORMAL, 4314), (CHAT_ROOMS, 4316), (SERVICES, 4313)):
            if another != family:
                assert await refused(application, method, f"{another}/{cid}/blacklists", sent) == (400, code)

    assert await traces(application) == before
    assert await heard(tom) == await heard(jerry) == []


@pytest.mark.parametrize("client_id", ["jerry", "team/jerry", "a/blacklists", "%2F?#"])
async def test_a_client_cannot_be_pulled_in(application: Application, signed_in: SignIn, client_id: str) -> None:
    """Checklist 36: others cannot add it, 4548, until that is undone; it may come by itself. Ids may have slashes."""
    path, cid, (tom,) = await place_of(application, signed_in, NORMAL, "tom")
    client = await signed_in(client_id)
    mine = f"clients/{quote(client_id)}/blacklists"

    done = [await ask(application, "POST", mine, {"conv_id": cid}) for _ in range(2)]
    invited = await add(tom, cid, client_id)
    listed = await pages(application, mine, "conv_ids")
    in_its_own = await pages(application, f"{path}/blacklists", "client_ids")
    undone = [await ask(application, "DELETE", mine, conv_id=cid) for _ in range(2)]
    added = await add(tom, cid, client_id)

    assert done == undone == [{}, {}]
    assert failures(invited.failedPids) == [(*BLOCKED, [client_id])]
    assert listed == [[cid]]
    assert in_its_own == [[]]
    assert list(added.allowedPids) == [client_id]
    assert await pages(application, mine, "conv_ids") == [[]]
    assert [one.op for one in await heard(client)] == [OpType.joined, OpType.members_joined]


async def test_it_may_come_by_itself(application: Application, signed_in: SignIn) -> None:
    """Checklist 36: what it does not want is to be pulled in."""
    _, cid, _ = await place_of(application, signed_in, NORMAL, "tom")
    jerry = await signed_in("jerry")
    await ask(application, "POST", "clients/jerry/blacklists", {"conv_id": cid})

    assert list((await add(jerry, cid, "jerry")).allowedPids) == ["jerry"]


async def test_a_clients_list_comes_in_pages_and_has_a_bound(
    application: Application, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checklist 36: 4543 for one more than it may have; `next` is where to go on."""
    monkeypatch.setattr(limits, "BLOCKED_MAX", 12)
    tom = await signed_in("tom")
    cids = [(await start(tom, unique=False)).cid for _ in range(13)]
    for cid in cids[:12]:
        await ask(application, "POST", "clients/jerry/blacklists", {"conv_id": cid})

    full = await refused(application, "POST", "clients/jerry/blacklists", {"conv_id": cids[12]})
    again = await ask(application, "POST", "clients/jerry/blacklists", {"conv_id": cids[0]})

    assert (full, again) == ((400, 4543), {})
    assert await pages(application, "clients/jerry/blacklists", "conv_ids") == [cids[:10], cids[10:12]]
    assert await pages(application, "clients/jerry/blacklists", "conv_ids", limit=12) == [cids[:12]]
    assert await pages(application, "clients/tom/blacklists", "conv_ids") == [[]]


async def test_what_a_client_cannot_refuse(application: Application, signed_in: SignIn) -> None:
    """Checklist 36: without a conversation, of another application's, as an impossible client, with the app key."""
    _, cid, _ = await place_of(application, signed_in, NORMAL, "tom")
    other = await another_application()
    before = await traces(application)

    for method in ("POST", "DELETE"):
        assert await refused(application, method, "clients/jerry/blacklists", {}) == (400, 1)
        assert await refused(application, method, "clients/jerry/blacklists", {"conv_id": [cid]}) == (400, 1)
        assert await refused(application, method, "clients/jerry/blacklists", {"conv_id": NO_SUCH_CID}) == (400, 4303)
        assert await refused(other, method, "clients/jerry/blacklists", {"conv_id": cid}) == (400, 4303)
        assert await refused(application, method, f"clients/{'x' * 65}/blacklists", {"conv_id": cid}) == (400, 4103)
    assert await refused(application, "GET", f"clients/{'x' * 65}/blacklists") == (400, 4103)
    assert await refused(application, "GET", "clients/jerry/blacklists", next="x") == (400, 1)
    for method, body in (("POST", {"conv_id": cid}), ("DELETE", {"conv_id": cid}), ("GET", None)):
        denied = await call(method, "/1.2/rtm/clients/jerry/blacklists", app_of(application), body)
        assert (denied.status_code, denied.json()["code"]) == (403, 403)

    assert await traces(application) == before
