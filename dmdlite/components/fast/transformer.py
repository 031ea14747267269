"""The transformer layer of `components/transformer.py`, with fast attention and no norm computed twice."""

from dmdlite.components import transformer as plain
from dmdlite.components.attention import AttentionMask, Source, Target
from dmdlite.components.fast.attention import Linear, MultiHeadAttention
from dmdlite.components.fast.dropout import Dropout


class TransformerLayer(plain.TransformerLayer):
    """The same weights and results as the plain class."""

    Linear, Attention, Dropout = Linear, MultiHeadAttention, Dropout

    def forward(self, target: Target, key: Source, value: Source, mask: AttentionMask | None = None) -> Target:
        q = self.attention_norm(target)
        k = q if key is target else self.attention_norm(key)
        v = k if value is key else self.attention_norm(value)
        return self.feed_forward(target + self.residual_dropout(self.attention(q, k, v, mask)))
