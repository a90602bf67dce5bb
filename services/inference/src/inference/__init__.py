"""Serves the champion of every model: answers over HTTP, swaps under traffic, and tells Kafka what it answered."""
