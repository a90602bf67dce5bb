"""What holds for every test of the repository."""

from hypothesis import settings

# The machine may be shared and slow: how long an example takes says nothing about the code.
settings.register_profile("flywheel", deadline=None)
settings.load_profile("flywheel")
