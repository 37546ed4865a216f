"""The dashboard's pages of conversations."""

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from conversations.models import Block, Conversation, Member, MemberInfo, Silence, Subscription
from conversations.policy import Kind
from imcore.dashboard import COUNTED_MAX
from imcore.models import Application
from tests.dashboard import logged_in

LIST = reverse("admin:conversations_conversation_changelist")
AT_MS = 1_579_616_560_000  # 2020-01-21 14:22:40


@pytest.fixture
def supporter() -> Client:
    """A browser that an administrator is logged in with."""
    return logged_in()


def conversation(application: Application, name: str, *members: str, kind: Kind = Kind.NORMAL) -> Conversation:
    """Store a conversation whose creator is its first member."""
    created = Conversation.objects.create(
        application=application,
        object_id=f"{name}-{application.pk}",
        kind=kind,
        creator=members[0],
        attributes={"name": f"about {name}", "猫": "和老鼠"},
        member_count=len(members),
        last_message_ms=AT_MS,
        created_ms=AT_MS,
        updated_ms=AT_MS,
    )
    Member.objects.bulk_create(
        Member(conversation=created, application=application, client_id=member, joined_ms=AT_MS, read_seq=7)
        for member in members
    )
    return created


def listed(client: Client, **filters: str | int) -> list[str]:
    """Return the ids on the list page."""
    response = client.get(LIST, filters)
    assert response.status_code == 200
    return [row.object_id for row in response.context["cl"].result_list]


def test_the_pages_are_for_those_who_logged_in() -> None:
    """Everybody else is sent to the login page."""
    response = Client().get(LIST)

    assert response.status_code == 302
    assert response.headers["Location"].startswith(reverse("admin:login"))


def test_the_list_shows_dates_and_is_filtered_by_application_and_kind(
    supporter: Client, application: Application
) -> None:
    """Times are stored in milliseconds and shown as dates."""
    normal = conversation(application, "normal", "tom", "jerry")
    temporary = conversation(application, "temporary", "tom", kind=Kind.TEMPORARY)

    page = supporter.get(LIST, {"application__id__exact": application.pk}).content.decode()

    assert "2020-01-21 14:22:40 UTC" in page
    assert "about normal" in page
    assert listed(supporter, application__id__exact=application.pk) == [temporary.object_id, normal.object_id]
    assert listed(supporter, application__id__exact=application.pk, kind__exact=4) == [temporary.object_id]


def test_a_conversation_is_found_by_its_id_its_creator_and_its_members(
    supporter: Client, application: Application
) -> None:
    """By whole ids; blanks around them do no harm."""
    client_ids = [f"{name} of {application.pk}" for name in ("tom", "jerry")]
    found = conversation(application, "found", *client_ids)
    left = conversation(application, "left", *client_ids)
    Member.objects.filter(conversation=left, client_id=client_ids[0]).delete()
    conversation(application, "other", "spike")

    assert listed(supporter, q=f" {found.object_id} ") == [found.object_id]
    assert listed(supporter, q=client_ids[0]) == [left.object_id, found.object_id]
    assert listed(supporter, q=client_ids[1]) == [left.object_id, found.object_id]
    assert listed(supporter, q=client_ids[0][:-1] + "x") == []


def test_one_conversation_is_shown_with_its_members_and_cannot_be_changed(
    supporter: Client, application: Application
) -> None:
    """Servers remember conversations, and clients were told of them."""
    shown = conversation(application, "shown", "tom", "jerry <&>")
    url = reverse("admin:conversations_conversation_change", args=[shown.pk])

    page = supporter.get(url).content.decode()

    assert "和老鼠" in page
    assert "jerry &lt;&amp;&gt;" in page
    assert 'name="_save"' not in page
    assert supporter.post(url, {"creator": "spike"}).status_code == 403
    assert supporter.get(reverse("admin:conversations_conversation_add")).status_code == 403
    assert supporter.post(reverse("admin:conversations_conversation_delete", args=[shown.pk])).status_code == 403


def test_pages_take_as_many_queries_however_much_they_show(
    supporter: Client, application: Application, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    """No query per row."""
    everybody = [f"member {number}" for number in range(40)]
    for number in range(30):
        large = conversation(application, f"number {number}", *everybody)

    with django_assert_max_num_queries(8):
        assert len(listed(supporter, application__id__exact=application.pk)) == 30
    with django_assert_max_num_queries(8):
        supporter.get(reverse("admin:conversations_conversation_change", args=[large.pk]))


def test_a_list_counts_no_further_than_it_pages(
    supporter: Client, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counting a large table takes minutes; what lies further back is found by searching."""
    assert COUNTED_MAX >= 1000
    monkeypatch.setattr("imcore.dashboard.COUNTED_MAX", 3)
    for number in range(5):
        conversation(application, f"number {number}", "tom")

    changes = supporter.get(LIST, {"application__id__exact": application.pk}).context["cl"]

    assert changes.result_count == 3


LISTS = ["silence", "block", "memberinfo", "subscription"]


def put_on_lists(shown: Conversation, client_id: str) -> None:
    """Put a client on every list beside the members."""
    where = {"conversation": shown, "application": shown.application, "client_id": client_id}
    Silence.objects.create(**where, until_ms=AT_MS + 3_600_000, created_ms=AT_MS)
    Block.objects.create(**where, created_ms=AT_MS)
    Block.objects.create(**where, is_by_client=True, created_ms=AT_MS)
    MemberInfo.objects.create(
        **where, info_id=f"{shown.pk}-{client_id}"[:24], role="Manager", created_ms=AT_MS, updated_ms=AT_MS
    )
    Subscription.objects.create(**where, subscribed_ms=AT_MS)


@pytest.mark.parametrize("name", LISTS)
def test_lists_beside_the_members_are_found_by_conversation_and_client(
    supporter: Client, application: Application, name: str
) -> None:
    """By whole ids, all of them together; newest first, with dates."""
    first, second = conversation(application, "first", "tom"), conversation(application, "second", "tom")
    client_id = f"tom-{application.pk}"
    for shown in (first, second):
        put_on_lists(shown, client_id)
        put_on_lists(shown, "jerry")
    url = reverse(f"admin:conversations_{name}_changelist")

    def found(text: str) -> list[tuple[str, str]]:
        rows = supporter.get(url, {"q": text}).context["cl"].result_list
        return list(dict.fromkeys((row.client_id, row.conversation.object_id) for row in rows))

    assert found(client_id) == [(client_id, second.object_id), (client_id, first.object_id)]
    assert found(first.object_id) == [("jerry", first.object_id), (client_id, first.object_id)]
    assert found(f"{first.object_id} {client_id}") == [(client_id, first.object_id)]
    assert found(f"{client_id}x") == []
    page = supporter.get(url, {"application__id__exact": application.pk}).content.decode()
    assert "2020-01-21 14:22:40 UTC" in page


@pytest.mark.parametrize("name", LISTS)
def test_lists_beside_the_members_are_for_reading(supporter: Client, application: Application, name: str) -> None:
    """Only for those who logged in, and none of them can change anything."""
    put_on_lists(conversation(application, "shown", "tom"), "jerry <&>")
    url = reverse(f"admin:conversations_{name}_changelist")
    row = supporter.get(url, {"application__id__exact": application.pk}).context["cl"].result_list[0]
    one = reverse(f"admin:conversations_{name}_change", args=[row.pk])

    page = supporter.get(one).content.decode()

    assert Client().get(url).status_code == 302
    assert "jerry &lt;&amp;&gt;" in page
    assert 'name="_save"' not in page
    assert supporter.post(one, {"client_id": "spike"}).status_code == 403
    assert supporter.post(reverse(f"admin:conversations_{name}_delete", args=[row.pk])).status_code == 403
    assert supporter.get(reverse(f"admin:conversations_{name}_add")).status_code == 403


@pytest.mark.parametrize("name", LISTS)
def test_lists_beside_the_members_take_as_many_queries_however_long_they_are(
    supporter: Client, application: Application, django_assert_max_num_queries: DjangoAssertNumQueries, name: str
) -> None:
    """No query per row."""
    for number in range(30):
        put_on_lists(conversation(application, f"number {number}", "tom"), f"client {number}")
    url = reverse(f"admin:conversations_{name}_changelist")

    with django_assert_max_num_queries(8):
        supporter.get(url, {"application__id__exact": application.pk})
