"""Names of models and baselines as a reader of the table wants them."""

_SPELLED = {"dmd": "DMD", "dhmd": "DHMD", "mult": "MulT", "misa": "MISA", "pmr": "PMR", "pkdot": "PKDOT"}


def title_of(name: str) -> str:
    """E.g. "DMD without decoupling" for dmd_without_decoupling."""
    return " ".join(_SPELLED.get(word, word) for word in name.split("_"))
