"""Layers of several encoders of one shape, side by side: `group` says whose. Six encoders cost the calls of one."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class GroupedLinear(nn.Module):
    """A linear map for each group: y_g = W_g x_g + b_g at every time step."""

    def __init__(self, groups: int, inputs: int, outputs: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(groups, outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(groups, outputs))
        for weight in self.weight.data:
            nn.init.xavier_uniform_(weight)

    def forward(
        self, x: Float[Tensor, "group batch time inputs"], part: slice = slice(None)
    ) -> Float[Tensor, "group batch time outputs"]:
        """`part` says which of the outputs are wanted."""
        weight, bias = self.weight[:, part], self.bias[:, None, part]
        # A CPU gives one matrix product to one core; three would leave one of two cores idle, so each is cut in two.
        eager = x.device.type == "cpu" and not torch.compiler.is_compiling()
        cuts = math.lcm(len(x), torch.get_num_threads() if eager else 1) // len(x)
        cuts = cuts if x.shape[1] * x.shape[2] % cuts == 0 else 1
        rows = x.reshape(len(x) * cuts, -1, x.shape[-1])
        weight, bias = (w[:, None].expand(-1, cuts, -1, -1).flatten(0, 1) for w in (weight, bias))
        return torch.baddbmm(bias, rows, weight.mT).view(*x.shape[:3], -1)


class GroupedNorm(nn.Module):
    """A layer norm for each group."""

    def __init__(self, groups: int, width: int):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(groups, width)), nn.Parameter(torch.zeros(groups, width))

    def forward(self, x: Float[Tensor, "group batch time width"]) -> Float[Tensor, "group batch time width"]:
        return torch.addcmul(self.bias[:, None, None], F.layer_norm(x, x.shape[-1:]), self.weight[:, None, None])
