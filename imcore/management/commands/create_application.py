"""`manage.py create_application`: add a tenant."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from imcore.models import Application


class Command(BaseCommand):
    """Creates an application and prints its credentials; running servers serve it at once."""

    help = "Create an application. Without --app-id, --app-key or --master-key they are generated."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("name")
        parser.add_argument("--app-id", help="An imported application keeps its id; more than 8 characters.")
        parser.add_argument("--app-key")
        parser.add_argument("--master-key")

    def handle(self, *args: Any, name: str, **options: Any) -> None:
        """Create it, or say what is wrong with the arguments."""
        given = {field: options[field] for field in ("app_id", "app_key", "master_key") if options[field] is not None}
        application = Application(name=name, **given)
        try:
            application.full_clean()
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from error
        application.save()
        self.stdout.write(f"App ID      {application.app_id}")
        self.stdout.write(f"App Key     {application.app_key}")
        self.stdout.write(f"Master Key  {application.master_key}")
