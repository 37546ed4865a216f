"""Messages: signing in, sending, history. The top of the stack; it may import every other app's public face.

Promise: an acknowledged message is committed, once, in the order of its conversation. The way of a message starts in
`commands/direct.py`, and `services/sending.py` is the pipeline to read first.
"""
