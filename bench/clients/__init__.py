"""How each server's clients connect, sign in and join, ending in a Load that is checked and quiet."""
