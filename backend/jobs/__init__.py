"""Runs of models: the queue, the workers and the models themselves."""
