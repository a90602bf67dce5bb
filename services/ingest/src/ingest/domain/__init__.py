"""What feedback is and when it fits, without any client library, clock or environment."""
