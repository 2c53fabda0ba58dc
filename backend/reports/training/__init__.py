"""Training: from a frozen release to the next version of a model."""
