"""The names and layouts of the published DLF (its trains/singleTask/model/DLF.py), and how they map to ours."""

from torch import Tensor

from dmdlite.models.official import dmd
from dmdlite.models.official.weights import fill

MARK = "proj_l.weight"  # a weight that tells these checkpoints from ours

# What DMD's table names, but for the gates, and for the common and private encoders, which are transformers here.
LAYERS = dmd.LAYERS | {"fusion.gates.{m}": "projector_{i}", "fusion.gates.common": "projector_c"}

# The order of several encoders is ours: language, vision, audio.
TRANSFORMERS = {
    "decouple.common_encoder.": ["encoder_c."],
    "decouple.private_encoders.": [f"encoder_s_{i}." for i in "lva"],
    "read_common.encoders.": [f"self_attentions_c_{i}." for i in "lva"],
    "attract.crossmodal.": [f"trans_l_with_{i}." for i in "va"],
    "attract.memory.": [f"trans_{i}_mem." for i in "va"],
    "attract.focus_memory.": ["trans_l_mem."],
}
ALONE = tuple(ours for ours, theirs in TRANSFORMERS.items() if len(theirs) == 1)  # their leading axis has length 1

# In the checkpoint but without any effect: heads of the shared streams, and encoders in which language answers.
UNUSED = (*dmd.UNUSED, "_low.", "trans_a_with_", "trans_v_with_")


def load_official(model, weights):
    """Fills a DLF with published weights: a state dict, or the path of a .pth file, which is read but not executed."""
    if model.attract.focus != "language":
        raise ValueError(f"in the published checkpoint language hears the others, not {model.attract.focus}")
    return fill(model, weights, dmd.dmd_sources(model.state_dict(), LAYERS, TRANSFORMERS), convert, UNUSED)


def convert(name: str, weight: Tensor) -> Tensor:
    """A published weight in the layout of ours, which has this name."""
    if name.startswith(ALONE):
        return weight[None]
    return weight if "encoder" in name else dmd.convert(name, weight)
