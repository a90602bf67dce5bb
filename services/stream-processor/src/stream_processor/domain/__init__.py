"""Decisions, without clients, clocks or environment."""
