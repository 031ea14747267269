"""The names of svliy/mmsa, the nearest public code to DHMD: those of DMD and of a dictionary (its clip_fdt.py)."""

from collections.abc import Iterable

from dmdlite.models.official import dmd
from dmdlite.models.official.dmd import INITIALS
from dmdlite.models.official.weights import Sources, fill, read_state

MARK = "proj_l.weight"  # a weight that tells these checkpoints from ours

DICTIONARY = "dictionaries.heterogeneous."
ASKERS = {"language": "txt", "vision": "img", "audio": "acoustic"}
NAMES = {f"{DICTIONARY}atoms": "hetero_dict.space_dict"}
NAMES |= {f"{DICTIONARY}queries.{m}.": f"hetero_dict.{asker}_query_model.q_map." for m, asker in ASKERS.items()}
NAMES |= {f"join.{m}.": f"proj_{i}_final." for m, i in INITIALS.items()}

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
    own = [name for name in own if not name.startswith(IDLE)]
    sources = dmd.dmd_sources(own)
    for name in own:
        for ours, theirs in NAMES.items():
            if name.startswith(ours):
                sources[name] = [name.replace(ours, theirs)]
    return sources
