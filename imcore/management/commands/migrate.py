"""`manage.py migrate`: Django's, beside servers that start."""

from typing import Any

from django.core.management.commands import migrate

from imcore.migrating import WAITING, alone


class Command(migrate.Command):
    """Django's command, one at a time, with statements that take as long as they need."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate when nobody else does."""
        with alone(lambda: self.stderr.write(WAITING)):
            super().handle(*args, **options)
