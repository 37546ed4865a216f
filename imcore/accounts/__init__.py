"""Users: the class `_User`, for apps whose people log in by name and password (rest-api 10.2).

Promise: a password is stored as a hash only, a session token as a digest only; users of one application are unknown
to all others; who logs in here may log in to messaging under the object id (`services/signing.py`).

    api/             REST in                                → services
    services/        what may be done and who may do it     → storage
    storage.py       every query and every write            → models

Stands beside the rooms of the core and may import the kernel, `imcore.rest` from `api/` only; no app imports it but
through `services`.
"""
