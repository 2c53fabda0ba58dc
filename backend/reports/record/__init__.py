"""A case told by its events and the blobs they name, and by nothing else. Pure: no database.

Everything here takes the events of a case's chain in order and a function that gives the bytes
of a blob by its SHA-256, so that whoever holds both, in whatever database or none, comes to the
same facts.
"""
