"""Edits and recalls that are refused: the documented answer, nothing changes, and nobody is told."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from conversations.models import Conversation
from conversations.policy import Kind
from conversations.services import directory
from conversations.storage import retention as conversations_retention
from imcore import identifiers
from imcore.bridge import in_database
from imcore.models import Application, GatewaySettings
from imcore.protocol.message_pb2 import AckCommand, CommandType, OpType, PatchCommand, PatchItem
from messaging.models import MessagingSettings
from tests.conftest import SignIn
from tests.conversations.moderating import silence_until
from tests.conversations.talking import remove
from tests.imclient import ImClient
from tests.messaging.patching import (
    ask,
    code_of,
    edit,
    edit_of,
    hears_patch,
    patch,
    recall,
    recall_of,
    refusal,
    whole,
)
from tests.messaging.support import another_application, frozen, heard, history, say, started, texts

pytestmark = pytest.mark.usefixtures("patches_enabled")

ObeySettings = Callable[..., Awaitable[None]]
PATCHES = [edit_of, recall_of]


def item_of(make: Any, conversation_id: str, ack: AckCommand) -> PatchItem:
    """Make an edit with a text, or a recall."""
    return edit_of(conversation_id, ack, "edited") if make is edit_of else recall_of(conversation_id, ack)


@pytest.fixture
async def talk(application: Application) -> str:
    """A conversation of tom and jerry."""
    return await started(application, "tom", "jerry")


@pytest.fixture
async def tom(signed_in: SignIn, talk: str) -> ImClient:
    """One member."""
    return await signed_in("tom")


@pytest.fixture
async def jerry(signed_in: SignIn, talk: str) -> ImClient:
    """The other."""
    return await signed_in("jerry")


@pytest.mark.parametrize("make", PATCHES)
async def test_what_somebody_else_wrote_is_his(talk: str, tom: ImClient, jerry: ImClient, make: Any) -> None:
    """Checklist 66: 4403."""
    ack = await say(tom, talk, "mine", mentionPids=["jerry"])
    await heard(jerry)
    before = await whole(talk)

    error = await refusal(jerry, item_of(make, talk, ack))

    assert (error.code, error.reason) == (4403, "MESSAGE_OWNERSHIP_REQUIRED")
    assert await whole(talk) == before
    await tom.nothing_more()


@pytest.mark.parametrize("make", PATCHES)
@pytest.mark.parametrize("message_id", ["", "nothing", "x" * 1000, "a\0b", "中文"])
async def test_an_unknown_message_is_not_found(
    talk: str, tom: ImClient, jerry: ImClient, make: Any, message_id: str
) -> None:
    """Checklist 66: 4404."""
    ack = await say(tom, talk, "hello")
    await heard(jerry)
    ack.uid = message_id

    error = await refusal(tom, item_of(make, talk, ack))

    assert (error.code, error.reason) == (4404, "MESSAGE_NOT_FOUND")
    await jerry.nothing_more()


@pytest.mark.parametrize("make", PATCHES)
async def test_a_message_is_found_only_where_it_is(
    application: Application, talk: str, signed_in: SignIn, make: Any
) -> None:
    """Checklist 66: not in another conversation, of this application or another one."""
    other = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    ack = await say(tom, talk, "hello")
    await heard(jerry)
    foreign = await started(await another_application(), "tom", "jerry")

    codes = [await code_of(tom, item_of(make, cid, ack)) for cid in (other, foreign)]

    assert codes == [4404, 4303]
    await jerry.nothing_more()
    assert await texts(jerry, talk) == ["hello"]


@pytest.mark.parametrize("make", PATCHES)
async def test_a_message_to_a_service_is_out_of_reach(application: Application, signed_in: SignIn, make: Any) -> None:
    """Checklist 66: it is the service's."""
    now_ms = identifiers.now_ms()
    service = await in_database(
        lambda: Conversation.objects.create(
            application=application,
            object_id=identifiers.object_id(now_ms),
            kind=Kind.SYSTEM,
            created_ms=now_ms,
            updated_ms=now_ms,
        )
    )
    tom = await signed_in("tom")
    ack = await say(tom, service.object_id, "hello")

    assert await code_of(tom, item_of(make, service.object_id, ack)) == 4404


@pytest.mark.parametrize("make", PATCHES)
async def test_a_transient_message_is_nowhere_to_be_found(talk: str, tom: ImClient, jerry: ImClient, make: Any) -> None:
    """Checklist 55, 66."""
    ack = await say(tom, talk, "typing…", transient=True)
    await heard(jerry)

    assert await code_of(tom, item_of(make, talk, ack)) == 4404
    await jerry.nothing_more()


@pytest.mark.parametrize("make", PATCHES)
@pytest.mark.parametrize("conversation_id", ["", "5f0000000000000000000000", "x" * 65, "a\0b", "_tmp:nothing"])
async def test_an_unknown_conversation_is_not_found(tom: ImClient, make: Any, conversation_id: str) -> None:
    """Checklist 66."""
    item = PatchItem(cid=conversation_id, mid="x", recall=make is recall_of, data=b"edited")

    assert await code_of(tom, item) == 4303


@pytest.mark.parametrize("make", PATCHES)
async def test_an_expired_temporary_conversation_is_over(
    application: Application, signed_in: SignIn, make: Any
) -> None:
    """Checklist 28, 66."""
    talk = await started(application, "tom", "jerry", kind=Kind.TEMPORARY, ttl_seconds=60)
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    ack = await say(tom, talk, "hello")
    await heard(jerry)
    before = await whole(talk)

    with frozen(identifiers.now_ms() + 61_000):
        code = await code_of(tom, item_of(make, talk, ack))

    assert code == 4303
    assert await whole(talk) == before
    await jerry.nothing_more()


@pytest.mark.parametrize("make", PATCHES)
async def test_a_conversation_that_was_deleted_is_answered_as_for_sends(
    application: Application, talk: str, tom: ImClient, make: Any
) -> None:
    """Checklist 66: 4401, though this server still remembers the conversation."""
    ack = await say(tom, talk, "hello")
    number = (await whole(talk))[0]["id"]
    end_ms = identifiers.now_ms() + 1000
    await in_database(lambda: conversations_retention.delete(numbers=[number], inactive_since_ms=end_ms, now_ms=end_ms))

    codes = [await code_of(tom, item_of(make, talk, ack)) for _ in range(2)]

    assert codes == [4401, 4401]


@pytest.mark.parametrize(
    ("make", "setting", "code", "reason"),
    [
        (edit_of, "edit_enabled", 4406, "MESSAGE_EDIT_DISABLED"),
        (recall_of, "recall_enabled", 4407, "MESSAGE_RECALL_DISABLED"),
    ],
)
async def test_what_the_application_does_not_enable_is_refused(
    talk: str, tom: ImClient, jerry: ImClient, obey_settings: ObeySettings, make: Any, setting: str, code: int,
    reason: str,
) -> None:  # fmt: skip
    """Checklist 64, 65: one without the other; off unless it says so."""
    assert getattr(MessagingSettings(), setting) is False
    ack = await say(tom, talk, "hello")
    await heard(jerry)
    await obey_settings(MessagingSettings, **{setting: False})
    before = await whole(talk)

    error = await refusal(tom, item_of(make, talk, ack))
    unchanged = await whole(talk) == before
    [other] = [other for other in PATCHES if other is not make]
    await patch(tom, item_of(other, talk, ack))

    assert (error.code, error.reason) == (code, reason)
    assert unchanged
    assert (await hears_patch(jerry)).recall is (other is recall_of)


@pytest.mark.parametrize(("make", "code"), [(edit_of, 4406), (recall_of, 4407)])
async def test_a_message_can_be_too_old(
    talk: str, tom: ImClient, jerry: ImClient, obey_settings: ObeySettings, make: Any, code: int
) -> None:
    """Checklist 64, 65: where the application sets a bound; at it, the message can still be patched."""
    await obey_settings(MessagingSettings, patch_window_minutes=2)
    ack, other = await say(tom, talk, "hello"), await say(tom, talk, "hello again")
    before = await whole(talk)

    with frozen(ack.t + 120_001):
        error = await refusal(tom, item_of(make, talk, ack))
        unchanged = await whole(talk) == before
    with frozen(other.t + 120_000):
        await patch(tom, item_of(make, talk, other))

    assert error.code == code
    assert "2 minutes" in error.detail
    assert unchanged


async def test_who_is_silenced_does_not_speak_by_editing(
    application: Application, talk: str, tom: ImClient, jerry: ImClient
) -> None:
    """Checklist 46, 64: 4315 for a while, 4563 for good; afterwards he may again."""
    ack = await say(tom, talk, "hello")
    await heard(jerry)
    now_ms = identifiers.now_ms()
    await silence_until(talk, "tom", now_ms + 60_000)

    for_a_while = await code_of(tom, edit_of(talk, ack, "and another thing"))
    with frozen(now_ms + 60_001):
        await edit(tom, talk, ack, "may I?")

    assert for_a_while == 4315
    assert (await hears_patch(jerry)).data == b"may I?"
    await jerry.nothing_more()


@pytest.mark.parametrize("make", PATCHES)
async def test_who_has_left_changes_nothing_any_more(talk: str, tom: ImClient, jerry: ImClient, make: Any) -> None:
    """Checklist 66: 4401, as for a send."""
    ack = await say(tom, talk, "hello")
    await heard(jerry)
    await remove(tom, talk, "tom")
    await jerry.notice(CommandType.conv, OpType.members_left)
    before = await whole(talk)

    error = await refusal(tom, item_of(make, talk, ack))

    assert (error.code, error.reason) == (4401, "INVALID_MESSAGING_TARGET")
    assert await whole(talk) == before
    await jerry.nothing_more()


async def test_a_server_that_remembers_a_member_refuses_who_has_left_through_another(
    application: Application, talk: str, tom: ImClient, jerry: ImClient
) -> None:
    """Checklist 66: what is remembered of the members is no authority."""
    ack = await say(tom, talk, "hello")
    await heard(jerry)
    remembered = await directory.find(application=application.pk, conversation_id=talk, now_ms=identifiers.now_ms())
    await remove(tom, talk, "tom")
    await jerry.notice(CommandType.conv, OpType.members_left)
    directory.forget(application=application.pk, conversation_id=talk)
    directory.remember(remembered)

    assert await code_of(tom, edit_of(talk, ack, "still here")) == 4401
    await jerry.nothing_more()


async def test_what_was_recalled_cannot_be_edited(talk: str, tom: ImClient, jerry: ImClient) -> None:
    """Checklist 65: 4404."""
    ack = await say(tom, talk, "oops")
    await recall(tom, talk, ack)
    before = await whole(talk)

    code = await code_of(tom, edit_of(talk, ack, "back again", mentionPids=["jerry"]))

    assert code == 4404
    assert await whole(talk) == before


@pytest.mark.parametrize(
    ("fields", "is_accepted"),
    [
        ({"data": b"x" * 5120}, True),
        ({"data": b"x" * 5121}, False),
        ({"binaryMsg": b"x" * 5121}, False),
        ({"data": b"x" * 5115, "mentionPids": ["jerry"]}, True),
        ({"data": b"x" * 5116, "mentionPids": ["jerry"]}, False),
    ],
)
async def test_an_edited_message_is_no_longer_than_one_that_is_sent(
    talk: str, tom: ImClient, jerry: ImClient, fields: dict[str, Any], is_accepted: bool
) -> None:
    """Checklist 69: 4109; at the bound it passes."""
    ack = await say(tom, talk, "short")
    await heard(jerry)
    before = await whole(talk)

    reply = await ask(tom, edit_of(talk, ack, **fields))

    assert reply.errorMessage.code == (0 if is_accepted else 4109)
    assert (await whole(talk) == before) is not is_accepted


@pytest.mark.parametrize("count", [0, 101])
async def test_a_command_has_one_to_a_hundred_items(talk: str, tom: ImClient, jerry: ImClient, count: int) -> None:
    """Checklist 64: 4301."""
    ack = await say(tom, talk, "hello")
    await heard(jerry)

    error = await refusal(tom, *[edit_of(talk, ack, "again")] * count)
    await patch(tom, *[edit_of(talk, ack, "again")] * 100)

    assert (error.code, error.reason) == (4301, "CONVERSATION_API_FAILED")
    assert [(await hears_patch(jerry)).data for _ in range(100)] == [b"again"] * 100
    await jerry.nothing_more()


async def test_an_edit_needs_a_body(talk: str, tom: ImClient) -> None:
    """Checklist 64: 4301, as for a message without one."""
    ack = await say(tom, talk, "hello")

    assert await code_of(tom, edit_of(talk, ack)) == 4301
    assert await texts(tom, talk) == ["hello"]


async def test_a_command_without_its_body_is_refused(tom: ImClient) -> None:
    """Checklist 64."""
    reply = await tom.request(CommandType.patch, OpType.modify)

    assert (reply.cmd, reply.errorMessage.code) == (CommandType.error, 4301)


@pytest.mark.parametrize("is_first", [True, False])
async def test_all_items_are_done_or_none(talk: str, tom: ImClient, jerry: ImClient, is_first: bool) -> None:
    """Checklist 64, 66: one that is refused takes the others with it, wherever it stands."""
    mine, recalled, his = await say(tom, talk, "mine"), await say(tom, talk, "too"), await say(jerry, talk, "his")
    for client, count in ((jerry, 2), (tom, 1)):
        for _ in range(count):
            await heard(client)
    before = await whole(talk)
    items = [edit_of(talk, mine, "edited", mentionAll=True), recall_of(talk, recalled)]
    items.insert(0 if is_first else 2, edit_of(talk, his, "forged"))

    code = await code_of(tom, *items)

    assert code == 4403
    assert await whole(talk) == before
    await jerry.nothing_more()


async def test_patches_have_the_rate_of_operations(
    talk: str, tom: ImClient, jerry: ImClient, obey_settings: ObeySettings
) -> None:
    """Checklist 70: 4318 above `client_operations_per_minute`; what old clients confirm is not counted."""
    ack = await say(tom, talk, "hello")
    await obey_settings(GatewaySettings, client_operations_per_minute=2)

    for _ in range(5):
        await tom.send(CommandType.patch, OpType.modified, patchMessage=PatchCommand(lastPatchTime=1))
    codes = [(await ask(tom, edit_of(talk, ack, "again"))).errorMessage.code for _ in range(3)]

    assert codes == [0, 0, 4318]


async def test_a_recall_leaves_the_message_to_be_sent_again_with_its_token(
    talk: str, tom: ImClient, jerry: ImClient
) -> None:
    """Checklist 51, 65: a resend of a recalled message is the same message, and does not bring it back."""
    ack = await say(tom, talk, "oops", dt="token")
    await recall(tom, talk, ack)

    again = await say(tom, talk, "oops", dt="token")

    assert (again.uid, again.t) == (ack.uid, ack.t)
    assert [item.data for item in await history(jerry, talk)] == ['{"_lctype":-127}']
