"""How much a client may send at once."""

MAX_EVENT_BYTES = 64 * 1024
MAX_BATCH_BYTES = 8 * 1024 * 1024
MAX_BATCH_EVENTS = 5000
