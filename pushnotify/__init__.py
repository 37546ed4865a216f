"""Offline push: installations, payloads, providers.

Empty so far; its issue fills it. It stands here because the import contracts already say who may call it:
conversations and messaging, while it imports hooks and the core.
"""
