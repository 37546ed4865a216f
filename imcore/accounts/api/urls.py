"""Paths below `/1.1/` and `/1.2/`."""

from django.urls import URLPattern, path

from imcore.accounts.api import sessions, unserved, users
from imcore.rest.endpoints import resource
from imcore.rest.schemas import described

NEEDS_MAIL = ("requestPasswordReset", "requestEmailVerify")
NEEDS_TEXT_MESSAGES = (
    *("usersByMobilePhone", "requestSmsCode", "requestLoginSmsCode", "requestMobilePhoneVerify"),
    *("requestPasswordResetBySmsCode", "requestChangePhoneNumber", "changePhoneNumber"),
)
TAKES_A_CODE = ("verifySmsCode", "verifyMobilePhone", "resetPasswordBySmsCode")


def _of_users(at: str) -> list[URLPattern]:
    """Return the paths of users: SDKs have two names for them."""
    one = f"{at}/<str:object_id>"
    return [
        path(at, resource(GET=users.find, POST=users.create)),
        path(f"{at}/me", resource(GET=sessions.me)),
        path(one, resource(GET=users.read, PUT=users.update, DELETE=users.delete)),
        path(f"{one}/refreshSessionToken", resource(PUT=sessions.refresh_token)),
        path(f"{one}/updatePassword", resource(PUT=sessions.change_password)),
    ]


described(
    "_User",
    username="String",
    email="String",
    emailVerified="Boolean",
    authData="Object",
    mobilePhoneNumber="String",
    mobilePhoneVerified="Boolean",
)

urlpatterns = [
    *_of_users("users"),
    *_of_users("classes/_User"),
    path("scan/classes/_User", resource(GET=users.scan)),
    path("login", resource(POST=sessions.log_in, GET=sessions.log_in)),
    path("rtm/sign", resource(POST=sessions.sign, GET=sessions.sign)),
    path("rtm/clients/sign", resource(GET=sessions.sign, POST=sessions.sign)),
    *(path(at, resource(POST=unserved.mail)) for at in NEEDS_MAIL),
    *(path(at, resource(POST=unserved.text_message)) for at in NEEDS_TEXT_MESSAGES),
    *(path(f"{at}/<str:code>", resource(POST=unserved.text_message, PUT=unserved.text_message)) for at in TAKES_A_CODE),
]
