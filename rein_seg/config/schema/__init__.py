"""The schema of a config: the type and the range of every value.

`keys` has the keys that no class reads, `arguments` the arguments of classes, by name or by class
and name; annotations say the rest. `check` compares a config with them.
"""
