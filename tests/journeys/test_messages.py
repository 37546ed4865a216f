"""Every kind of message and everything that happens to one, as the unmodified JavaScript SDKs live it.

Like `test_journeys.py`: each journey is a Node script in this folder.
"""

import pytest

from tests.journeys.running import FIVE, FIVE_BASE64, FOUR, Sdk, environment_of, run_journey
from tests.processes import Server

pytestmark = pytest.mark.journey

SDKS = pytest.mark.parametrize("sdk", [FIVE, FIVE_BASE64, FOUR], ids=lambda sdk: sdk.name)


@SDKS
def test_every_kind_of_message(server: Server, sdk: Sdk) -> None:
    """Checklist 51, 52, 56, 61 as the SDK and its plugin for typed messages live them."""
    run_journey("typed.mjs", server, environment_of(server, sdk))


@SDKS
def test_what_is_fleeting_and_who_is_meant(server: Server, sdk: Sdk) -> None:
    """Checklist 55, 57, 69 as the SDK lives them."""
    run_journey("fleeting.mjs", server, environment_of(server, sdk))
