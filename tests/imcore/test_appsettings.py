"""The snapshot of an application that a running server obeys."""

import logging
from dataclasses import FrozenInstanceError

import pytest

from imcore import appsettings
from imcore.appsettings import Applications, named_fields, settings_of
from imcore.bridge import in_database
from imcore.models import Application, ApplicationSettings, GatewaySettings
from messaging.models import MessagingSettings
from tests.waiting import until


async def test_an_application_is_loaded_once_with_defaults(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the way of a message nothing is read from the database."""
    applications = Applications()
    first = await applications.get(application.app_id)
    monkeypatch.setattr(appsettings, "_load", lambda app_id: pytest.fail("read again"))

    second = await applications.get(application.app_id)

    assert first is not None
    assert first is second is applications.current(first)
    assert (first.pk, first.app_key, first.master_key) == (application.pk, application.app_key, application.master_key)
    assert first.is_active
    assert first.of(MessagingSettings).message_max_bytes == 5120
    assert first.of(GatewaySettings).origins() == []
    assert set(first.settings) == set(ApplicationSettings.registry)


async def test_a_snapshot_is_not_written_to(application: Application) -> None:
    """Readers share it."""
    snapshot = await Applications().get(application.app_id)

    with pytest.raises(FrozenInstanceError):
        snapshot.is_active = False  # type: ignore[misc, union-attr]


async def test_a_change_is_seen_after_a_refresh_and_the_old_snapshot_stays_as_it_was(
    application: Application,
) -> None:
    """Whoever holds one finishes its work with it."""
    applications = Applications()
    before = await applications.get(application.app_id)
    assert before is not None

    await in_database(lambda: MessagingSettings.objects.create(application=application, message_max_bytes=1000))
    unaware = applications.current(before)
    await applications.refresh()
    after = applications.current(before)

    assert unaware is before
    assert before.of(MessagingSettings).message_max_bytes == 5120
    assert after is not None
    assert after.of(MessagingSettings).message_max_bytes == 1000
    assert after.version > before.version


async def test_what_did_not_change_is_not_loaded_again(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refresh asks for versions, one query for all."""
    applications = Applications()
    before = await applications.get(application.app_id)
    assert before is not None
    monkeypatch.setattr(appsettings, "_load", lambda app_id: pytest.fail("read again"))

    await applications.refresh()

    assert applications.current(before) is before


async def test_a_deleted_application_is_gone_after_a_refresh(application: Application) -> None:
    """Its connections are refused from then on."""
    applications = Applications()
    before = await applications.get(application.app_id)
    assert before is not None

    await in_database(application.delete)
    await applications.refresh()

    assert applications.current(before) is None
    assert await applications.get(application.app_id) is None


async def test_made_up_ids_cost_one_query_and_impossible_ones_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of them must not reach the database."""
    asked: list[str] = []
    monkeypatch.setattr(appsettings, "_load", asked.append)
    applications = Applications()

    for app_id in ["unknown", "unknown", "", "a\0b", "x" * 65, "unknown"]:
        assert await applications.get(app_id) is None

    assert asked == ["unknown"]


async def test_a_new_application_is_found_although_it_was_asked_for_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`create_application` prints an id that somebody may have tried already."""
    now = 0.0
    applications = Applications()
    # The cache takes its time from its timer; this one stands still.
    monkeypatch.setattr(applications, "_unknown", type(applications._unknown)(maxsize=10, ttl=1.0, timer=lambda: now))
    assert await applications.get("a-new-application") is None
    await in_database(lambda: Application.objects.create(name="new", app_id="a-new-application"))

    assert await applications.get("a-new-application") is None
    now = 1.1
    assert await applications.get("a-new-application") is not None


async def test_while_the_database_is_away_the_last_settings_stand(
    application: Application, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is warned of, and tried again."""
    monkeypatch.setattr(appsettings, "REFRESH_SECONDS", 0.01)
    applications = Applications()
    before = await applications.get(application.app_id)
    assert before is not None

    def away(app_ids: list[str]) -> dict[str, int]:
        raise OSError("away")

    with monkeypatch.context() as broken:
        broken.setattr(appsettings, "_versions", away)
        applications.start()
        await until(lambda: len(caplog.records) >= 2)
        kept = applications.current(before)
    await in_database(lambda: MessagingSettings.objects.create(application=application, message_max_bytes=1000))
    await until(lambda: applications.current(before) is not before)
    await applications.stop()

    assert kept is before
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_settings_have_one_name_each_across_all_apps() -> None:
    """`manage.py application_settings` knows them by nothing else."""
    names = [name for name, _ in named_fields()]

    assert len(names) == len(set(names))


def test_the_defaults_are_valid(application: Application) -> None:
    """An invalid set is never stored, so readers need not branch; the defaults count too."""
    for settings in settings_of(application.pk).values():
        settings.full_clean(exclude=["application"], validate_unique=False)


def test_storing_an_application_or_its_settings_raises_its_version(application: Application) -> None:
    """That is what servers look at."""
    versions = [application.version]
    application.name = "renamed"
    application.save()
    versions.append(application.version)
    GatewaySettings.objects.create(application=application)
    application.refresh_from_db()
    versions.append(application.version)

    assert versions == sorted(set(versions))
