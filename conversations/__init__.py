"""`_Conversation`: who may talk where, and what a conversation is called.

Promise: a membership change is one transaction, is told to exactly the clients realtime-protocol 4.3.2 names, and a
server that has remembered the members finds out at its next send (`members_version`). May import imcore, hooks and
pushnotify, never messaging; above it, only `services`, `policy` and `events` may be imported, and `storage.positions`
by messaging's storage (docs/adr/0008).
"""
