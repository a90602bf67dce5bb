"""What serving means, without any client library: who should serve, what state a model is in, who answers whom."""
