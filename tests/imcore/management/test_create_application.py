"""`manage.py create_application`."""

import re
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from imcore.models import Application


def create(*arguments: str) -> dict[str, str]:
    """Run the command and return what it printed, by name."""
    output = StringIO()
    call_command("create_application", *arguments, stdout=output)
    lines = [re.split(r"  +", line, maxsplit=1) for line in output.getvalue().splitlines()]
    return {line[0]: line[1] for line in lines}


def test_it_makes_an_application_and_prints_its_credentials() -> None:
    """What is not given is generated."""
    printed = create("My app")

    application = Application.objects.get(app_id=printed["App ID"])
    assert application.name == "My app"
    assert application.is_active
    assert printed == {
        "App ID": application.app_id,
        "App Key": application.app_key,
        "Master Key": application.master_key,
    }
    assert len(application.app_id) > 8
    assert len({application.app_key, application.master_key}) == 2


def test_it_takes_over_the_credentials_of_an_application_that_moves_here() -> None:
    """Clients in the field go on with the ids they were built with."""
    printed = create("Moved", "--app-id", "Hdh5zqkqkWJWBvLkYhXPRTjn-gzGzoHsz", "--app-key", "key", "--master-key", "mk")

    assert printed == {"App ID": "Hdh5zqkqkWJWBvLkYhXPRTjn-gzGzoHsz", "App Key": "key", "Master Key": "mk"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("App", "--app-id", "eight888"),
        ("App", "--app-id", "with space in it"),
        ("App", "--app-id", "x" * 65),
        ("App", "--app-id", ""),
        ("App", "--app-id", "taken-application"),
        ("App", "--app-key", ""),
        ("App", "--master-key", "x" * 65),
        ("x" * 101,),
        ("",),
    ],
)
def test_wrong_arguments_create_nothing(arguments: tuple[str, ...]) -> None:
    """It says what is wrong instead. The Java SDK has no endpoint for ids of 8 characters (rest-api 1.3)."""
    Application.objects.get_or_create(app_id="taken-application", defaults={"name": "taken"})
    before = Application.objects.count()

    with pytest.raises(CommandError, match=r"\w"):
        create(*arguments)

    assert Application.objects.count() == before
