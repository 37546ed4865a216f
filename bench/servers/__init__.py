"""The servers we compare with, each a program of its own that takes a port."""
