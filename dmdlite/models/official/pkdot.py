"""The names of the published PKDOT (its models/models.py and transformation_network.py), and how they map to ours."""

from torch import Tensor

from dmdlite.models.official.weights import convert_weights, read_state, sources_of
from dmdlite.models.saving import load_weights

MARK = "gated_attention.weight"  # a weight that tells these checkpoints from ours

# Our layers of `FusionTransformer` and of T-Net, and the published ones.
ENCODERS = {"read_prevalent": "visual_encoder", "read_privileged": "physiological_encoder"}
INSIDE_AN_ENCODER = {
    "attention": "attention",
    "attention_norm": "layer_norm1",
    "expand": "feed_forward.0",
    "contract": "feed_forward.2",
    "feed_forward_norm": "layer_norm2",
}
FUSION = {f"{x}.{a}": f"{y}.{b}" for x, y in ENCODERS.items() for a, b in INSIDE_AN_ENCODER.items()}
FUSION |= {"ask_prevalent": "cross_attention_v", "ask_privileged": "cross_attention_p"}
FUSION |= {"gate": "gated_attention", "head": "fc"}
T_NET = {"0": "encoder.fc1", "2": "encoder.fc2", "4": "decoder.fc1", "6": "decoder.fc2"}


def load_official(model, weights, teacher=None, t_net=None):
    """Fills the fusion of a PKDOT or a PKDOTTeacher with published weights, and of a PKDOT what else is given.

    weights, teacher, t_net: a state dict each, or the path of a .pth file, which is read but not executed. What is not
    given stays random, as the published T-Net is: it is never saved, and tested with other weights than trained with.
    """
    found, width = model.state_dict(), model.config.width

    def cut(name: str, weight: Tensor) -> Tensor:
        """The published T-Net fills a narrower vector up to 512 channels with zeros, and cuts its answer."""
        if name == "hallucinate.0.weight":
            return weight[:, :width]
        return weight[:width] if name.startswith("hallucinate.6.") else weight

    parts = [("fuse", FUSION, weights), ("teacher.fuse", FUSION, teacher), ("hallucinate", T_NET, t_net)]
    for part, layers, given in parts:
        if given is not None:
            sources = sources_of(found, {f"{part}.{ours}": theirs for ours, theirs in layers.items()})
            found |= convert_weights(read_state(given), sources, cut)
    load_weights(model, found, "the published checkpoint")
    return model
