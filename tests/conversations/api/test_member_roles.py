"""Roles that back ends give and take (rest-api 8.10)."""

from typing import Any

import pytest

from conversations.models import ConversationSettings
from imcore.models import Application
from imcore.protocol.message_pb2 import OpType
from tests.conftest import SignIn
from tests.conversations.api.asking import ask as ask_as_client
from tests.conversations.api.backend import CHAT_ROOMS, NORMAL, SERVICES, ask, refused
from tests.conversations.api.moderated import NO_SUCH_CID, place_of, traces
from tests.conversations.moderating import change_role, hush, stored_roles
from tests.conversations.talking import add, heard, look_up, refusal, remove
from tests.messaging.signing_in import ObeySettings
from tests.messaging.support import another_application
from tests.restclient import app_of, call


async def test_a_role_is_given_changed_and_taken(application: Application, signed_in: SignIn) -> None:
    """Checklist 36: the answer names the record and when it changed, which stays the same record; all are told.

    Roles need not be enabled for clients.
    """
    path, cid, (tom, jerry) = await place_of(application, signed_in, NORMAL, "tom", "jerry")
    infos = f"{path}/member-infos"

    given = await ask(application, "POST", infos, {"clientId": "jerry", "role": "Manager"})
    told = [await heard(client) for client in (tom, jerry)]
    updated = (await look_up(tom, cid))["updatedAt"]
    listed = await ask(application, "GET", infos)
    changed = await ask(application, "PUT", f"{infos}/{given['objectId']}", {"clientId": "jerry", "role": "Member"})
    promoted = await ask(application, "PUT", f"{infos}/{given['objectId']}", {"role": "Manager"})
    roles = [(one.op, one.convMessage.info.role) for one in await heard(jerry)]
    deleted = await ask(application, "DELETE", f"{infos}/{given['objectId']}")

    assert given.keys() == changed.keys() == {"objectId", "updatedAt"}
    assert {given["objectId"], changed["objectId"], promoted["objectId"]} == {given["objectId"]}
    assert given["updatedAt"] == updated < changed["updatedAt"] < promoted["updatedAt"]
    for [notice] in told:
        assert (notice.op, notice.notificationType) == (OpType.member_info_changed, 2)
        body = notice.convMessage
        assert (body.cid, body.initBy, body.udate) == (cid, "", updated)
        assert (body.info.pid, body.info.role) == ("jerry", "Manager")
    assert listed == {"results": [{"clientId": "jerry", "objectId": given["objectId"], "role": "Manager"}]}
    assert roles == [(OpType.member_info_changed, "Member"), (OpType.member_info_changed, "Manager")]
    assert deleted == {}
    [notice] = await heard(jerry)
    assert (notice.op, notice.convMessage.info.role) == (OpType.member_info_changed, "Member")
    assert await stored_roles(cid) == []


async def test_repeating_it_changes_nothing(application: Application, signed_in: SignIn) -> None:
    """Checklist 36: nobody is told again; deleting a Member's record is told to nobody."""
    path, cid, (tom, _) = await place_of(application, signed_in, NORMAL, "tom", "jerry")
    infos = f"{path}/member-infos"
    body = {"clientId": "jerry", "role": "Member"}
    given = await ask(application, "POST", infos, body)
    await hush(tom)
    before = await traces(application)

    again = (
        await ask(application, "POST", infos, body),
        await ask(application, "PUT", f"{infos}/{given['objectId']}", body),
    )
    after = await traces(application)
    await ask(application, "DELETE", f"{infos}/{given['objectId']}")

    assert again == (given, given)
    assert after == before
    assert await heard(tom) == []
    assert await stored_roles(cid) == []


async def test_what_was_given_counts_once_roles_are_enabled(
    application: Application, signed_in: SignIn, obey_settings: ObeySettings
) -> None:
    """Checklist 36: until then members are equals; and a deleted record is a power no more."""
    path, cid, (_, jerry, spike) = await place_of(application, signed_in, NORMAL, "tom", "jerry", "spike")
    infos = f"{path}/member-infos"
    given = await ask(application, "POST", infos, {"clientId": "jerry", "role": "Manager"})
    silence: dict[str, Any] = {"cid": cid, "m": ["spike"]}
    before = await refusal(jerry, OpType.add_shutup, **silence)
    infos_of_client = "/1.1/classes/_ConversationMemberInfo"
    hidden = await ask_as_client(application, jerry, infos_of_client, cid=cid)
    await obey_settings(ConversationSettings, roles_enabled=True)

    shown = await ask_as_client(application, jerry, infos_of_client, cid=cid)
    await remove(jerry, cid, "spike")
    await add(spike, cid, "spike")
    await ask(application, "DELETE", f"{infos}/{given['objectId']}")
    after = await refusal(jerry, OpType.add_shutup, **silence)

    assert before.code == 4325
    assert hidden.json()["code"] == 119
    assert [one["role"] for one in shown.json()["results"]] == ["Manager"]
    assert after.code == 4320


async def test_records_are_listed_by_role_and_page(application: Application, signed_in: SignIn) -> None:
    """Checklist 36: oldest first; `role`, `limit` and `skip`; no such role is 4321."""
    path, _, _ = await place_of(application, signed_in, NORMAL, "tom", "a", "b", "c")
    infos = f"{path}/member-infos"
    for name, role in (("a", "Manager"), ("b", "Member"), ("c", "Manager")):
        await ask(application, "POST", infos, {"clientId": name, "role": role})

    async def names(**query: Any) -> list[str]:
        return [one["clientId"] for one in (await ask(application, "GET", infos, **query))["results"]]

    assert await names() == ["a", "b", "c"]
    assert await names(limit=1, skip=1) == ["b"]
    assert await names(role="Manager") == ["a", "c"]
    assert await names(role="Manager", skip=1) == ["c"]
    assert await names(role="Owner") == []
    assert await refused(application, "GET", infos, role="King") == (400, 4321)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"clientId": "jerry", "role": "Owner"}, (400, 4320)),
        ({"clientId": "tom", "role": "Owner"}, (400, 4320)),
        ({"clientId": "tom", "role": "Manager"}, (400, 4320)),
        ({"clientId": "tom", "role": "Member"}, (400, 4320)),
        ({"clientId": "jerry", "role": "King"}, (400, 4321)),
        ({"clientId": "jerry", "role": "manager"}, (400, 4321)),
        ({"clientId": "jerry", "role": ""}, (400, 4321)),
        ({"clientId": "spike", "role": "Manager"}, (403, 4317)),
        ({"clientId": "", "role": "Manager"}, (400, 4103)),
        ({"clientId": "x" * 65, "role": "Manager"}, (400, 4103)),
        ({"clientId": 5, "role": "Manager"}, (400, 1)),
        ({"clientId": "jerry", "role": ["Manager"]}, (400, 1)),
        ({"clientId": "jerry"}, (400, 1)),
        ({"role": "Manager"}, (400, 1)),
        ({}, (400, 1)),
        ("[]", (400, 107)),
    ],
)
async def test_what_is_refused_changes_nothing(
    application: Application, signed_in: SignIn, body: Any, expected: tuple[int, int]
) -> None:
    """Checklist 36: nobody becomes Owner, who created it stays that; an unknown role, a stranger, and no parameters."""
    path, _, (tom, jerry) = await place_of(application, signed_in, NORMAL, "tom", "jerry")
    before = await traces(application)

    assert await refused(application, "POST", f"{path}/member-infos", body) == expected

    assert await traces(application) == before
    assert await heard(tom) == await heard(jerry) == []


async def test_who_became_manager_before_he_left_has_no_record(application: Application, signed_in: SignIn) -> None:
    """Checklist 36: roles go with the membership; a record that is not there is 1, and so is another's."""
    path, _, (_, jerry, spike) = await place_of(application, signed_in, NORMAL, "tom", "jerry", "spike")
    infos = f"{path}/member-infos"
    other, _, _ = await place_of(application, signed_in, NORMAL, "mary", "jerry")
    gone = await ask(application, "POST", infos, {"clientId": "spike", "role": "Manager"})
    kept = await ask(application, "POST", infos, {"clientId": "jerry", "role": "Manager"})
    await remove(spike, path.rpartition("/")[2], "spike")
    await hush(jerry)
    before = await traces(application)
    demote = {"role": "Member"}

    for one in (f"{infos}/{gone['objectId']}", f"{infos}/x", f"{other}/member-infos/{kept['objectId']}"):
        assert await refused(application, "PUT", one, demote) == (400, 1)
        assert await refused(application, "DELETE", one) == (400, 1)
    mine = f"{infos}/{kept['objectId']}"
    assert await refused(application, "PUT", mine, {"clientId": "tom", **demote}) == (400, 1)
    assert await refused(application, "PUT", mine, {}) == (400, 1)
    assert await refused(application, "PUT", mine, {"role": "Owner"}) == (400, 4320)
    assert await refused(application, "PUT", mine, {"role": "King"}) == (400, 4321)

    assert await traces(application) == before
    assert await heard(jerry) == []


async def test_chat_rooms_have_no_roles(application: Application, signed_in: SignIn) -> None:
    """Checklist 36: 4308, and no records; as for clients, whose SDKs know none there."""
    path, _, _ = await place_of(application, signed_in, CHAT_ROOMS, "tom", "jerry")
    infos = f"{path}/member-infos"

    assert await refused(application, "POST", infos, {"clientId": "jerry", "role": "Manager"}) == (400, 4308)
    assert await refused(application, "PUT", f"{infos}/x", {"role": "Manager"}) == (400, 4308)
    assert await refused(application, "DELETE", f"{infos}/x") == (400, 4308)
    assert await ask(application, "GET", infos) == {"results": []}


async def test_it_is_for_the_developer_and_his_own_conversations(application: Application, signed_in: SignIn) -> None:
    """Checklist 36: 403 with the app key, 4303 for what is not there or another's, and the kind is the path's."""
    path, cid, (tom, _) = await place_of(application, signed_in, NORMAL, "tom", "jerry")
    await change_role_by_rest(application, path)
    await hush(tom)
    other = await another_application()
    calls: list[tuple[str, str, Any]] = [
        ("POST", "member-infos", {"clientId": "jerry", "role": "Member"}),
        ("GET", "member-infos", None),
        ("PUT", "member-infos/x", {"role": "Member"}),
        ("DELETE", "member-infos/x", None),
    ]
    before = await traces(application)

    for method, name, body in calls:
        denied = await call(method, f"/1.2/rtm/{path}/{name}", app_of(application), body)
        assert (denied.status_code, denied.json()["code"]) == (403, 403)
        assert await refused(other, method, f"{path}/{name}", body) == (400, 4303)
        assert await refused(application, method, f"{NORMAL}/{NO_SUCH_CID}/{name}", body) == (400, 4303)
        assert await refused(application, method, f"{CHAT_ROOMS}/{cid}/{name}", body) == (400, 4316)
        assert await refused(application, method, f"{SERVICES}/{cid}/{name}", body) == (404, 404)

    assert await traces(application) == before
    assert await heard(tom) == []


async def change_role_by_rest(application: Application, path: str) -> None:
    """Make jerry a Manager."""
    await ask(application, "POST", f"{path}/member-infos", {"clientId": "jerry", "role": "Manager"})


async def test_clients_and_the_application_write_the_same_record(
    application: Application, signed_in: SignIn, obey_settings: ObeySettings
) -> None:
    """Checklist 36: whoever gives a role, there is one record of it."""
    await obey_settings(ConversationSettings, roles_enabled=True)
    path, cid, (tom, _) = await place_of(application, signed_in, NORMAL, "tom", "jerry")
    by_client = await change_role(tom, cid, "jerry", "Manager")

    by_application = await ask(application, "POST", f"{path}/member-infos", {"clientId": "jerry", "role": "Member"})

    assert by_application["objectId"] == by_client.info.infoId
    assert await stored_roles(cid) == [("jerry", "Member")]
