"""DMD without some of its parts, by name: which fields of its config change. Five of them are rows of Table 3.

A graph that is left out has all its terms at weight zero: no head learns from another and no edge learns; its heads go
on learning the task. Without decoupling X^com and X^prt are both X̃, so the losses about the two have nothing to say;
that those go too is our reading.
"""

from typing import Any

from dmdlite.config import SPACES

Changes = dict[str, Any]

NO_ATTENTION: Changes = {"reinforcement": "none"}
NO_DECOUPLING: Changes = {"decoupling": "none"}
DECOUPLING_LOSSES = ("reconstruction", "cycle", "margin", "orthogonality")


def no_graphs(*spaces: str) -> dict[str, float]:
    return {f"gd_{space}_{term}": 0.0 for space in spaces for term in ("logit", "representation", "prior_penalty")}


def no_decoupling_losses() -> dict[str, float]:
    return dict.fromkeys(DECOUPLING_LOSSES, 0.0)


ABLATIONS: dict[str, Changes] = {
    "dmd_without_decoupling": NO_DECOUPLING | {"loss_weights": no_decoupling_losses()},
    "dmd_without_homogeneous_graph": {"loss_weights": no_graphs("homogeneous")},
    "dmd_without_crossmodal_attention": NO_ATTENTION,  # row 3 of Table 3
    "dmd_without_heterogeneous_graph": {"loss_weights": no_graphs("heterogeneous")},  # row 2
    "dmd_homogeneous_graph_only": NO_ATTENTION | {"loss_weights": no_graphs("heterogeneous")},  # row 4
    "dmd_decoupling_only": NO_ATTENTION | {"loss_weights": no_graphs(*SPACES)},  # row 5
    "dmd_bare": NO_DECOUPLING | NO_ATTENTION | {"loss_weights": no_decoupling_losses() | no_graphs(*SPACES)},  # row 6
}
