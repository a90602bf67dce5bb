"""The stack on one machine: Kafka, S3, MLflow and the services as processes of this user, on loopback only."""
