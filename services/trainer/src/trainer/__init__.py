"""The trainer: turns a trigger into a proved, registered and announced model version, exactly once."""
