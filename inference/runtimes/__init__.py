"""Models that are not our own, loaded as networks for the engine; only the sandbox imports this."""
