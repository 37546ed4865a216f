"""Passwords at rest, and the hashes of imported users (migration 3.1)."""

import asyncio
from typing import Any

import bcrypt
import pytest
from django.contrib.auth.hashers import check_password, get_hashers_by_algorithm, identify_hasher
from hypothesis import given
from hypothesis import strategies as st

from imcore.accounts.hashers import LeanCloudHasher, imported_password
from imcore.accounts.models import User
from imcore.bridge import in_database
from imcore.models import Application
from tests.imcore.accounts.asking import Api

# The published vector.
SALT = "h60d8x797d3oa0naxybxxv9bn7xpt2yiowz68mpiwou7gwr2"
HASH = "tA7BLW+NK0UeARng0693gCaVnljkglCB9snqlpCSUKjx2RgYp8VZZOQt0S5iUtlDrkJXfT3gknS4rRqjYsd/Ug=="


@pytest.fixture
def hashes_as_served(settings: Any) -> None:
    """Hash as the server does."""
    settings.PASSWORD_HASHERS = settings.PASSWORD_HASHERS[1:]


async def stored(application: Application, **values: Any) -> User:
    """Return Tom's row, changed if need be."""
    user = await in_database(User.objects.get, application=application, username="tom")
    for name, value in values.items():
        setattr(user, name, value)
    await in_database(user.save)
    return user


async def log_in(api: Api, password: str) -> int:
    """Log Tom in and return the status, or the code of the refusal."""
    answer = await api.ask("POST", "login", {"username": "tom", "password": password})
    code: int = answer.body.get("code", answer.status)
    return code


@pytest.mark.usefixtures("hashes_as_served")
async def test_a_password_is_kept_as_scrypt(api: Api, application: Application) -> None:
    await api.sign_up("tom", "cheese!")

    assert (await stored(application)).password.startswith("scrypt$16384$")
    assert await log_in(api, "cheese!") == 200


@pytest.mark.usefixtures("hashes_as_served")
async def test_an_imported_hash_logs_in_and_is_replaced(api: Api, application: Application) -> None:
    """Migration checklist 1."""
    await api.sign_up("tom", "another")
    await stored(application, password=imported_password(HASH, SALT))

    assert await log_in(api, "Password") == 210
    assert identify_hasher((await stored(application)).password).algorithm == "leancloud_sha512"
    assert await log_in(api, "password") == 200
    assert identify_hasher((await stored(application)).password).algorithm == "scrypt"
    assert await log_in(api, "password") == 200
    assert await log_in(api, "Password") == 210


async def test_devices_that_come_at_a_time_all_log_in_while_the_hash_is_replaced(
    api: Api, application: Application
) -> None:
    """Migration checklist 1: the hash that one of them has checked is another's by the time it counts."""
    await api.sign_up("tom", "another")
    await stored(application, password=imported_password(HASH, SALT))

    assert await asyncio.gather(*(log_in(api, "password") for _ in range(5))) == [200] * 5


@pytest.mark.parametrize("prefix", ["$2a$", "$2b$", "$2y$"])
async def test_bcrypt_logs_in_and_is_replaced(api: Api, application: Application, prefix: str) -> None:
    """Migration checklist 2."""
    made = bcrypt.hashpw("käse".encode(), bcrypt.gensalt(4)).decode()
    await api.sign_up("tom", "another")
    await stored(application, password=imported_password(prefix + made[4:], None))

    assert await log_in(api, "kase") == 210
    assert await log_in(api, "käse" + "e" * 100) == 210
    assert await log_in(api, "käse") == 200
    assert not (await stored(application)).password.startswith("bcrypt")
    assert await log_in(api, "käse") == 200


@pytest.mark.parametrize(
    ("password", "salt"),
    [
        (None, None),
        (None, SALT),
        ("", ""),
        (HASH, None),
        (HASH[:-4], SALT),
        ("$2x$10$", None),
        ("nonsense$", "x"),
        (7, 7),
    ],
)
async def test_a_row_without_a_usable_hash_logs_nobody_in(
    api: Api, application: Application, password: object, salt: object
) -> None:
    """Migration checklist 2: and does not crash the log-in."""
    await api.sign_up("tom", "another")
    await stored(application, password=imported_password(password, salt))

    assert await log_in(api, "password") == 210


def test_the_published_vector_verifies() -> None:
    """Migration checklist 1."""
    encoded = imported_password(HASH, SALT)

    assert encoded == f"leancloud_sha512$512${SALT}${HASH}"
    assert check_password("password", encoded)
    assert not check_password("Password", encoded)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"])))
def test_any_salt_is_kept(password: str, salt: str) -> None:
    hasher = LeanCloudHasher()

    encoded = hasher.encode(password, salt)

    assert hasher.decode(encoded)["salt"] == salt
    assert hasher.verify(password, encoded)
    assert not hasher.verify(password + "x", encoded)
    assert len(encoded) < 256 or len(salt.encode()) > 108
    assert get_hashers_by_algorithm()["leancloud_sha512"].safe_summary(encoded)["algorithm"] == "leancloud_sha512"
