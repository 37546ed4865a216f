"""What may be done with files, and who may do it."""
