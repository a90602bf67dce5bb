"""HTTP: what comes in, what goes out, and which status says what."""
