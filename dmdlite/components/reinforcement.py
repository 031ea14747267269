"""Cross-modal reinforcement: what Eq. (10) is for. Each modality is enriched by the two others, as in MulT."""

import torch
from torch import nn

from dmdlite.components.attention import Transformer
from dmdlite.components.pooling import Vector, Vectors, last_step
from dmdlite.components.streams import Masks, Streams
from dmdlite.config import MODALITIES, DMDConfig

# In the order in which the published code concatenates the two results.
SOURCES = {"language": ("audio", "vision"), "vision": ("language", "audio"), "audio": ("language", "vision")}


class CrossModalReinforcement(nn.Module):
    """Z^prt_{→m}: both other modalities answer m's questions, their answers are joined and read by a memory encoder."""

    def __init__(self, config: DMDConfig):
        super().__init__()
        encoder = Transformer.from_config
        rate = config.attention_rates
        self.crossmodal = nn.ModuleDict(
            {
                f"{source}_to_{target}": encoder(config, config.width, config.layers, rate[source])
                for target in MODALITIES
                for source in SOURCES[target]
            }
        )
        memory = config.memory_attention_dropout
        self.memory = nn.ModuleDict(
            {m: encoder(config, 2 * config.width, config.memory_layers, memory) for m in MODALITIES}
        )

    def forward(self, private: Streams, masks: Masks | None) -> Vectors:
        """One vector for each modality: the memory encoder's last step."""
        return {target: self.reinforce(target, private, masks or dict.fromkeys(MODALITIES)) for target in MODALITIES}

    def reinforce(self, target: str, private: Streams, masks: dict) -> Vector:
        answers = [
            self.crossmodal[f"{source}_to_{target}"](private[target], private[source], masks[target], masks[source])
            for source in SOURCES[target]
        ]
        joined = self.memory[target](torch.cat(answers, dim=-1), target_mask=masks[target])
        return last_step(joined, masks[target])
