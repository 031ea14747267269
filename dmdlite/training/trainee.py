"""What `transformers.Trainer` is given: batches of a split, and the model in a shell."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils.data import Dataset

from dmdlite.data.features import FeatureSplit


class Batches(Dataset):
    """A split that returns whole batches, for a DataLoader that does not collate."""

    def __init__(self, split: FeatureSplit, **options: Any):
        self.split, self.options = split, options

    def __len__(self) -> int:
        return len(self.split)

    def __getitems__(self, indices: list[int]) -> dict[str, Any]:
        return self.split.batch(indices, **self.options)


class Trainee(nn.Module):
    """The shell of a model that is being trained: it returns a dict and updates the model's evidence.

    accelerate casts the forward pass of this shell to bf16, while the model itself keeps scoring in float32. Only the
    loss keeps its graph: DistributedDataParallel would count every weight behind an output as used.
    """

    accepts_loss_kwargs = False

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, **batch: Any) -> dict[str, Any]:
        out = self.model(**batch)
        if self.training:
            self.model.update_evidence(out, batch["labels"])
        terms, edges = ({name: x.detach() for name, x in found.items()} for found in (out.losses, out.edges))
        return {"loss": out.loss, "losses": terms, "edges": edges}


def has_unused_parameters(model: nn.Module, batch: dict[str, Any]) -> bool:
    """Whether the loss does not depend on some weights, such as those of a term of weight zero, or BERT's pooler.

    DistributedDataParallel waits for the gradient of every weight unless it is told to look for unused ones.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    mode, loss = model.training, model.eval()(**batch).loss  # without dropout, which would use up random numbers
    model.train(mode)
    return any(x is None for x in torch.autograd.grad(loss, trained, allow_unused=True))
