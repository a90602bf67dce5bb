"""The stream-processor: what people say and models answer, from Kafka into the lake, exactly once."""
