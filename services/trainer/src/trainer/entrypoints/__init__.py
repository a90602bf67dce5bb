"""Ways in: the threshold-reached topic and the admin API."""
