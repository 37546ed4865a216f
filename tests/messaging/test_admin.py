"""The dashboard's pages of messages and devices."""

import re

import pytest
from asgiref.sync import sync_to_async
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connections
from django.test import AsyncClient, Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from conversations.models import Conversation
from imcore import identifiers
from imcore.bridge import in_database
from imcore.models import Application
from imcore.protocol.message_pb2 import CommandType, OpType
from messaging.models import Device, DeviceState, Message, SysMessage
from tests.conftest import SignIn
from tests.dashboard import logged_in

LIST = reverse("admin:messaging_message_changelist")
DEVICES = reverse("admin:messaging_device_changelist")
UPSTREAM = reverse("admin:messaging_sysmessage_changelist")
AT_MS = 1_579_616_560_000  # 2020-01-21 14:22:40


@pytest.fixture
def supporter() -> Client:
    """A browser that an administrator is logged in with."""
    return logged_in()


@pytest.fixture
def conversation(application: Application) -> Conversation:
    """An empty conversation."""
    return Conversation.objects.create(
        application=application, object_id=f"talk-{application.pk}", created_ms=AT_MS, updated_ms=AT_MS
    )


def message(
    conversation: Conversation, text: str | None, *, sender: str = "tom", data: bytes | None = None, seq: int = 1
) -> Message:
    """Store a message, an odd one if need be."""
    return Message.objects.create(
        message_id=identifiers.message_id(AT_MS + seq),
        application=conversation.application,
        conversation_id=conversation.pk,
        seq=seq,
        timestamp_ms=AT_MS + seq,
        sender=sender,
        text=text,
        data=data,
        is_binary=text is None,
    )


def listed(client: Client, **filters: str | int) -> list[str]:
    """Return the ids on the list page."""
    response = client.get(LIST, filters)
    assert response.status_code == 200
    return [row.message_id for row in response.context["cl"].result_list]


@pytest.mark.parametrize("url", [LIST, DEVICES, UPSTREAM])
def test_the_pages_are_for_those_who_logged_in(url: str) -> None:
    """Everybody else is sent to the login page."""
    response = Client().get(url)

    assert response.status_code == 302
    assert response.headers["Location"].startswith(reverse("admin:login"))


@pytest.mark.parametrize(
    ("text", "data", "preview"),
    [
        ('{"_lctype":-1,"_lctext":"hello <b>"}', None, "hello &lt;b&gt;"),
        ('{"_lctype":-2,"_lcfile":{}}', None, "{&quot;_lctype&quot;:-2,&quot;_lcfile&quot;:{}}"),
        ('{"_lctext":5}', None, "{&quot;_lctext&quot;:5}"),
        ("just text", None, "just text"),
        ("[1]", None, "[1]"),
        ("中" * 100, None, "中" * 80 + "…"),
        (None, b"\x00\xff", "binary, 2 bytes"),
    ],
)
def test_the_list_shows_a_date_the_conversation_and_a_preview(
    supporter: Client, conversation: Conversation, text: str | None, data: bytes | None, preview: str
) -> None:
    """Typed messages show their text, others what there is."""
    message(conversation, text, data=data)

    page = supporter.get(LIST, {"application__id__exact": conversation.application.pk}).content.decode()

    assert "2020-01-21 14:22:40 UTC" in page
    assert conversation.object_id in page
    assert f'<td class="field-preview">{preview}</td>' in page


def test_a_message_is_found_by_its_id_its_conversation_and_its_sender(
    supporter: Client, conversation: Conversation
) -> None:
    """By whole ids, all of them together."""
    tom, jerry = f"tom-{conversation.pk}", f"jerry-{conversation.pk}"
    first, second, third = (
        message(conversation, "hi", sender=sender, seq=seq).message_id
        for seq, sender in enumerate((tom, jerry, tom), start=1)
    )

    assert listed(supporter, q=first) == [first]
    assert listed(supporter, q=conversation.object_id) == [third, second, first]
    assert listed(supporter, q=tom) == [third, first]
    assert listed(supporter, q=f"{conversation.object_id} {jerry}") == [second]
    assert listed(supporter, q=f"{first} {jerry}") == []


def test_one_message_is_shown_whole_and_cannot_be_changed(supporter: Client, conversation: Conversation) -> None:
    """A message whose conversation is gone is shown as well."""
    for shown in (
        message(conversation, "x" * 100, seq=1),
        message(conversation, None, data=b"\x00\xff", seq=2),
        Message.objects.create(
            message_id=identifiers.message_id(AT_MS), application=conversation.application, conversation_id=0,
            seq=identifiers.now_ms(), timestamp_ms=AT_MS, sender="tom", data=b"NUL \x00",
        ),
    ):  # fmt: skip
        url = reverse("admin:messaging_message_change", args=[shown.pk])

        page = supporter.get(url).content.decode()

        assert 'name="_save"' not in page
        assert any(body in page for body in ("x" * 100, "AP8=", "NUL "))
        assert supporter.post(url, {"text": "forged"}).status_code == 403
        assert supporter.post(reverse("admin:messaging_message_delete", args=[shown.pk])).status_code == 403
    assert supporter.get(reverse("admin:messaging_message_add")).status_code == 403


def test_a_message_shows_when_it_was_patched_delivered_and_read(supporter: Client, conversation: Conversation) -> None:
    """Checklist 64, 65: and that it was recalled; nothing of what has not happened."""
    untouched = message(conversation, "as it was")
    recalled = message(conversation, '{"_lctype":-127}', seq=2)
    Message.objects.filter(pk=recalled.pk).update(
        patch_ms=AT_MS + 3_600_000, ack_ms=AT_MS + 1000, read_ms=AT_MS + 60_000, is_recalled=True
    )

    shown = supporter.get(reverse("admin:messaging_message_change", args=[recalled.pk])).content.decode()
    plain = supporter.get(reverse("admin:messaging_message_change", args=[untouched.pk])).content.decode()

    for field, date in (("patched", "15:22:40"), ("delivered", "14:22:41"), ("read", "14:23:40")):
        assert re.search(rf"field-{field}\b.*?2020-01-21 {date} UTC", shown, re.DOTALL), field
        assert not re.search(rf'field-{field}\b(?:(?!class="form-row).)*UTC', plain, re.DOTALL), field
    assert 'alt="True"' in re.search(r"field-is_recalled.*?</div>\s*</div>", shown, re.DOTALL)[0]  # type: ignore[index]


def test_the_list_takes_as_many_queries_however_long_it_is(
    supporter: Client, application: Application, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    """Conversations are looked up for the whole page."""
    for number in range(20):
        talk = Conversation.objects.create(
            application=application, object_id=f"{number} of {application.pk}", created_ms=AT_MS, updated_ms=AT_MS
        )
        message(talk, "hi")

    with django_assert_max_num_queries(8):
        assert len(listed(supporter, application__id__exact=application.pk)) == 20


def test_messages_to_services_are_found_and_shown_and_cannot_be_changed(
    supporter: Client, conversation: Conversation, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    """By their ids, their conversation and their senders, as messages are; with the address they came from."""
    sender = f"tom-{conversation.pk}"
    for number in range(20):
        sent = SysMessage.objects.create(
            message_id=identifiers.message_id(AT_MS + number),
            application=conversation.application,
            conversation_id=conversation.pk,
            timestamp_ms=AT_MS + number,
            sender=sender if number % 2 else "jerry",
            sender_address="2001:db8::7",
            text='{"_lctype":-1,"_lctext":"help <me>"}',
        )
    url = reverse("admin:messaging_sysmessage_change", args=[sent.pk])

    def found(text: str) -> int:
        return len(supporter.get(UPSTREAM, {"q": text}).context["cl"].result_list)

    assert (found(sent.pk), found(sender), found(conversation.object_id)) == (1, 10, 20)
    assert found(f"{conversation.object_id} {sender}") == 10
    assert found("nobody") == 0
    with django_assert_max_num_queries(8):
        listed_page = supporter.get(UPSTREAM, {"application__id__exact": conversation.application.pk})
    assert "help &lt;me&gt;" in listed_page.content.decode()
    page = supporter.get(url).content.decode()
    assert "2001:db8::7" in page
    assert conversation.object_id in page
    assert 'name="_save"' not in page
    assert supporter.post(url, {"text": "forged"}).status_code == 403
    assert supporter.post(reverse("admin:messaging_sysmessage_delete", args=[sent.pk])).status_code == 403
    assert supporter.get(reverse("admin:messaging_sysmessage_add")).status_code == 403


def test_devices_show_who_signed_in_from_where(supporter: Client, application: Application) -> None:
    """Found by the id of the client or of the device."""
    client_id = f"tom of {application.pk}"
    for identity, state in (("phone", DeviceState.SIGNED_IN), ("web", DeviceState.CLOSED)):
        device = Device.objects.create(
            application=application,
            client_id=client_id,
            identity=f"{identity} of {application.pk}",
            state=state,
            user_agent="js/5.0.0",
            last_seen_at=timezone.now(),
        )

    by_client = supporter.get(DEVICES, {"q": f'"{client_id}"'}).context["cl"].result_list
    by_device = supporter.get(DEVICES, {"q": f'"{device.identity}"'}).context["cl"].result_list
    by_state = supporter.get(f"{DEVICES}?state__exact=closed&application__id__exact={application.pk}")
    page = supporter.get(reverse("admin:messaging_device_change", args=[device.pk])).content.decode()

    assert len(by_client) == 2
    assert [one.pk for one in by_device] == [device.pk]
    assert [one.pk for one in by_state.context["cl"].result_list] == [device.pk]
    assert "js/5.0.0" in page
    assert 'name="_save"' not in page


async def test_an_administrator_signs_a_client_out(application: Application, signed_in: SignIn) -> None:
    """Once it is confirmed; all its devices are told, and the deed is in the log."""
    phone, web = await signed_in("tom", deviceId="phone"), await signed_in("tom", deviceId="web")
    mary = await signed_in("mary")
    browser = AsyncClient()
    browser.cookies = await in_database(lambda: logged_in().cookies)
    device = await in_database(lambda: Device.objects.get(application=application, identity="web"))
    asked = {"action": "sign_out", ACTION_CHECKBOX_NAME: [device.pk]}

    try:
        page = await browser.post(DEVICES, asked)
        await phone.nothing_more()
        done = await browser.post(DEVICES, {**asked, "confirmed": "yes", "reason": "lost phone"})
    finally:
        # The thread of the views keeps its connection to the database, which could not be dropped.
        await sync_to_async(connections.close_all)()

    assert "tom of" in page.content.decode()
    assert done.status_code == 302
    for client in (phone, web):
        body = (await client.notice(CommandType.session, OpType.closed)).sessionMessage
        assert (body.code, body.reason, body.detail) == (4115, "KICKED_BY_APP", "lost phone")
    await mary.nothing_more()
    log = await in_database(lambda: LogEntry.objects.get(object_id=str(device.pk), user__username="supporter"))
    assert log.change_message == "Signed the client out."


def test_who_may_only_look_signs_nobody_out(application: Application) -> None:
    """It takes the permission to change devices."""
    viewer = get_user_model().objects.create_user(f"viewer of {application.pk}", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_device"))
    device = Device.objects.create(
        application=application, client_id="tom", identity="phone", last_seen_at=timezone.now()
    )
    browser = Client()
    browser.force_login(viewer)

    page = browser.get(DEVICES, {"application__id__exact": application.pk})
    browser.post(DEVICES, {"action": "sign_out", ACTION_CHECKBOX_NAME: [device.pk], "confirmed": "yes"})

    assert "sign_out" not in page.content.decode()
    device.refresh_from_db()
    assert device.state == DeviceState.SIGNED_IN
