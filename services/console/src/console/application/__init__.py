"""What the console can be asked."""
