"""`manage.py application_settings`."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from imcore.appsettings import named_fields, settings_of
from imcore.models import Application, GatewaySettings
from messaging.models import MessagingSettings


def run(application: Application, *assignments: str) -> dict[str, str]:
    """Run the command and return what it printed, by name."""
    output = StringIO()
    call_command("application_settings", application.app_id, *assignments, stdout=output)
    lines = [line.partition(" = ") for line in output.getvalue().splitlines()]
    assert all(separator for _, separator, _ in lines)
    return {name: value for name, _, value in lines}


def test_it_prints_every_setting_of_every_app_by_name(application: Application) -> None:
    """One `name = value` line each, in the order of the apps. Nothing is stored by looking."""
    printed = run(application)

    names = [name for name, _ in named_fields()]
    assert list(printed) == names
    assert len(set(names)) == len(names)
    assert printed["allowed_origins"] == ""
    assert printed["message_max_bytes"] == "5120"
    assert printed["session_token_seconds"] == "604800"
    assert not GatewaySettings.objects.filter(application=application).exists()


def test_it_sets_what_is_assigned_and_prints_what_then_holds(application: Application) -> None:
    """Across apps in one call; the rest stays."""
    printed = run(application, "message_max_bytes=1000", "allowed_origins=https://a.example.com https://b.example.com")

    assert printed == run(application)
    assert printed["message_max_bytes"] == "1000"
    assert printed["session_token_seconds"] == "604800"
    stored = settings_of(application.pk)
    assert stored[MessagingSettings].message_max_bytes == 1000  # type: ignore[attr-defined]
    assert GatewaySettings.objects.get(application=application).origins() == [
        "https://a.example.com",
        "https://b.example.com",
    ]


def test_it_makes_servers_reload_the_application(application: Application) -> None:
    """They ask for the version once a second."""
    run(application, "message_max_bytes=1000")
    application.refresh_from_db()
    once = application.version
    run(application, "message_max_bytes=2000", "allowed_origins=")
    application.refresh_from_db()

    assert 1 < once < application.version


def test_it_leaves_other_applications_alone(application: Application) -> None:
    """A setting is of one tenant."""
    other = Application.objects.create(name="other")

    run(application, "message_max_bytes=1000")

    assert run(other)["message_max_bytes"] == "5120"


@pytest.mark.parametrize(
    "wrong",
    [
        "no_such_setting=1",
        "application=1",
        "message_max_bytes",
        "=1",
        "",
        "message_max_bytes=",
        "message_max_bytes=many",
        "message_max_bytes=0",
        "message_max_bytes=-1",
        "message_max_bytes=1.5",
        "message_max_bytes=131073",
        "message_max_bytes=99999999999999999999999",
        "session_token_seconds=59",
        "allowed_origins=chat.example.com",
        "allowed_origins=https://chat.example.com/path",
        "allowed_origins=ftp://chat.example.com",
        "allowed_origins=*",
        "allowed_origins=http://[",
    ],
)
def test_a_wrong_assignment_changes_nothing(wrong: str, application: Application) -> None:
    """Neither itself nor those beside it; it says what is wrong."""
    run(application, "message_max_bytes=1000")
    before = run(application)

    for assignments in ((wrong,), ("members_max=3", wrong), (wrong, "members_max=3")):
        with pytest.raises(CommandError, match=r"\w"):
            run(application, *assignments)

    assert run(application) == before


def test_an_unknown_name_is_answered_with_the_known_ones(application: Application) -> None:
    """So that nobody has to look them up."""
    with pytest.raises(CommandError) as error:
        run(application, "message_max=1")

    for name, _ in named_fields():
        assert name in str(error.value)


def test_an_unknown_application_is_an_error() -> None:
    """It names the id it was given."""
    with pytest.raises(CommandError, match="no-such-application"):
        call_command("application_settings", "no-such-application")
