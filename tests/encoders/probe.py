"""A method that hooks one function to some sites, for tests of sites."""

from rein_seg.peft import PEFTMethod


class Probe(PEFTMethod):
    """Hooks one function to the sites it is given."""

    def __init__(self, sites, function, **options):
        super().__init__()
        self.chosen, self.function, self.options = sites, function, options

    def connect(self, anatomy):
        for site in self.chosen:
            self.hook(site, self.function, **self.options)
