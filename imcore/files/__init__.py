"""Files: the class `_File`, and their bytes (rest-api 10.4).

Promise: a file is found once all its bytes are here, and not before; who may upload is in the URL alone, signed and
good for an hour; a file of one application is unknown to all others, but for who has its download URL, which cannot be
guessed; nothing that a browser would run is shown inside this server's origin.

    api/             HTTP in: REST, uploads, downloads      → services
    services/        what may be done and who may do it     → storage, bytestore
    storage.py       every query and every write of rows    → models
    bytestore.py     the bytes: a folder, or a bucket

Stands beside the rooms of the core, as `imcore.accounts` does; no app imports it but through `services`.
"""
