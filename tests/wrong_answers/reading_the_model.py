import numpy as np


def nearest(features, point):
    return np.linalg.norm(features - point, axis=1).argsort()


def in_place(features, name, stand_in):
    features[name] = np.broadcast_to(stand_in, features[name].shape)
    return features


def written_into(features, name, stand_in):
    hidden = dict(features)
    hidden[name][:] = stand_in
    return hidden


def all_streams(features, name, stand_in):
    return {m: np.zeros_like(x) for m, x in features.items()} | {name: np.repeat(stand_in[None], 4, axis=0)}


def no_return(features, name, stand_in):
    hidden = features | {name: np.broadcast_to(stand_in, features[name].shape)}  # noqa: F841


def by_largest_difference(features, labels, point, k):
    return labels[np.abs(features - point).max(axis=1).argsort()[:k]].mean()


def first_clip(features, name, stand_in):
    hidden = {m: x.copy() for m, x in features.items()}
    hidden[name][0] = stand_in
    return hidden


WRONG = {
    "hide": [
        in_place,
        written_into,
        all_streams,
        first_clip,
        lambda features, name, stand_in: features | {name: stand_in},
        lambda features, name, stand_in: features | {name: np.zeros_like(features[name])},
        lambda features, name, stand_in: {name: np.broadcast_to(stand_in, features[name].shape)},
        lambda features, name, stand_in: features | {"audio": np.broadcast_to(stand_in, features[name].shape)},
        lambda features, name, stand_in: features | {name: features[name] + stand_in},
        no_return,
    ],
    "nearest_average": [
        lambda features, labels, point, k: labels[nearest(features, point)[0]],
        lambda features, labels, point, k: labels[nearest(features, point)[:k]].sum(),
        lambda features, labels, point, k: np.median(labels[nearest(features, point)[:k]]),
        lambda features, labels, point, k: labels[nearest(features, point)[-k:]].mean(),
        lambda features, labels, point, k: labels.mean(),
        lambda features, labels, point, k: labels[:k].mean(),
        lambda features, labels, point, k: np.sort(np.linalg.norm(features - point, axis=1))[:k].mean(),
        lambda features, labels, point, k: labels[(features - point).sum(axis=1).argsort()[:k]].mean(),
        lambda features, labels, point, k: labels[np.abs(features - point)[:, 0].argsort()[:k]].mean(),
        lambda features, labels, point, k: labels[np.abs(features - point)[:, -1].argsort()[:k]].mean(),
        lambda features, labels, point, k: nearest(features, point)[:k].mean(),
        lambda features, labels, point, k: labels[np.abs(features - point).sum(axis=1).argsort()[:k]].mean(),
        # Answers that do not look at the point, or measure a distance in another way
        lambda features, labels, point, k: np.sort(labels)[:k].mean(),
        lambda features, labels, point, k: labels[np.linalg.norm(features, axis=1).argsort()[:k]].mean(),
        by_largest_difference,
    ],
}
