"""Kafka, the lake and the model specs, as the use cases see them."""
