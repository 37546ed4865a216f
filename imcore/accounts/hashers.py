"""Password hashes of users who were imported (migration 3.1). They are replaced at the first log-in, by Django.

password, salt of the export        imported_password(…)          what is stored
base64 of 64 bytes, some salt    →  leancloud_sha512$512$salt$hash
$2a$…, $2b$…, $2y$…              →  bcrypt$…
nothing, or something else       →  a password that nothing matches
"""

import base64
import binascii
import hashlib
import re
from typing import Any

import bcrypt
from django.contrib.auth.hashers import (
    BasePasswordHasher,
    BCryptPasswordHasher,
    make_password,
    mask_hash,
    must_update_salt,
)
from django.utils.crypto import constant_time_compare

ROUNDS = 512
DIGEST_BYTES = 64
BCRYPT = re.compile(r"\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53}", re.ASCII)
BCRYPT_MAX_BYTES = 72
# Between `$`s a salt stands as it is; any other is written with this mark before its base64.
PLAIN_SALT = re.compile(r"[A-Za-z0-9]*", re.ASCII)
ENCODED_SALT_MARK = "~"


class LeanCloudHasher(BasePasswordHasher):
    """SHA-512 of salt and password, and 512 times SHA-512 of that: the hosted service's own hash."""

    algorithm = "leancloud_sha512"

    def encode(self, password: str, salt: str) -> str:
        """Return what is stored for a password and the salt of the export."""
        digest = hashlib.sha512(salt.encode() + password.encode()).digest()
        for _ in range(ROUNDS):
            digest = hashlib.sha512(digest).digest()
        return f"{self.algorithm}${ROUNDS}${_written(salt)}${base64.b64encode(digest).decode()}"

    def decode(self, encoded: str) -> dict[str, Any]:
        """Return the parts of what is stored."""
        algorithm, rounds, salt, digest = encoded.split("$", 3)
        return {"algorithm": algorithm, "hash": digest, "salt": _read(salt), "work_factor": int(rounds)}

    def verify(self, password: str, encoded: str) -> bool:
        """Return whether this is the password."""
        return constant_time_compare(encoded, self.encode(password, self.decode(encoded)["salt"]))

    def safe_summary(self, encoded: str) -> dict[Any, Any]:
        """Return what may be shown."""
        decoded = self.decode(encoded)
        return {
            "algorithm": decoded["algorithm"],
            "salt": mask_hash(decoded["salt"]),
            "hash": mask_hash(decoded["hash"]),
        }

    def must_update(self, encoded: str) -> bool:
        """Return whether the salt is shorter than Django wants them."""
        return must_update_salt(self.decode(encoded)["salt"], self.salt_entropy)

    def harden_runtime(self, password: str, encoded: str) -> None:
        """Do nothing: users of this hash are few, and fewer every day."""


class ImportedBcryptHasher(BCryptPasswordHasher):
    """bcrypt, which looks at the first 72 bytes of a password and, in its newer libraries, refuses longer ones."""

    def encode(self, password: str, salt: str | bytes) -> str:
        """Return what is stored for a password."""
        written = salt.encode() if isinstance(salt, str) else salt
        hashed = bcrypt.hashpw(password.encode()[:BCRYPT_MAX_BYTES], written)
        return f"{self.algorithm}${hashed.decode()}"


def imported_password(password: object, salt: object) -> str:
    """Return what to store for a row of an export; a password that nothing matches where its hash is unknown."""
    if isinstance(password, str) and BCRYPT.fullmatch(password):
        return f"{ImportedBcryptHasher.algorithm}${password}"
    if isinstance(password, str) and isinstance(salt, str) and _is_digest(password):
        return f"{LeanCloudHasher.algorithm}${ROUNDS}${_written(salt)}${password}"
    return make_password(None)


def _is_digest(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == DIGEST_BYTES
    except binascii.Error:
        return False


def _written(salt: str) -> str:
    if PLAIN_SALT.fullmatch(salt):
        return salt
    return ENCODED_SALT_MARK + base64.urlsafe_b64encode(salt.encode()).decode()


def _read(written: str) -> str:
    if not written.startswith(ENCODED_SALT_MARK):
        return written
    return base64.urlsafe_b64decode(written.removeprefix(ENCODED_SALT_MARK)).decode()
