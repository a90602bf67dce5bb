"""What the method is worth: the trainer's own code on a year of flights, without Kafka, S3 or MLflow."""
