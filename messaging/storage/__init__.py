"""Every query and every write of messaging: synchronous, set-based, one unit of work per function."""
