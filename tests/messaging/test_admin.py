"""The dashboard's pages of messages and devices."""

import re

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from conversations.models import Conversation
from imcore import identifiers
from imcore.models import Application
from messaging.models import Device, DeviceState, Message, SysMessage
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
