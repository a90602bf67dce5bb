"""The contracts of Flywheel: events, topics, model specs and feedback tokens.

Everything that crosses a process boundary is described here and nowhere else. The package
depends on Pydantic, msgspec and PyYAML alone and does no input or output beyond reading a spec file.
"""
