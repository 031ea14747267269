"""The transformer layer of `components/transformer.py`, with fast attention and no norm computed twice."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from dmdlite.components import transformer as plain
from dmdlite.components.attention import AttentionMask
from dmdlite.components.fast.attention import Linear, MultiHeadAttention
from dmdlite.components.fast.dropout import Dropout


class TransformerLayer(plain.TransformerLayer):
    """The same weights and results as the plain class."""

    Linear, Attention, Dropout = Linear, MultiHeadAttention, Dropout

    def forward(
        self,
        target: Float[Tensor, "encoder batch target width"],
        key: Float[Tensor, "encoder batch source width"],
        value: Float[Tensor, "encoder batch source width"],
        mask: AttentionMask | None = None,
    ) -> Float[Tensor, "encoder batch target width"]:
        q = self.attention_norm(target)
        k = q if key is target else self.attention_norm(key)
        v = k if value is key else self.attention_norm(value)
        return self.feed_forward(target + self.residual_dropout(self.attention(q, k, v, mask)))

    def feed_forward(self, x: Float[Tensor, "encoder batch time width"]) -> Float[Tensor, "encoder batch time width"]:
        hidden = F.relu(self.expand(self.feed_forward_norm(x)), inplace=True)
        return x + self.residual_dropout(self.contract(self.feed_forward_dropout(hidden)))
