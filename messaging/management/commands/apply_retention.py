"""`manage.py apply_retention`: delete now what the daily job would, or tell what that is."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from imcore.appsettings import ApplicationSnapshot
from imcore.bridge import in_async
from imcore.errors import StorageUnavailable
from imcore.identifiers import now_ms
from messaging.services import retention
from messaging.services.retention import Outcome

LINE_EVERY = 10_000  # conversations


class Command(BaseCommand):
    """Applies the retention settings of the applications; a dry run counts what that deletes and changes nothing."""

    help = "Delete old messages and inactive or expired conversations, as each application's settings say."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("app_id", nargs="?", metavar="APP_ID", help="One application; otherwise all of them.")
        parser.add_argument("--dry-run", action="store_true", help="Count, and delete nothing.")

    def handle(self, *args: Any, app_id: str | None, dry_run: bool, **options: Any) -> None:
        """Go through the applications, with a line for each when it is done."""
        applications = in_async(retention.applications, app_id)
        if app_id is not None and not applications:
            raise CommandError(f"No application has the App ID {app_id}.")
        for application in applications:
            try:
                self._apply(application, dry_run)
            except StorageUnavailable as error:
                raise CommandError("The database cannot be used now; run it again to go on.") from error

    def _apply(self, application: ApplicationSnapshot, dry_run: bool) -> None:
        deleted = "to delete" if dry_run else "deleted"
        next_line = LINE_EVERY

        def tell(outcome: Outcome) -> None:
            nonlocal next_line
            if outcome.looked_at >= next_line:
                next_line = outcome.looked_at + LINE_EVERY
                self.stdout.write(
                    f"{application.app_id}: looked at {outcome.looked_at:,} conversations, "
                    f"{deleted} so far: {_counts(outcome)}"
                )
                self.stdout.flush()

        outcome = in_async(retention.apply, application=application, now_ms=now_ms(), is_dry_run=dry_run, progress=tell)
        self.stdout.write(f"{application.app_id}: {deleted}: {_counts(outcome)}")


def _counts(outcome: Outcome) -> str:
    return f"{outcome.messages:,} messages, {outcome.conversations:,} conversations"
