"""The ingest service: takes people's feedback, checks it, and answers when Kafka has it."""
