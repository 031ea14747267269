"""The names and layouts of the published MISA (its src/models.py), and how they map to ours."""

from torch import Tensor

from dmdlite.models.official.weights import fill, sources_of

MARK = "project_t.project_t.weight"  # a weight that tells these checkpoints from ours

INITIALS = {"language": "t", "vision": "v", "audio": "a"}

# Our layers and the published ones; {m} is each modality, {i} its initial.
LAYERS = {
    "read.language_encoder.model": "bertmodel",
    "recurrent.{m}.first": "{i}rnn1",
    "recurrent.{m}.norm": "{i}layer_norm",
    "recurrent.{m}.second": "{i}rnn2",
    "project.{m}.0": "project_{i}.project_{i}",
    "project.{m}.2": "project_{i}.project_{i}_layer_norm",
    "private.language.0": "private_t.private_t_1",
    "private.vision.0": "private_v.private_v_1",
    "private.audio.0": "private_a.private_a_3",
    "shared.0": "shared.shared_1",
    "reconstruct.{m}": "recon_{i}.recon_{i}_1",
    "fuse": "transformer_encoder.layers.0",
    "head.0": "fusion.fusion_layer_1",
    "head.3": "fusion.fusion_layer_3",
}

# In the checkpoint, but not in the prediction or a loss: a discriminator of weight 0 and, with BERT, a layer norm of
# words; a counter of BERT; and the table of word vectors, which are our data.
UNUSED = ("sp_discriminator.", "tlayer_norm.", "position_ids", "embed.weight")


def load_official(model, weights):
    """Fills a MISA with published weights: a state dict, or the path of a file, which is read but not executed."""

    def convert(name: str, weight: Tensor) -> Tensor:
        _, _, layer = name.partition("project.")
        if layer.removesuffix(".0.weight") not in model.recurrent:
            return weight
        # Columns from (direction, layer, channel), the published order of final states, to (layer, direction, channel).
        return weight.unflatten(1, (2, 2, -1)).transpose(1, 2).flatten(1)

    return fill(model, weights, sources_of(model.state_dict(), LAYERS, INITIALS), convert, UNUSED)
