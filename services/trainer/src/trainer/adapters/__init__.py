"""Translates the lake, the registry, LightGBM and Kafka into the ports of the use cases."""
