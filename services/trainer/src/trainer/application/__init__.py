"""What the trainer does, in terms of ports that the adapters fill."""
