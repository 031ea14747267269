"""Move a point and change ε: how do the transport plan, its cost and its marginals change?"""

from __future__ import annotations

import ipywidgets
import torch
from jaxtyping import Float
from torch import Tensor

from course.figures.plain import png
from course.figures.transport import draw_transport
from course.widgets import PICTURE
from dmdlite.components.transport import Transport, sinkhorn, sinkhorn_divergence, squared_distances

CLOUDS = {  # name -> first cloud, second cloud; the first point of the first cloud is the student's to move
    "left and right": (
        [[0.1, 0.9], [0.1, 0.6], [0.2, 0.35], [0.1, 0.1]],
        [[0.9, 0.8], [0.8, 0.55], [0.9, 0.3], [0.85, 0.05]],
    ),
    "crossing": (
        [[0.1, 0.1], [0.3, 0.3], [0.7, 0.7], [0.9, 0.9]],
        [[0.1, 0.9], [0.35, 0.65], [0.65, 0.35], [0.9, 0.1]],
    ),
    "the same cloud twice": (
        [[0.2, 0.2], [0.8, 0.3], [0.4, 0.8], [0.6, 0.6]],
        [[0.2, 0.2], [0.8, 0.3], [0.4, 0.8], [0.6, 0.6]],
    ),
}
EPSILONS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
PLACES = tuple(round(0.1 * step, 1) for step in range(11))


class TransportExplorer:
    """Two clouds of four points. A menu chooses them, two sliders move the point x1, and a third sets ε."""

    def __init__(self):
        wide = {"layout": {"width": "450px"}, "style": {"description_width": "80px"}}
        self.cloud = ipywidgets.Dropdown(options=list(CLOUDS), description="clouds", **wide)
        self.epsilon, self.across, self.up = (
            ipywidgets.SelectionSlider(options=options, value=value, description=name, continuous_update=False, **wide)
            for name, options, value in (("ε", EPSILONS, 0.01), ("x1 across", PLACES, 0.1), ("x1 up", PLACES, 0.1))
        )
        self.caption, self.picture = ipywidgets.HTML(), ipywidgets.Image(format="png", layout=PICTURE)
        self.cloud.observe(lambda _: self.start_cloud(), names="value")
        for slider in (self.epsilon, self.across, self.up):
            slider.observe(lambda _: self.show(), names="value")
        self.start_cloud()
        controls = [self.cloud, self.epsilon, self.across, self.up]
        self.box = ipywidgets.VBox([*controls, self.caption, self.picture])
        self.box.add_class("transport-explorer")

    def start_cloud(self) -> None:
        """Moves x1 to its place in the chosen cloud."""
        self.across.value, self.up.value = CLOUDS[self.cloud.value][0][0]
        self.show()

    def clouds(self, cloud: str, across: float, up: float) -> tuple[Float[Tensor, "4 2"], Float[Tensor, "4 2"]]:
        x, y = (torch.tensor(points, dtype=torch.float64) for points in CLOUDS[cloud])
        x[0] = torch.tensor([across, up], dtype=torch.float64)
        return x, y

    def solve(self, cloud: str, epsilon: float, across: float, up: float) -> tuple[Transport, dict[str, float]]:
        """The optimum, and its numbers: carried (⟨P, C⟩), cost (OT_ε) and divergence (S_ε)."""
        x, y = self.clouds(cloud, across, up)
        best = sinkhorn(x, y, epsilon)
        carried = float((best.plan * squared_distances(x, y)).sum())
        numbers = {
            "carried": carried,
            "cost": float(best.cost),
            "divergence": float(sinkhorn_divergence(x, y, epsilon)),
        }
        return best, numbers

    def view(self, cloud: str, epsilon: float, across: float, up: float) -> tuple[bytes, str]:
        """A picture of clouds and plan, and a sentence with the costs and the marginals."""
        best, numbers = self.solve(cloud, epsilon, across, up)
        used = int((best.plan > 0.005).sum())
        title = f"ε = {epsilon:g}: mass on {used} of 16 routes"
        gives, gets = (lowest_to_highest(best.plan.sum(axis).round(decimals=2)) for axis in (1, 0))
        caption = (
            f"<b>{title}</b>; carrying costs {numbers['carried']:.3f}, with entropy OT = {numbers['cost']:.3f}, "
            f"debiased S = {abs(numbers['divergence']):.3f}<br>every point gives {gives} and gets {gets}"
        )
        x, y = (points.numpy() for points in self.clouds(cloud, across, up))
        return png(draw_transport(x, y, best.plan.numpy(), title)), caption

    def show(self) -> None:
        self.picture.value, self.caption.value = self.view(
            self.cloud.value, self.epsilon.value, self.across.value, self.up.value
        )


def lowest_to_highest(marginal: Float[Tensor, "4"]) -> str:
    """One number, or the smallest and the largest if they differ."""
    low, high = float(marginal.min()), float(marginal.max())
    return f"{low:.2f}" if low == high else f"{low:.2f} to {high:.2f}"
