"""Runs the published PKDOT (a checkout at $REF_PKDOT, never committed) for one step, and stores what it computed.

    REF_PKDOT=... PYTHONPATH=tests python tests/golden/make_pkdot.py

Needs geomloss 0.2.6. The published training function runs as it is, on the CPU. Only what surrounds it is replaced: the
data, the two networks in front, which here pass given vectors on, the files of weights, and the validation after the
step. In the small cases its call of the fusion transformer gets other sizes. Full sizes are computed in double
precision, because in single precision some anchors are a matter of the last bit. NumPy's vector instructions are off:
with them its argpartition sorts, which that of the authors' NumPy, 1.22, does not.
"""

import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock, patch

os.environ["NPY_DISABLE_CPU_FEATURES"] = "X86_V3 X86_V4 AVX512_ICL AVX512_SPR"  # before NumPy is imported

import numpy as np
import torch
from published_pkdot import FULL, SIZES, SMALL, vectors, weights
from torch import nn

HERE = Path(__file__).parent
ABSENT = "comet_ml torchvision torchvision.models torchvision.models.video ot seaborn matplotlib matplotlib.pyplot"
ABSENT += " mpl_toolkits.axes_grid1 sklearn.manifold dataset.video_dataset_mm biovid_physio_classification validate"


def published():
    """The module of the published training."""
    sys.modules |= {name: MagicMock() for name in ABSENT.split()}
    sys.modules["validate"].validate_mmtransformer_dmwl_wtn = lambda *_: (0.0, 0.0)
    sys.path.insert(0, os.environ["REF_PKDOT"])
    import PKDOT_kfold

    return PKDOT_kfold


class Front(nn.Module):
    """In place of the networks that read video and signals: the vectors come as they are."""

    def __init__(self, *_):
        super().__init__()
        self.vis_model = nn.Linear(1, 1)  # for the optimizer, which wants a weight

    def model_out(self, video):
        return video.flatten(1), None

    def model_out_feats(self, video, signal):
        return video.flatten(1), signal

    def load_state_dict(self, _):
        pass


class Recorder:
    """Gives the published training one batch and the given weights, and notes what it computes."""

    def __init__(self, training, name: str, dtype: torch.dtype):
        self.training, self.sizes, self.weights, self.noted = training, SIZES[name], weights(**SIZES[name]), {}
        self.batch = {x: y.to(dtype) if y.is_floating_point() else y for x, y in vectors(**self.sizes).items()}
        self.modules, self.next_fusion = {}, iter(("student", "teacher"))  # in the order in which they are made

    def watched(self, name, module):
        """Notes what goes in and comes out."""
        note = lambda _, inputs, out: self.noted.update({name: out, f"{name}_inputs": inputs})
        module.register_forward_hook(note)
        return module

    def filled(self, name, module):
        module.load_state_dict(self.weights[name])
        self.modules[name] = self.watched(name, module)
        return module

    def argpartition(self, values, k, axis):
        self.noted["anchors"] = np.argpartition(values, k, axis=axis)
        return self.noted["anchors"]

    def surroundings(self):
        """What replaces the names that the published function refers to."""
        published, v = self.training, self.batch["vision"]
        fusion, t_net, loss = published.MultimodalTransformer, published.TransformNet, published.SamplesLoss
        width, heads = self.sizes["width"], self.sizes["heads"]
        size = dict(visual_dim=width, physiological_dim=width, hidden_dim=width, num_heads=heads)
        batches = [(self.batch["audio"], v[:, None, :, None, None], self.batch["labels"])]
        loader = SimpleNamespace(data=SimpleNamespace(DataLoader=lambda **_: batches))
        return dict(
            num_epochs=1,
            device=torch.device("cpu"),
            VIS_MODEL=Front,
            VIS_PHY_MODEL_CAM=Front,
            VideoFrameDataset=MagicMock(),
            MultimodalTransformer=lambda **given: self.filled(next(self.next_fusion), fusion(**given | size)),
            TransformNet=lambda: self.filled("t_net", t_net()),
            SamplesLoss=lambda *given, **named: self.watched("transport", loss(*given, **named)),
            nn=SimpleNamespace(CrossEntropyLoss=lambda: self.watched("task_final", nn.CrossEntropyLoss())),
            np=SimpleNamespace(argpartition=self.argpartition, arange=np.arange),
            torch=SimpleNamespace(
                utils=loader, no_grad=torch.no_grad, max=torch.max, load=lambda _: self.weights["teacher"]
            ),
            optim=SimpleNamespace(Adam=torch.optim.Adam, lr_scheduler=MagicMock()),
            print=lambda *words: self.noted.update({words[0]: words[1]}) if len(words) == 2 else None,
        )

    def run(self):
        on_cpu = torch.Tensor.to
        with ExitStack() as stack:
            stack.enter_context(patch.multiple(self.training, create=True, **self.surroundings()))
            there = lambda x, *given, **named: x if given == ("cuda",) else on_cpu(x, *given, **named)
            stack.enter_context(patch.object(torch.Tensor, "to", there))
            self.training.train_student("", "", 1)
        return self

    def results(self):
        """Outputs, losses, gradient norms."""
        noted, student = self.noted, self.modules["student"]
        assert all(p.grad is None for name in ("teacher", "t_net") for p in self.modules[name].parameters())
        outputs = dict(zip(("prediction", "fused"), noted["student"])) | {"hallucinated": noted["t_net"]}
        outputs |= dict(zip(("teacher_prediction", "teacher_fused"), noted["teacher"]))
        outputs |= dict(zip(("similarities_teacher", "similarities_student"), noted["transport_inputs"]))
        k = outputs["similarities_teacher"].shape[1]
        outputs["anchors"] = torch.from_numpy(noted["anchors"][:, :k].copy())
        losses = {name: noted[name].item() for name in ("task_final", "transport")}
        losses["total"] = noted["total loss: "]
        gradients = {name: float(p.grad.norm()) for name, p in student.named_parameters()}
        return {x: y.detach() for x, y in outputs.items()}, losses, gradients


def computed(training, name: str, dtype: torch.dtype) -> Recorder:
    torch.set_default_dtype(dtype)
    recorder = Recorder(training, name, dtype).run()
    torch.set_default_dtype(torch.float32)
    return recorder


def main():
    training, full = published(), {}
    for name in SMALL:
        recorder = computed(training, name, torch.float32)
        outputs, losses, gradients = recorder.results()
        stored = {f"input/{x}": y for x, y in recorder.batch.items()} | {f"output/{x}": y for x, y in outputs.items()}
        for part in ("student", "teacher"):  # T-Net's are too many: its formula gives them
            stored |= {f"weights/{part}/{x}": y for x, y in recorder.weights[part].items()}
        stored |= {f"loss/{x}": y for x, y in losses.items()} | {f"gradient_norm/{x}": y for x, y in gradients.items()}
        np.savez_compressed(HERE / f"{name}.npz", **{x: np.asarray(y) for x, y in stored.items()})
        print(name, losses)
    for name in FULL:
        outputs, losses, gradients = computed(training, name, torch.float64).results()
        kept = {x: outputs[x].tolist() for x in ("prediction", "teacher_prediction", "anchors")}
        full[name] = kept | dict(losses=losses, gradient_norms=gradients)
        print(name, losses)
    (HERE / "pkdot_full.json").write_text(json.dumps(full))


if __name__ == "__main__":
    main()
