"""REST in: parameters, one service call, JSON. `urls.py` lists the paths, docs/rest.md what they answer."""
