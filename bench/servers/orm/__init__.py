"""The usual way to store messages in Channels: an ORM transaction for each, through database_sync_to_async."""
