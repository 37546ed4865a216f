"""What a server needs before it can serve: tables, a first application, an administrator."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from django.contrib.auth import get_user_model
from django.core.management import call_command

from imcore import identifiers
from imcore.migrating import alone
from imcore.models import Application

ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was found or made. `admin_password` is None when the administrator has one that only he knows."""

    application: Application
    admin_password: str | None


def prepare(*, waiting: Callable[[], None]) -> Prepared:
    """Migrate the database and make the first application and the administrator where there is none.

    `waiting` is called if another process does so now, which is waited for. The environment fixes
    their credentials: IMCORE_APP_ID, IMCORE_APP_KEY, IMCORE_MASTER_KEY, IMCORE_ADMIN_PASSWORD.
    """
    with alone(waiting):
        call_command("migrate", interactive=False, verbosity=0)
        return Prepared(_first_application(), _administrator())


def _first_application() -> Application:
    fixed = {
        field: value
        for field, name in (("app_key", "IMCORE_APP_KEY"), ("master_key", "IMCORE_MASTER_KEY"))
        if (value := os.environ.get(name))
    }
    app_id = os.environ.get("IMCORE_APP_ID")
    applications = Application.objects.filter(app_id=app_id) if app_id else Application.objects.order_by("id")
    application = applications.first()
    if application is None:
        application = Application(name="First application", app_id=app_id or identifiers.application_id(), **fixed)
        application.full_clean()
        application.save()
    elif any(getattr(application, field) != value for field, value in fixed.items()):
        for field, value in fixed.items():
            setattr(application, field, value)
        application.full_clean()
        application.save()
    return application


def _administrator() -> str | None:
    users = get_user_model()
    fixed = os.environ.get("IMCORE_ADMIN_PASSWORD")
    user = users.objects.filter(username=ADMIN).first()
    if user is None:
        password = fixed or identifiers.secret_key()[:16]
        users.objects.create_superuser(ADMIN, password=password)
        return password
    if fixed and not user.check_password(fixed):
        user.set_password(fixed)
        user.save()
    return fixed
