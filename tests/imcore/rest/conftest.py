"""A server with endpoints that tell what reached them."""

import pytest
from pytest_django.fixtures import Settings as DjangoSettings


@pytest.fixture
def served(settings: DjangoSettings) -> None:
    """Serve the endpoints of `served.py` beside those of the server."""
    settings.ROOT_URLCONF = "tests.imcore.rest.served"
