"""The usual way to store messages in Channels: each in an ORM transaction of its own, through database_sync_to_async."""
