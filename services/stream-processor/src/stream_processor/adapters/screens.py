"""The screens as the lake has them now: tombstones of erased users, and profiles of base datasets."""

from features.profile import Profile
from lake import Lake, profiles
from stream_processor.application.ports import Specs
from stream_processor.application.screening import Screens


class LakeScreens:
    """Reads screens: one listing, and one small object per model."""

    def __init__(self, lake: Lake, specs: Specs) -> None:
        self._lake = lake
        self._specs = specs

    def current(self) -> Screens:
        """The screens, read anew. Raises lake errors."""
        found = {}
        for name, spec in self._specs.current().items():
            if said := profiles.get(self._lake.objects, name):
                found[name] = Profile.decode(said, spec.feature_names)
        return Screens(self._lake.erasures.tombstones(), found)
