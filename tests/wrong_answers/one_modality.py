import numpy as np
import torch
import torch.nn.functional as F


def convolve(x, weight, before, after):
    return F.conv1d(F.pad(x.T, (before, after))[None], weight)[0].T


def half(weight):
    return weight.shape[2] // 2


def replicated(x, weight):
    ends = half(weight)
    return convolve(torch.cat([x[:1].expand(ends, -1), x, x[-1:].expand(ends, -1)]), weight, 0, 0)


def classes(values):
    return np.round(np.clip(values, -3, 3))


def ranks(values):
    return values.argsort().argsort()


WRONG = {
    "same_convolution": [
        lambda x, weight: convolve(x, weight, 0, 0),
        lambda x, weight: convolve(x, weight, 0, 2 * half(weight)),
        lambda x, weight: convolve(x, weight, 2 * half(weight), 0),
        lambda x, weight: convolve(x, weight, 1, 1),
        lambda x, weight: convolve(x, weight, 2 * half(weight), 2 * half(weight)),
        lambda x, weight: convolve(x, weight.flip(2), half(weight), half(weight)),
        lambda x, weight: convolve(x, weight, half(weight), half(weight)).T,
        lambda x, weight: F.pad(convolve(x, weight, 0, 0), (0, 0, half(weight), half(weight))),
        lambda x, weight: 2 * convolve(x, weight, half(weight), half(weight)),
        replicated,
    ],
    "acc7": [
        lambda predictions, labels: (np.round(predictions) == np.round(labels)).mean(),
        lambda predictions, labels: (classes(predictions) == labels).mean(),
        lambda predictions, labels: (np.clip(predictions, -3, 3).astype(int) == classes(labels)).mean(),
        lambda predictions, labels: (
            np.floor(np.clip(predictions, -3, 3) + 0.5) == np.floor(np.clip(labels, -3, 3) + 0.5)
        ).mean(),
        lambda predictions, labels: (np.abs(predictions - labels) <= 0.5).mean(),
        lambda predictions, labels: (np.abs(np.clip(predictions, -3, 3) - labels) <= 0.5).mean(),
        lambda predictions, labels: (classes(predictions) == classes(labels)).sum(),
        lambda predictions, labels: classes(predictions) == classes(labels),
        lambda predictions, labels: (classes(predictions) == classes(labels))[labels != 0].mean(),
        lambda predictions, labels: (np.round(np.clip(predictions, -2, 2)) == np.round(np.clip(labels, -2, 2))).mean(),
    ],
    "correlation": [
        lambda predictions, labels: predictions @ labels / np.linalg.norm(predictions) / np.linalg.norm(labels),
        lambda predictions, labels: np.corrcoef(predictions, labels)[0, 1],
        lambda predictions, labels: np.corrcoef(predictions, labels),
        lambda predictions, labels: ((predictions - predictions.mean()) * (labels - labels.mean())).mean(),
        lambda predictions, labels: np.cov(predictions, labels)[0, 1] / predictions.std() / labels.std(),
        lambda predictions, labels: (
            np.cov(predictions, labels, ddof=0)[0, 1] / predictions.std(ddof=1) / labels.std(ddof=1)
        ),
        lambda predictions, labels: np.corrcoef(predictions, labels)[0, 1] ** 2,
        lambda predictions, labels: abs(np.corrcoef(predictions, labels)[0, 1]),
        lambda predictions, labels: np.corrcoef(ranks(predictions), ranks(labels))[0, 1],
        lambda predictions, labels: 0.9,
    ],
    "mean_error": [
        lambda prediction, labels: (prediction - labels).abs().mean(),
        lambda prediction, labels: (prediction - labels[None]).abs().mean(),
        lambda prediction, labels: (prediction - labels).abs().min(dim=1).values.mean(),
        lambda prediction, labels: (prediction - labels).diagonal().abs().sum(),
        lambda prediction, labels: (prediction[0] - labels).abs().mean(),
        lambda prediction, labels: (prediction.mean() - labels.mean()).abs(),
        lambda prediction, labels: (prediction[:, 0] - labels).mean().abs(),
        lambda prediction, labels: (prediction[:, 0] - labels).abs().sum(),
        lambda prediction, labels: (prediction[:, 0] - labels).abs().median(),
        lambda prediction, labels: (prediction[:, 0] - labels).square().mean(),
        lambda prediction, labels: (prediction[:, 0] - labels).abs(),
        lambda prediction, labels: (prediction.detach()[:, 0] - labels).abs().mean(),
        lambda prediction, labels: (prediction[:, 0] - labels).abs().mean().item(),
        lambda prediction, labels: (prediction.squeeze()[:3] - labels[:3]).abs().mean(),
    ],
}
