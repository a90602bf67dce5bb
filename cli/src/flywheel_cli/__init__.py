"""The command `flywheel`: models, datasets, feedback, events, keys, and what is wrong."""
