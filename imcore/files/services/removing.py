"""Deleting files: first nobody finds them, then their bytes go, then their rows, so that no bytes are left over."""

from collections.abc import Collection

from imcore.bridge import in_database, in_store
from imcore.files import bytestore, storage
from imcore.files.records import StoredFile

BATCH = 200


async def remove(files: Collection[int], *, only_pending: bool = False) -> None:
    """Delete files, or those of them whose bytes are not here. What cannot be now is deleted by the next `sweep`."""
    await in_database(storage.give_up, files=files, only_pending=only_pending)
    await _delete(await in_database(storage.given_up, limit=len(files), among=files))


async def sweep() -> int:
    """Delete the files of applications that are gone, and what `remove` could not; return how many."""
    deleted = 0
    while found := await in_database(storage.given_up, limit=BATCH):
        await _delete(found)
        deleted += len(found)
    return deleted


async def _delete(files: Collection[StoredFile]) -> None:
    for file in files:
        if file.key is not None:
            await in_store(bytestore.delete, file.key)
    await in_database(storage.forget, files=[file.pk for file in files])
