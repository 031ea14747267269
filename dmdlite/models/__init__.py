"""One system, one file. `registry.py` knows them by name."""
