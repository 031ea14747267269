from math import ceil


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
