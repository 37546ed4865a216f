"""Settings per application: typed models, and the frozen snapshot that running servers read.

Each Django app with settings has one subclass of `ApplicationSettings`; a row per application exists from the first
time it is changed, defaults serve until then. The admin shows them as sections of the application's page and
`manage.py application_settings` by name, both through the same validation.

Servers never query settings on the way of a message. `Applications` keeps a snapshot per application in memory and
asks once a second which of them have a new version, so a change is obeyed within two seconds, in every process, with
or without Redis. If that question fails, the last good snapshot stands.
"""

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar, cast

from cachetools import TTLCache

from imcore.bridge import in_database
from imcore.models import Application, ApplicationSettings, GatewaySettings

logger = logging.getLogger(__name__)

REFRESH_SECONDS = 1.0


Settings = TypeVar("Settings", bound=ApplicationSettings)


@dataclass(frozen=True, slots=True)
class ApplicationSnapshot:
    """One application and its settings as they were when it was loaded. Never written to."""

    pk: int
    app_id: str
    app_key: str
    master_key: str
    android_secure_key: str
    is_active: bool
    version: int
    settings: dict[type[ApplicationSettings], ApplicationSettings]
    # Known beforehand, because every command asks and few applications do.
    limits_rates: bool

    def of(self, model: type[Settings]) -> Settings:
        """Return this application's settings of one app."""
        return cast(Settings, self.settings[model])


def settings_of(application_pk: int) -> dict[type[ApplicationSettings], ApplicationSettings]:
    """Return every settings row of an application, unsaved defaults where it has none. Reads the database."""
    return {
        model: model._default_manager.filter(pk=application_pk).first() or model(application_id=application_pk)
        for model in ApplicationSettings.registry
    }


def named_fields() -> Iterator[tuple[str, type[ApplicationSettings]]]:
    """Yield every setting's name with the model that has it."""
    for model in ApplicationSettings.registry:
        for name in model.names():
            yield name, model


def stored_applications(app_id: str | None = None) -> list[ApplicationSnapshot]:
    """Return every application, or the one with an id, as the database has it now: for jobs, which follow nothing."""
    rows = Application.objects.order_by("id")
    return [_snapshot(row) for row in (rows if app_id is None else rows.filter(app_id=app_id))]


def _load(app_id: str) -> ApplicationSnapshot | None:
    application = Application.objects.filter(app_id=app_id).first()
    return None if application is None else _snapshot(application)


def _snapshot(application: Application) -> ApplicationSnapshot:
    settings = settings_of(application.pk)
    gateway = settings[GatewaySettings]
    assert isinstance(gateway, GatewaySettings)
    return ApplicationSnapshot(
        pk=application.pk,
        app_id=application.app_id,
        app_key=application.app_key,
        master_key=application.master_key,
        android_secure_key=application.android_secure_key,
        is_active=application.is_active,
        version=application.version,
        settings=settings,
        limits_rates=gateway.limits_rates,
    )


def _versions(app_ids: list[str]) -> dict[str, int]:
    return dict(Application.objects.filter(app_id__in=app_ids).values_list("app_id", "version"))


class Applications:
    """The applications this process serves, loaded at first use and kept fresh until `stop`."""

    def __init__(self) -> None:
        self._loaded: dict[str, ApplicationSnapshot] = {}
        # Bounded and short: a flood of made-up ids costs one query each per second, not memory.
        self._unknown: TTLCache[str, bool] = TTLCache(maxsize=1000, ttl=REFRESH_SECONDS)
        self._refresher: asyncio.Task[None] | None = None

    async def get(self, app_id: str) -> ApplicationSnapshot | None:
        """Return an application by its id, or None if there is none (or none any more)."""
        snapshot = self._loaded.get(app_id)
        if snapshot is not None:
            return snapshot
        if not app_id or app_id in self._unknown or "\0" in app_id or len(app_id) > 64:
            return None
        snapshot = await in_database(_load, app_id)
        if snapshot is None:
            self._unknown[app_id] = True
        else:
            self._loaded[app_id] = snapshot
        return snapshot

    def known(self, app_id: str) -> ApplicationSnapshot | None:
        """Return an application that is loaded, or None. Never waits, and may be called from any thread."""
        return self._loaded.get(app_id)

    def current(self, snapshot: ApplicationSnapshot) -> ApplicationSnapshot | None:
        """Return the newest snapshot of the same application, or None once it is deleted. Never waits."""
        return self._loaded.get(snapshot.app_id)

    def start(self) -> None:
        """Begin to follow changes."""
        self._refresher = asyncio.create_task(self._follow(), name="applications")

    async def stop(self) -> None:
        """Stop following changes."""
        if self._refresher is not None:
            self._refresher.cancel()
            await asyncio.gather(self._refresher, return_exceptions=True)
            self._refresher = None

    async def refresh(self) -> None:
        """Reload the applications whose version has changed and drop those that are gone."""
        versions = await in_database(_versions, list(self._loaded))
        for app_id, snapshot in list(self._loaded.items()):
            if versions.get(app_id) == snapshot.version:
                continue
            fresh = await in_database(_load, app_id)
            if fresh is None:
                self._loaded.pop(app_id, None)
            else:
                self._loaded[app_id] = fresh

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            if not self._loaded:
                continue
            try:
                await self.refresh()
            except Exception:
                logger.warning("Could not refresh application settings; keeping the last ones", exc_info=True)


applications = Applications()
