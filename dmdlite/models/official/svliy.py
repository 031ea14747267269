"""The names of svliy/mmsa, the nearest public code to DHMD: those of DMD and of a dictionary (its clip_fdt.py)."""

from collections.abc import Iterable

from dmdlite.models.official import dmd
from dmdlite.models.official.weights import Sources, fill, read_state

MARK = "proj_l.weight"  # a weight that tells these checkpoints from ours

LAYERS = dmd.LAYERS | {
    "dictionaries.heterogeneous.atoms": "hetero_dict.space_dict",
    "dictionaries.heterogeneous.queries.language": "hetero_dict.txt_query_model.q_map",
    "dictionaries.heterogeneous.queries.vision": "hetero_dict.img_query_model.q_map",
    "dictionaries.heterogeneous.queries.audio": "hetero_dict.acoustic_query_model.q_map",
    "join.{m}": "proj_{i}_final",
}

# It makes these and never calls them: the common stream, the decoders, all heads but the last. So they stay fresh here.
IDLE = ("decouple.common_encoder.", "decouple.decoders.", "homogeneous_heads.", "heterogeneous_heads.", "common_head.")
UNUSED = (*dmd.UNUSED, "encoder_c.", "decoder_", "align_c_", "self_attentions_c_", "_c.", "_low", "_high")
UNUSED += ("hetero_dict.logit_scale",)


def load_official(model, weights, homogeneous=None, heterogeneous=None):
    """Fills a DHMD with weights of svliy/mmsa, or with those of DMD, beside which dictionaries stay fresh."""
    published = read_state(weights)
    if not any(name.startswith("hetero_dict.") for name in published):
        return dmd.load_official(model, published, homogeneous, heterogeneous)
    return fill(model, published, svliy_sources(model.state_dict()), dmd.convert, UNUSED)


def svliy_sources(own: Iterable[str]) -> Sources:
    """The published names of every weight of ours that a prediction depends on."""
    return dmd.dmd_sources([name for name in own if not name.startswith(IDLE)], LAYERS)
