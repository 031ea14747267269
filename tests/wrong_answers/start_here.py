import numpy as np

import dmdlite


def named(i, j):
    return f"{dmdlite.MODALITIES[i]} -> {dmdlite.MODALITIES[j]}"


WRONG = {
    "constant_error": [
        lambda train, test: np.abs(test - train.mean()).mean(),
        lambda train, test: np.abs(test - np.median(test)).mean(),
        lambda train, test: np.square(test - np.median(train)).mean(),
        lambda train, test: (np.median(train) - test).mean(),
        lambda train, test: np.abs(test).mean(),
        lambda train, test: np.median(np.abs(test - np.median(train))),
        lambda train, test: np.sqrt(np.square(test - np.median(train)).mean()),
        lambda train, test: abs((test - np.median(train)).mean()),
        lambda train, test: np.abs(train - np.median(train)).mean(),
        lambda train, test: np.abs(test - np.median(train)).sum(),
        lambda train, test: 1.0,
    ],
    "strongest_edge": [
        lambda edges: named(*divmod(int(edges.T.argmax()), 3)),
        lambda edges: "language -> audio",
        lambda edges: named(*divmod(int(edges.argmax()), 3)).replace(" -> ", "→"),
        lambda edges: named(*divmod(int(edges.argmax()), 3)).replace(" ", ""),
        lambda edges: named(*divmod(int((-edges).argmax()), 3)),
        # Other rules: the strongest teacher and student, the strongest pair, the weakest edge
        lambda edges: named(int(edges.sum(dim=1).argmax()), int(edges.sum(dim=0).argmax())),
        lambda edges: named(int(edges.max(dim=1).values.argmax()), int(edges.sum(dim=0).argmax())),
        lambda edges: named(*divmod(int((edges + edges.T).triu().argmax()), 3)),
        lambda edges: named(*divmod(int((edges + 9 * edges.eq(0)).argmin()), 3)),
    ],
}
