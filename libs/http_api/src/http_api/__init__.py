"""What every HTTP service here does the same way: problems, keys, bodies, health and the server itself."""
