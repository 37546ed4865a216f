"""The wire: schema and codec of the LeanMessage protocol.

Promise: bytes in, one `GenericCommand` out, or `Unparseable`; and back. Nothing here knows what a command means.
May import the kernel. Next: `imcore/gateway/dispatch.py`.
"""
