"""Small models, and what takes longer than their training; dmdlite is imported late, for conftest comes before it."""

from matplotlib.figure import Figure

SIZES = dict(width=8, heads=2, layers=1, minimum_memory_layers=1)


def without_pictures(patch):
    """Runs draw empty figures."""
    from dmdlite.training import runs

    for name in ("draw_losses", "draw_answers", "draw_edges"):
        patch.setattr(runs, name, lambda *_: Figure(figsize=(1, 1)))
