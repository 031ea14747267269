"""What test_several_processes compares; as a program of torchrun it leaves the findings of each process in a folder."""

import sys
from pathlib import Path
from unittest.mock import patch

import torch
import torch.distributed as dist
from tiny import SIZES
from torch.nn.parallel import DistributedDataParallel

from dmdlite.config import MODALITIES, DMDConfig, TrainingConfig
from dmdlite.data.features import feature_shapes
from dmdlite.data.toy import toy_world
from dmdlite.models.dmd import DMD
from dmdlite.models.misa import MISA, MISAConfig
from dmdlite.training.loop import seed_everything
from dmdlite.training.trainer import SentimentTrainer, Trainee, has_unused_parameters

SIZES = SIZES | dict(feature_widths=dict(language=6, vision=5, audio=4), lengths=dict(language=7, vision=9, audio=8))
PRESETS = {
    "official": DMDConfig.official(**SIZES, orthogonality_over="over_batch").without_dropout(),
    "paper": DMDConfig.paper(**SIZES).without_dropout(),
    "errors": DMDConfig.official(**SIZES, edge_learning="errors").without_dropout(),
}
BATCH_SIZES = (4, 9, 50)  # for 24 clips and two processes: without remainder, with one, more than there are
COUPLED = ("margin", "orthogonality", "gd_heterogeneous_representation", "gd_homogeneous_prior_penalty")
COUPLED_IN_MISA = ("similarity", "difference")


def alone(term: str, config: DMDConfig) -> DMDConfig:
    """The loss is this term."""
    return config.replace(loss_weights=dict.fromkeys(config.loss_weights, 0.0) | {term: 1.0})


CONFIGS = PRESETS | {term: alone(term, PRESETS["official"]) for term in COUPLED}
CONFIGS |= {term: alone(term, MISAConfig.of(PRESETS["official"])) for term in COUPLED_IN_MISA}


def batch() -> dict[str, torch.Tensor]:
    """Eight clips; most labels are in both halves, so that the margin loss has positives across them."""
    seed_everything(1)
    streams = {m: torch.randn(8, SIZES["lengths"][m], SIZES["feature_widths"][m]) for m in MODALITIES}
    return streams | {"labels": torch.tensor([-1.0, 0.0, 2.0, 0.0, 0.0, 2.0, -1.0, 1.4])}


def model(config: DMDConfig) -> DMD | MISA:
    seed_everything(0)
    return MISA(config) if isinstance(config, MISAConfig) else DMD(config)


def gradients(trained: torch.nn.Module, clips: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The loss, and by name the gradient of each parameter that has one, and what edges by evidence have gathered."""
    loss = trained(**clips)["loss"]
    loss.backward()
    named = [(name, x.grad) for name, x in trained.named_parameters()]
    named += [(name, x.clone()) for name, x in trained.named_buffers() if name.endswith("gathered")]
    return loss.detach(), {name.removeprefix("module."): found for name, found in named if found is not None}


def own_gradients(config: DMDConfig, rank: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """From this process's half of the batch, averaged by DistributedDataParallel."""
    own = {name: x[4 * rank : 4 * rank + 4] for name, x in batch().items()}
    trainee = Trainee(model(config))
    unused = has_unused_parameters(trainee.model, own)
    return gradients(DistributedDataParallel(trainee, find_unused_parameters=unused), own)


def seen(batch_size: int, folder: Path) -> tuple[list[torch.Tensor], torch.Tensor]:
    """The labels of every batch of two epochs as Trainer has them, and what the dropout would draw first."""
    splits = toy_world(40).splits
    config = DMDConfig.toy(**SIZES | feature_shapes(splits))
    trainer = SentimentTrainer(model(config), splits, TrainingConfig(batch_size=batch_size), folder, False)
    drawn, loader = torch.rand(4), trainer.get_train_dataloader()
    return [clips["labels"] for _ in range(2) for clips in loader], drawn


def main(folder: Path) -> None:
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    if rank == 0:  # scoring does not wait for the other process
        with torch.no_grad():
            model(PRESETS["official"])(**batch())
    found = {"gathered": {name: own_gradients(config, rank) for name, config in CONFIGS.items()}}
    with patch.object(dist, "get_world_size", lambda: 1):  # as whole_batch sees it
        found["not gathered"] = {name: own_gradients(config, rank) for name, config in CONFIGS.items()}
    found["seen"] = {batch_size: seen(batch_size, folder) for batch_size in BATCH_SIZES}
    torch.save(found, folder / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
