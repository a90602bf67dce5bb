"""What the overview says, decided without any client library."""
