"""One module for each group of commands, each with a typer `app`."""
