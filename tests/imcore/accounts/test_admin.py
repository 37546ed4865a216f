"""The dashboard's page of users."""

import pytest
from asgiref.sync import async_to_sync
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from imcore.accounts.models import User
from imcore.models import Application
from tests.dashboard import logged_in
from tests.imcore.accounts.asking import Api, Json

LIST = reverse("admin:accounts_user_changelist")


@pytest.fixture
def tom(api: Api) -> Json:
    """A user."""
    return async_to_sync(api.sign_up)(
        "tom", "cheese!", email="tom@example.com", nick="<b>T</b>", authData={"anonymous": {"id": "a-secret"}}
    )


def row(made: Json) -> User:
    """Return a user's row."""
    return User.objects.get(object_id=made["objectId"])


def log_in(api: Api, password: str) -> int:
    """Log Tom in and return the status, or the code of the refusal."""
    answer = async_to_sync(api.ask)("POST", "login", {"username": "tom", "password": password})
    code: int = answer.body.get("code", answer.status)
    return code


def is_signed_in(api: Api, made: Json) -> bool:
    """Say whether a user's session token is good."""
    return async_to_sync(api.ask)("GET", "users/me", token=made["sessionToken"]).status == 200


def act(browser: Client, made: Json, action: str, **fields: str) -> str:
    """Do something to a user, and return the page that comes then."""
    data = {"action": action, ACTION_CHECKBOX_NAME: row(made).pk, **fields}
    response = browser.post(LIST, data, follow=True)
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.parametrize("term", ["tom", "tom@example.com"])
def test_a_user_is_found_by_what_is_his_alone(tom: Json, term: str, application: Application) -> None:
    page = logged_in().get(LIST, {"q": term, "application__id__exact": str(application.pk)}).content.decode()

    assert tom["objectId"] in page


def test_a_user_is_found_by_id_and_not_by_a_part_of_his_name(tom: Json) -> None:
    assert tom["objectId"] in logged_in().get(LIST, {"q": tom["objectId"]}).content.decode()
    assert tom["objectId"] not in logged_in().get(LIST, {"q": "to"}).content.decode()


def test_no_secret_is_shown(tom: Json) -> None:
    user = row(tom)

    page = logged_in().get(reverse("admin:accounts_user_change", args=[user.pk])).content.decode()

    assert "&lt;b&gt;T&lt;/b&gt;" in page
    secrets = (user.password, user.session_seed, user.session_digest, tom["sessionToken"], "a-secret", "cheese!")
    assert not [secret for secret in secrets if secret in page]
    assert "anonymous" in page


def test_a_password_is_reset_once_it_has_been_typed_twice(api: Api, tom: Json) -> None:
    """The user is signed out and, if wrong passwords had locked him, let in again."""
    browser = logged_in()
    assert [log_in(api, "mouse") for _ in range(7)][-1] == 219

    assert "Once more" in act(browser, tom, "reset_password")
    assert "differ" in act(browser, tom, "reset_password", confirmed="1", new_password="new", again="old")
    assert "missing" in act(browser, tom, "reset_password", confirmed="1", new_password="", again="")
    assert is_signed_in(api, tom)
    assert "has a new password" in act(browser, tom, "reset_password", confirmed="1", new_password="new", again="new")

    assert not is_signed_in(api, tom)
    assert log_in(api, "new") == 200
    assert log_in(api, "cheese!") == 210
    assert LogEntry.objects.filter(object_id=str(row(tom).pk), change_message="Reset the password.").count() == 1


def test_one_password_is_reset_at_a_time(api: Api, tom: Json) -> None:
    jerry = async_to_sync(api.sign_up)("jerry")
    data = {"action": "reset_password", ACTION_CHECKBOX_NAME: [row(tom).pk, row(jerry).pk], "confirmed": "1"}

    page = logged_in().post(LIST, {**data, "new_password": "new", "again": "new"}, follow=True).content.decode()

    assert "Select one user." in page
    assert log_in(api, "cheese!") == 200


def test_a_user_is_signed_out(api: Api, tom: Json) -> None:
    assert "1 signed out" in act(logged_in(), tom, "sign_out")

    assert not is_signed_in(api, tom)
    assert log_in(api, "cheese!") == 200


def test_who_may_only_look_resets_nothing(api: Api, tom: Json) -> None:
    staff = get_user_model().objects.create_user(f"visitor-{tom['objectId']}", is_staff=True)
    staff.user_permissions.add(Permission.objects.get(codename="view_user", content_type__app_label="accounts"))
    browser = Client()
    browser.force_login(staff)

    page = act(browser, tom, "reset_password", confirmed="1", new_password="new", again="new")

    assert "reset_password" not in page
    assert log_in(api, "cheese!") == 200
    assert is_signed_in(api, tom)


def test_nobody_edits_a_user_here(tom: Json) -> None:
    browser = logged_in()

    assert browser.get(reverse("admin:accounts_user_add")).status_code == 403
    assert browser.post(reverse("admin:accounts_user_delete", args=[row(tom).pk]), {"post": "yes"}).status_code == 403
