"""The door to the fast twins: the same functions as the plain ones beside this folder, held equal by a test."""

from dmdlite.components.fast.attention import MultiHeadAttention, TransformerLayer
from dmdlite.components.fast.dropout import Dropout

__all__ = ["Dropout", "MultiHeadAttention", "TransformerLayer"]
