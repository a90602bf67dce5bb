"""Translations of the other services' HTTP answers."""
