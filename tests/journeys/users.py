"""Users as the Python SDK has them. A program of its own: the SDK keeps who is logged in in the process.

LEANCLOUD_API_SERVER, IMCORE_APP_ID, IMCORE_APP_KEY, IMCORE_MASTER_KEY: the server and the application.
"""

import os
import secrets
from collections.abc import Callable
from typing import Any

import leancloud
from leancloud import LeanCloudError, User

run = secrets.token_hex(4)


def code(work: Callable[..., Any], *args: Any, **kwargs: Any) -> int:
    """Return the code of the error that something fails with."""
    try:
        work(*args, **kwargs)
    except LeanCloudError as error:
        number: int = error.code
        return number
    raise AssertionError("this should have been refused")


def sign_up(name: str, **columns: Any) -> User:
    """Sign somebody up."""
    user = User()
    user.set(columns)
    user.sign_up(f"{name}-{run}", "cheese!")
    return user


def logged_in(**named: str) -> User:
    """Log somebody in."""
    user = User()
    user.login(**named)
    return user


leancloud.init(os.environ["IMCORE_APP_ID"], app_key=os.environ["IMCORE_APP_KEY"])
email, phone = f"anna-{run}@example.com", f"182{secrets.randbelow(10**8):08}"

anna = sign_up("anna", email=email, mobilePhoneNumber=phone, nick="A", friends=1)
token = anna.get_session_token()
assert anna.id
assert token
assert User.get_current() is anna
assert anna.is_authenticated()
assert anna.get("password") is None
assert code(sign_up, "anna") == 202
print("  ok  signed up")

for user in (
    logged_in(username=f"anna-{run}", password="cheese!"),
    logged_in(email=email, password="cheese!"),
    User.login_with_mobile_phone(phone, "cheese!"),
    User.become(token),
):
    assert (user.id, user.get_session_token(), user.get("nick")) == (anna.id, token, "A")
assert code(logged_in, username=f"anna-{run}", password="wrong") == 210
assert code(logged_in, username=f"nobody-{run}", password="cheese!") == 211
assert code(User.become, "0" * 25) == 211
print("  ok  logged in by name, address, number and token")

anna = User.become(token)
anna.set("nick", "Änni")
anna.increment("friends", 2)
anna.add_unique("tags", "new")
anna.save()
found = leancloud.Query(User).get(anna.id)
assert (found.get("nick"), found.get("friends"), found.get("tags")) == ("Änni", 3, ["new"])
print("  ok  changed")

anna.refresh_session_token()
assert anna.get_session_token() != token
assert anna.is_authenticated()
stale = User()
stale._session_token = token
assert not stale.is_authenticated()
print("  ok  a new token ends the old one")

assert code(anna.update_password, "wrong", "mouse!") == 210
anna.update_password("cheese!", "mouse!")
assert anna.is_authenticated()
assert code(logged_in, username=f"anna-{run}", password="cheese!") == 210
assert logged_in(username=f"anna-{run}", password="mouse!").id == anna.id
print("  ok  a new password takes the place of the old one")

device = User.login_with("anonymous", {"id": f"device-{run}"})
assert User.login_with("anonymous", {"id": f"device-{run}"}).id == device.id
print("  ok  anonymously")

assert code(User.request_password_reset, f"nobody-{run}@example.com") == 205
assert code(User.request_login_sms_code, phone) == 119
print("  ok  no mail, no text messages")

anna = logged_in(username=f"anna-{run}", password="mouse!")
anna.logout()
assert User.get_current() is None
assert code(leancloud.Query(User).find) == 403
leancloud.init(
    os.environ["IMCORE_APP_ID"], app_key=os.environ["IMCORE_APP_KEY"], master_key=os.environ["IMCORE_MASTER_KEY"]
)
[listed] = leancloud.Query(User).equal_to("username", f"anna-{run}").find()
assert (listed.id, listed.get("email")) == (anna.id, email)
listed.destroy()
assert code(logged_in, username=f"anna-{run}", password="mouse!") == 211
print("  ok  listed and deleted by the developer")
print("Signed up and gone.")
