"""The web app: shows an operator what the loop does now, what is wrong, and what to do about it."""
