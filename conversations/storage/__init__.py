"""Every query and every write of conversations: synchronous, set-based, one unit of work per function."""
