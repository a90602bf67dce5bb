"""The ports, on Kafka, Delta and the lake's objects."""
