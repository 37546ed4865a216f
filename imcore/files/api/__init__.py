"""HTTP in. `urls.py` lists the REST paths, `public_urls.py` the downloads; `uploads.py` stands before Django."""
