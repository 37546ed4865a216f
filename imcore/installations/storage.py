"""Every query on installations and every write, as units of work."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from imcore.installations.errors import TakenInstallationId
from imcore.installations.models import Channel, Installation
from imcore.objects import ClassUnknown, UnfitQuery
from imcore.where import Column, InstantColumn, NumberColumn, SwitchColumn, TextColumn, condition, order, part

TRIES = 10


@dataclass(frozen=True, slots=True)
class Device:
    """What an installation says of itself."""

    installation_id: str | None = None
    device_token: str | None = None
    device_type: str | None = None
    device_profile: str | None = None
    apns_topic: str | None = None
    apns_team_id: str | None = None
    time_zone: str | None = None
    vendor: str | None = None
    registration_id: str | None = None
    badge: int | None = None
    is_valid: bool = True
    channels: tuple[str, ...] = ()
    attributes: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class InstallationInfo:
    """One installation, as stored; `is_new`: by the write that returned it."""

    object_id: str
    device: Device
    created_ms: int
    updated_ms: int
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """What an installation is known by; the first that somebody has counts."""

    object_id: str | None
    installation_id: str | None
    device_token: str | None


@dataclass(frozen=True, slots=True)
class ChannelsColumn:
    """The channels, which are rows of their own: the index of an application's finds who listens."""

    application: int
    name: str = "channels"

    def among(self, values: Sequence[Any]) -> Q:
        """Return the condition that an installation listens to one of these."""
        if not all(isinstance(one, str) and "\0" not in one for one in values):
            raise UnfitQuery("channels are texts.")
        return Q(pk__in=self._rows().filter(name__in=values).values("installation"))

    def exists(self) -> Q:
        """Return the condition that an installation listens to any."""
        return Q(pk__in=self._rows().values("installation"))

    def asked(self, operator: str, operand: Any) -> Q | None:
        """Ask for those that listen to all of several."""
        if operator != "$all":
            return None
        if not isinstance(operand, list) or not 0 < len(operand) <= CHANNELS_ASKED_MAX:
            raise UnfitQuery(f"$all takes a list of 1 to {CHANNELS_ASKED_MAX} channels.")
        return Q(*(self.among([one]) for one in operand))

    def _rows(self) -> QuerySet[Channel]:
        return Channel.objects.filter(application=self.application)


CHANNELS_ASKED_MAX: Final = 20
_PLAIN_COLUMNS: Final[Mapping[str, Column]] = {
    "objectId": TextColumn("object_id"),
    "installationId": TextColumn("installation_id"),
    "deviceToken": TextColumn("device_token"),
    "deviceType": TextColumn("device_type"),
    "deviceProfile": TextColumn("device_profile"),
    "apnsTopic": TextColumn("apns_topic"),
    "apnsTeamId": TextColumn("apns_team_id"),
    "timeZone": TextColumn("time_zone"),
    "vendor": TextColumn("vendor"),
    "registrationId": TextColumn("registration_id"),
    "badge": NumberColumn("badge"),
    "valid": SwitchColumn("is_valid"),
    "createdAt": InstantColumn("created_ms"),
    "updatedAt": InstantColumn("updated_ms"),
}


def columns_of(application: int) -> Mapping[str, Column]:
    """Return what the installations of an application can be selected by: for lists, and for pushes."""
    return {**_PLAIN_COLUMNS, "channels": ChannelsColumn(application)}


def save(
    *,
    application: int,
    known: Known,
    creates_as: str | None,
    change: Callable[[Device], Device],
    now_ms: int,
) -> InstallationInfo:
    """Make of an installation what `change` says, under its lock, or make a new one with the id `creates_as`.

    Two that are saved at once with the same `installationId` become one: the constraint decides, the loser finds the
    winner's. Raises ClassUnknown if there is none and none may be made, and what `change` raises.
    """
    for _ in range(TRIES):
        with transaction.atomic():
            row = _known(application, known)
            if row is None and creates_as is None:
                raise ClassUnknown
            is_new = row is None
            row = row or Installation(application_id=application, object_id=creates_as or "", created_ms=now_ms)
            before = _device(row)
            after = change(before)
            try:
                with transaction.atomic():
                    _write(row, before, after, now_ms)
            except IntegrityError:
                # Somebody was faster, or another installation has the id that this one is to have from now on.
                if not is_new:
                    raise TakenInstallationId from None
                continue
            return InstallationInfo(row.object_id, after, row.created_ms, row.updated_ms, is_new)
    raise RuntimeError("The installation keeps appearing and disappearing.")


def lock(application: int, known: Sequence[Known]) -> None:
    """Lock all installations that are known so until the caller's transaction ends."""
    among = Q()
    for field in fields(Known):
        values = [value for one in known if (value := getattr(one, field.name)) is not None]
        among |= Q(**{f"{field.name}__in": values})
    rows = Installation.objects.select_for_update().filter(among, application=application)
    list(rows.order_by("pk").values_list("pk"))


def page(
    *, application: int, where_text: str, order_text: str, limit: int, skip: int, counts: bool
) -> tuple[list[InstallationInfo], int]:
    """Return installations by condition, and how many match. Raises UnfitQuery."""
    rows = _rows(application, where_text)
    ordered = rows.order_by(*order(order_text, _PLAIN_COLUMNS, "object_id"))
    found = _infos(ordered[skip : skip + limit]) if limit else []
    return found, rows.count() if counts else 0


def scan(
    *, application: int, where_text: str, after: str | None, is_descending: bool, limit: int
) -> list[InstallationInfo]:
    """Return the next installations in the order of their ids, those behind `after`. Raises UnfitQuery."""
    return _infos(part(_rows(application, where_text), after=after, is_descending=is_descending, limit=limit))


def with_ids(*, application: int, object_ids: Sequence[str]) -> list[InstallationInfo]:
    """Return those of the installations that there are."""
    return _infos(Installation.objects.filter(application=application, object_id__in=object_ids))


@transaction.atomic
def delete(*, application: int, object_ids: Sequence[str]) -> None:
    """Delete installations; those that are not there do no harm."""
    Installation.objects.filter(application=application, object_id__in=object_ids).delete()


@transaction.atomic
def forget(*, application: int, before_ms: int, limit: int) -> int:
    """Delete up to `limit` installations of an application that were written before; return how many there were."""
    old = Installation.objects.filter(application=application, updated_ms__lt=before_ms).order_by("updated_ms")
    numbers = list(old.values_list("pk", flat=True)[:limit])
    # One that is written meanwhile stays.
    Installation.objects.filter(pk__in=numbers, updated_ms__lt=before_ms).delete()
    return len(numbers)


def _rows(application: int, where_text: str) -> QuerySet[Installation]:
    return Installation.objects.filter(condition(where_text, columns_of(application)), application=application)


def _known(application: int, known: Known) -> Installation | None:
    of_application = Installation.objects.select_for_update().filter(application=application)
    for field in fields(known):
        value = getattr(known, field.name)
        if value is not None:
            # Of several that were given the same token, the one that spoke last.
            row = of_application.filter(**{field.name: value}).order_by("-updated_ms", "-pk").first()
            if row is not None:
                return row
    return None


_PLAIN: Final = tuple(field.name for field in fields(Device) if field.name not in ("channels", "attributes"))


def _device(row: Installation, channels: Sequence[str] | None = None) -> Device:
    if channels is None:
        rows = Channel.objects.filter(installation=row).order_by("id") if row.pk else Channel.objects.none()
        channels = list(rows.values_list("name", flat=True))
    plain = {name: getattr(row, name) for name in _PLAIN}
    return Device(**plain, channels=tuple(channels), attributes=row.attributes)


def _write(row: Installation, before: Device, after: Device, now_ms: int) -> None:
    for name in _PLAIN:
        setattr(row, name, getattr(after, name))
    row.attributes = dict(after.attributes or {})
    row.updated_ms = max(now_ms, row.updated_ms or 0)
    row.save()
    Channel.objects.filter(installation=row, name__in=set(before.channels) - set(after.channels)).delete()
    Channel.objects.bulk_create(
        Channel(application_id=row.application_id, installation=row, name=name)
        for name in after.channels
        if name not in set(before.channels)
    )


def _infos(rows: QuerySet[Installation]) -> list[InstallationInfo]:
    found = list(rows)
    channels: dict[int, list[str]] = {row.pk: [] for row in found}
    names = Channel.objects.filter(installation__in=list(channels)).order_by("id")
    for installation, name in names.values_list("installation_id", "name"):
        channels[installation].append(name)
    return [
        InstallationInfo(row.object_id, _device(row, channels[row.pk]), row.created_ms, row.updated_ms) for row in found
    ]
