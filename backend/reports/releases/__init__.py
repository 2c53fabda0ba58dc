"""Releases: frozen lists of published consensuses, split by person, that models are made of."""
