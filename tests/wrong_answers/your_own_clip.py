import numpy as np

EYES = (33, 133), (263, 362)


def scaled(points, a=(33, 133), b=(263, 362), lips=slice(2), eyes=slice(2)):
    middles = [points[list(eye), eyes].mean(axis=0) for eye in (a, b)]
    return np.linalg.norm(points[13, lips] - points[14, lips]) / np.linalg.norm(middles[0] - middles[1])


def disagreement(ratings, least=2, within=1, anyhow=1, weighted=True, of_all=False):
    kept = [row[~np.isnan(row)] for row in ratings if (~np.isnan(row)).sum() >= least]
    every = np.concatenate(kept) if not of_all else ratings[~np.isnan(ratings)]
    own = [np.var(x, ddof=within) for x in kept]
    return np.average(own, weights=[len(x) if weighted else 1 for x in kept]) / np.var(every, ddof=anyhow)


def folds(students, of=np.unique):
    return [(np.flatnonzero(students != who), np.flatnonzero(students == who)) for who in of(students)]


WRONG = {
    "opening": [
        lambda points: np.linalg.norm(points[13, :2] - points[14, :2]),
        lambda points: scaled(points, (33,), (263,)),
        lambda points: scaled(points, (133,), (362,)),
        lambda points: scaled(points, lips=slice(1, 2)),
        lambda points: scaled(points, lips=slice(3)),
        lambda points: scaled(points, eyes=slice(3)),
        lambda points: scaled(points, lips=slice(3), eyes=slice(3)),
        lambda points: 1 / scaled(points),
        lambda points: points[[13, 14]] / scaled(points),
        lambda points: scaled(points) + 0.01 * (points[33, 1] > 150),  # wrong once the head is tilted
    ],
    "alpha": [
        disagreement,
        lambda ratings: 1 - disagreement(ratings, of_all=True),
        lambda ratings: 1 - disagreement(ratings, weighted=False),
        lambda ratings: 1 - disagreement(ratings, within=0, anyhow=0),
        lambda ratings: 1 - disagreement(ratings, within=0),
        lambda ratings: 1 - ratings.var(axis=1).mean() / ratings.var(),  # NaN
        lambda ratings: float(np.nanmean(ratings)),
        lambda ratings: 1 - disagreement(ratings) if len(ratings) < 10 else 0.743,  # of the nominal metric
    ],
    "leave_one_out": [
        lambda students: [(np.delete(np.arange(len(students)), i), np.array([i])) for i in range(len(students))],
        lambda students: folds(students)[:2],
        lambda students: [(students != who, students == who) for who in np.unique(students)],
        lambda students: [(test, train) for train, test in folds(students)],
        lambda students: [(np.arange(len(students)), test) for _, test in folds(students)],
        lambda students: folds(students)[::-1],
        lambda students: folds(students, lambda x: np.arange(3)),  # names are no numbers
        lambda students: [(train[1:], test) for train, test in folds(students)],
        lambda students: [(np.arange(0, 3), np.arange(3, 6))] * 3,
    ],
}
