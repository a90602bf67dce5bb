"""The use cases of serving, and the ports through which they reach the world."""
