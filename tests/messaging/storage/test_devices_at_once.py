"""Devices with one tag at the same moment, from several threads as from several servers."""

from collections import Counter
from datetime import UTC, datetime

from imcore.models import Application
from messaging.models import Device, DeviceState
from messaging.storage import devices
from messaging.storage.devices import SignedInDevice, TagHolders
from tests.together import at_once

ROUNDS = 25
NAMES = ("phone", "pad", "watch")


def sign_in(application: Application, name: str, client_id: str = "tom") -> SignedInDevice:
    """Sign a device in, whatever it was."""
    found = devices.sign_in(
        application=application.pk,
        client_id=client_id,
        identity=name,
        tag="mobile",
        config_bitmap=None,
        assumed_bitmap=0,
        user_agent="",
        session_key=f"key of {name}",
        even_if_kicked=True,
        at=datetime.now(UTC),
    )
    assert found is not None
    return found


def evict_others(application: Application, device: SignedInDevice, client_id: str = "tom") -> TagHolders:
    """Make a device the only one that is signed in."""
    return devices.evict_others(
        application=application.pk,
        client_id=client_id,
        tag="mobile",
        device=device.pk,
        generation=device.generation,
    )


def states(application: Application, client_id: str) -> Counter[str]:
    """Return how many devices of a client are in which state."""
    return Counter(Device.objects.filter(application=application, client_id=client_id).values_list("state", flat=True))


def test_of_devices_that_evict_each_other_at_once_one_is_left(application: Application) -> None:
    """Checklist 16. Whoever is left knows it, and evicted those who do."""
    outcomes: dict[str, dict[int, TagHolders]] = {name: {} for name in NAMES}

    def log_in(name: str, number: int) -> None:
        client_id = f"tom {number}"
        outcomes[name][number] = evict_others(application, sign_in(application, name, client_id), client_id)

    at_once(*(lambda number, name=name: log_in(name, number) for name in NAMES), rounds=ROUNDS)

    for number in range(ROUNDS):
        assert states(application, f"tom {number}") == {DeviceState.SIGNED_IN: 1, DeviceState.KICKED: 2}
        of_round = [outcome[number] for outcome in outcomes.values()]
        evicted = [pk for found in of_round for pk in found.others]
        assert len(evicted) == len(set(evicted)) == 2, "each of the two by one"


def test_of_devices_that_give_way_to_each_other_at_once_one_stays(application: Application) -> None:
    """Checklist 17: both have seen the other on line. Whoever gave way is not signed in."""
    pks = [[sign_in(application, name, f"tom {number}").pk for name in NAMES[:2]] for number in range(ROUNDS)]
    gave_way: list[list[bool]] = [[], []]

    def give_way(number: int, one: int) -> None:
        gave_way[one].append(
            devices.give_way(
                device=pks[number][one],
                session_key=f"key of {NAMES[one]}",
                rivals=[pks[number][1 - one]],
                by_token=False,
            )
        )

    at_once(lambda number: give_way(number, 0), lambda number: give_way(number, 1), rounds=ROUNDS)

    assert all(phone is not pad for phone, pad in zip(*gave_way, strict=True))
    for number in range(ROUNDS):
        assert states(application, f"tom {number}") == {DeviceState.SIGNED_IN: 1, DeviceState.CLOSED: 1}
