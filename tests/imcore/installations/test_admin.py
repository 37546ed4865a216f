"""The dashboard's page of installations."""

import pytest
from django.urls import reverse

from imcore.installations.models import Channel, Installation
from imcore.models import Application
from tests.dashboard import logged_in

LIST = reverse("admin:installations_installation_changelist")


@pytest.fixture
def row(application: Application) -> Installation:
    """An installation that listens to a channel."""
    made = Installation.objects.create(
        application=application,
        object_id=f"id-{application.pk}",
        installation_id=f"i-{application.pk}",
        device_token=f"t-{application.pk}",
        device_type="android",
        attributes={"mood": "<b>good</b>"},
        created_ms=0,
        updated_ms=0,
    )
    Channel.objects.create(application=application, installation=made, name=f"c-{application.pk}")
    return made


def test_an_installation_is_found_by_what_it_is_known_by(row: Installation) -> None:
    """By whole values, and by a channel it listens to."""
    client = logged_in()

    for term in (row.object_id, row.installation_id, row.device_token, f"c-{row.application.pk}"):
        assert row.object_id in client.get(f"{LIST}?q={term}").content.decode()
    assert row.object_id not in client.get(LIST, {"q": row.object_id[:-1] + "x"}).content.decode()
    filtered = f"{LIST}?device_type=android&is_valid__exact=1&application__id__exact={row.application.pk}"
    assert row.object_id in client.get(filtered).content.decode()


def test_the_page_shows_all_and_changes_nothing(row: Installation) -> None:
    page = logged_in().get(reverse("admin:installations_installation_change", args=[row.pk])).content.decode()

    assert f"c-{row.application.pk}" in page
    assert "&lt;b&gt;good&lt;/b&gt;" in page
    assert 'name="_save"' not in page
