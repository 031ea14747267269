"""One batch over several processes, for the terms of the loss that couple its clips.

Most terms are means over clips, and DistributedDataParallel's mean over processes makes them means over all clips.
A term that compares clips, or multiplies means of them, has to see the clips of every process: it gathers them.
"""

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor


def whole_batch(x: Float[Tensor, "clips *rest"]) -> Float[Tensor, "all_clips *rest"]:
    """The clips of all processes, each of which must bring equally many; x itself where there is one process.

    The backward pass hands a clip the sum of what the losses of all processes ask of it, and the gradients of the
    weights are then averaged over processes. So they are those of the mean of these losses: the whole batch's loss.
    Without gradients nothing is gathered: nobody waits for anybody when a model is only scored.
    """
    together = dist.is_available() and dist.is_initialized() and torch.is_grad_enabled()
    return _Gather.apply(x) if together and dist.get_world_size() > 1 else x


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(_, x: Tensor) -> Tensor:
        parts = [torch.empty_like(x, memory_format=torch.contiguous_format) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(_, gradient: Tensor) -> Tensor:
        gradient = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(gradient)
        return gradient.chunk(dist.get_world_size())[dist.get_rank()]
