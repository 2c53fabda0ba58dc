"""Where models that are not our own run: a process without network, secrets or a disk."""
