"""`manage.py application_settings`: an application's settings by name."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import models, transaction

from imcore.appsettings import named_fields, settings_of
from imcore.models import Application, ApplicationSettings

_TRUE = frozenset({"true", "on", "yes", "1"})
_FALSE = frozenset({"false", "off", "no", "0"})


class Command(BaseCommand):
    """Prints the settings of an application, or sets some of them: the same typed models the admin edits."""

    help = "Print an application's settings, one `name = value` line each, or set them by name."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("app_id")
        parser.add_argument("assignments", nargs="*", metavar="name=value")

    def handle(self, *args: Any, app_id: str, assignments: list[str], **options: Any) -> None:
        """Set what is assigned, all or nothing, and print what then holds."""
        application = Application.objects.filter(app_id=app_id).first()
        if application is None:
            raise CommandError(f"No application has the App ID {app_id}.")
        settings = settings_of(application.pk)
        if assignments:
            _assign(settings, assignments)
        for name, model in named_fields():
            self.stdout.write(f"{name} = {_written(getattr(settings[model], name))}")


def _assign(settings: dict[type[ApplicationSettings], ApplicationSettings], assignments: list[str]) -> None:
    models_by_name = dict(named_fields())
    changed = set()
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        model = models_by_name.get(name.strip())
        if not equals or model is None:
            known = ", ".join(sorted(models_by_name))
            raise CommandError(f"{assignment!r} is not name=value with one of the names: {known}")
        setattr(settings[model], name.strip(), _value(model, name.strip(), text.strip()))
        changed.add(model)
    with transaction.atomic():
        for model in changed:
            try:
                settings[model].full_clean(exclude=["application"], validate_unique=False)
            except ValidationError as error:
                wrong = "; ".join(f"{name}: {' '.join(messages)}" for name, messages in error.message_dict.items())
                raise CommandError(wrong) from error
            settings[model].save()


def _value(model: type[ApplicationSettings], name: str, text: str) -> object:
    field = model._meta.get_field(name)
    assert isinstance(field, models.Field)
    if isinstance(field, models.BooleanField):
        if text.lower() not in _TRUE | _FALSE:
            raise CommandError(f"{name} is on or off.")
        return text.lower() in _TRUE
    if text == "" and field.null:
        return None
    try:
        return field.to_python(text)
    except ValidationError as error:
        raise CommandError(f"{name}: {' '.join(error.messages)}") from error


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value).replace("\n", " ")
