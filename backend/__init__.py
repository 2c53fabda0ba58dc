"""Concord's server: Django rooms over pure imaging code."""
