"""Installations: the class `_Installation`, the devices that apps are on (rest-api 10.3).

    api/             REST in                                → services
    services.py      what a device may say of itself        → storage
    storage.py       every query and every write            → models

Stands beside the rooms of the core like `imcore.accounts`. Pushes are to select devices by the same conditions as
lists do: `storage.columns_of`.
"""
