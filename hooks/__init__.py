"""Callouts to the developer's own server: hooks with a verdict, and batched reports.

Empty so far; its issue fills it. It stands here because the import contracts already say who may call it: every app
above (pushnotify, conversations, messaging), while it imports the core alone and no edge framework.
"""
