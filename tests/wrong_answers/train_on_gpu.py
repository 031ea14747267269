from math import ceil

import torch


def epoch(w, batches, accumulation, rate, leftover=True, divide=len, zero=True):
    w = w.clone().requires_grad_()
    for start in range(0, len(batches) - (0 if leftover else accumulation - 1), accumulation):
        group = batches[start : start + accumulation]
        for x, y in group:
            ((x @ w - y).abs().mean() / divide(group)).backward()
        with torch.no_grad():
            w -= rate * w.grad
        if zero:
            w.grad = None
    return w.detach()


def zeroed_too_often(w, batches, accumulation, rate):
    """The gradient is set to zero before each batch, so that only the last one of a group counts."""
    return epoch(w, batches[accumulation - 1 :: accumulation], 1, rate)


def stop_and_best(errors, patience, better=lambda error, best: error < best, extra=0):
    best = 1
    for epoch, error in enumerate(errors, start=1):
        if better(error, errors[best - 1]):
            best = epoch
        if epoch - best >= patience + extra:
            break
    return epoch, best


def against_the_epoch_before(errors, patience):
    bad = 0
    for epoch in range(2, len(errors) + 1):
        bad = bad + 1 if errors[epoch - 1] >= errors[epoch - 2] else 0
        if bad == patience:
            break
    return epoch, errors.index(min(errors[:epoch])) + 1


def never_counts_again(errors, patience):
    best, bad = 1, 0
    for epoch, error in enumerate(errors, start=1):
        best, bad = (epoch, bad) if error < errors[best - 1] else (best, bad + (epoch > 1))
        if bad >= patience:
            break
    return epoch, best


WRONG = {
    "steps_of_an_epoch": [
        lambda clips, batch_size, accumulation: clips / batch_size / accumulation,
        lambda clips, batch_size, accumulation: ceil(clips / batch_size),
        lambda clips, batch_size, accumulation: clips // batch_size // accumulation,
        lambda clips, batch_size, accumulation: ceil(clips / batch_size) // accumulation,
        lambda clips, batch_size, accumulation: ceil(clips // batch_size / accumulation),
        lambda clips, batch_size, accumulation: clips // (batch_size * accumulation) + 1,
        lambda clips, batch_size, accumulation: 9,
    ],
    "repaired": [
        lambda w, batches, accumulation, rate: epoch(w, batches, accumulation, rate, False, lambda group: 1, False),
        lambda w, batches, accumulation, rate: epoch(w, batches, accumulation, rate, leftover=False),
        lambda w, batches, accumulation, rate: epoch(w, batches, accumulation, rate, divide=lambda group: 1),
        lambda w, batches, accumulation, rate: epoch(w, batches, accumulation, rate, zero=False),
        lambda w, batches, accumulation, rate: epoch(w, batches, accumulation, rate, divide=lambda group: accumulation),
        lambda w, batches, accumulation, rate: epoch(w, batches, 1, rate),
        lambda w, batches, accumulation, rate: epoch(w, batches, len(batches), rate),
        lambda w, batches, accumulation, rate: w,
        zeroed_too_often,
    ],
    "stop_and_best": [
        lambda errors, patience: (len(errors), errors.index(min(errors)) + 1),
        lambda errors, patience: tuple(epoch - 1 for epoch in stop_and_best(errors, patience)),
        lambda errors, patience: stop_and_best(errors, patience)[::-1],
        lambda errors, patience: stop_and_best(errors, patience, better=lambda error, best: error <= best),
        lambda errors, patience: stop_and_best(errors, patience, extra=1),
        never_counts_again,
        against_the_epoch_before,
    ],
}
