"""Builds the two processes of inference: the service, and the courier that it starts."""
