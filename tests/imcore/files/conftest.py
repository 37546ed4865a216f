"""What tests of files share."""

import itertools

import pytest

from imcore.models import Application

_numbers = itertools.count(1)


@pytest.fixture
def other() -> Application:
    """Another application on the same server."""
    return Application.objects.create(name=f"neighbour {next(_numbers)}")
