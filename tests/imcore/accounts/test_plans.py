"""Users are found through indexes, on either engine."""

import re
from collections.abc import Iterator

import pytest
from django.db import connection

from imcore.accounts import storage
from imcore.accounts.models import LinkedAccount, User
from imcore.accounts.records import Field
from imcore.models import Application
from tests.plans import by_index, plans_of

USERS = 5000


@pytest.fixture(scope="module")
def crowded(database: None) -> Iterator[Application]:
    """An application with many users."""
    application = Application.objects.create(name="crowded")
    users = User.objects.bulk_create(
        User(
            application=application,
            object_id=f"id-{number}",
            username=f"name-{number}",
            email=f"{number}@example.com",
            phone=f"1820000{number:04}",
            password="!",
            session_seed=f"seed-{number}",
            session_digest=f"digest-{number}",
            created_ms=0,
            updated_ms=0,
        )
        for number in range(USERS)
    )
    LinkedAccount.objects.bulk_create(
        LinkedAccount(application=application, user=user, platform="anonymous", uid=user.object_id) for user in users
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE accounts_user")
        cursor.execute("ANALYZE accounts_linkedaccount")
    yield application
    application.delete()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("object_id", "id-7"),
        ("username", "name-7"),
        ("email", "7@example.com"),
        ("phone", "18200000007"),
        ("session_digest", "digest-7"),
    ],
)
def test_a_user_is_found_by_one_statement_and_an_index(crowded: Application, field: Field, value: str) -> None:
    """The session token is looked at with every request."""

    def find() -> None:
        account = storage.find(application=crowded.pk, field=field, value=value)
        assert account is not None
        assert account.object_id == "id-7"

    [plan] = plans_of(find)
    assert by_index(plan)


def test_an_account_elsewhere_is_found_by_indexes(crowded: Application) -> None:
    [plan] = plans_of(lambda: storage.find_linked(application=crowded.pk, links=[("anonymous", "id-7")]))

    assert by_index(plan)


def test_a_page_of_users_is_read_in_the_order_of_an_index(crowded: Application) -> None:
    [plan] = plans_of(
        lambda: storage.page(application=crowded.pk, where_text="", order_text="", limit=100, skip=0, counts=False)
    )

    assert by_index(plan)
    assert not re.search(r"Sort|TEMP B-TREE", plan)
