"""Set, switch off or release every edge of both distillation graphs, see what they do, and train with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import ipywidgets
from ipywidgets import HTML, Layout

from course.widgets import graph_views as views
from course.widgets.graph_drawing import HIGH
from course.widgets.graph_state import (
    BY_HAND,
    PAIRS,
    PRESETS,
    SWITCHED_OFF,
    GraphReading,
    Preset,
    held_strengths,
    preset_name,
    read_graph,
    space_inputs,
    strengths_of,
)
from course.widgets.graph_training import Lessons, Outcome, editor_config
from dmdlite.config import MODALITIES, SPACES, DMDConfig
from dmdlite.data.features import FeatureSplit
from dmdlite.presets import Matrix

CLIPS = 64  # of the validation split, for the numbers that change at once
STEP, FIRST = 0.05, 0.25  # of a slider; the strength of an edge that is switched on again
LEARN, SET, OFF = "learn", "set", "off"


class EdgeControls:
    """One edge: its name, whether it is learned, set or off, its strength, and what it does.

    changed(strength) is called when a control moves; None leaves the edge to learn.
    """

    def __init__(self, pair: tuple[int, int], changed: Callable[[float | None], None]):
        self.pair, self.changed = pair, changed
        self.mode = ipywidgets.ToggleButtons(options=[LEARN, SET, OFF], layout=Layout(width="184px"))
        self.mode.style.button_width = "54px"
        self.slider = ipywidgets.FloatSlider(
            max=1.0, step=STEP, readout=False, continuous_update=True, layout=Layout(width="300px")
        )
        self.numbers = HTML()
        self.shown = (LEARN, 0.0)  # what the controls should show
        self.mode.observe(self._on_mode, names="value")
        self.slider.observe(self._on_slider, names="value")
        name = HTML(views.view_edge_name(pair), layout=Layout(width="130px"))
        self.box = ipywidgets.HBox([name, self.mode, self.slider, self.numbers], layout=Layout(align_items="center"))

    def show(self, held: float, reading: GraphReading) -> None:
        """held: the strength set by hand, nan where there is none. The slider follows the strength in force."""
        strength = round(round(min(reading.strengths[self.pair].item(), 1.0) / STEP) * STEP, 2)
        self.shown = (LEARN if held != held else SET if held else OFF, strength)
        self.mode.value, self.slider.value = self.shown
        self.numbers.value = views.view_edge(reading, self.pair)

    def _on_mode(self, change: dict) -> None:
        mode, strength = self.shown
        if change["new"] != mode:
            self.changed({LEARN: None, SET: strength or FIRST, OFF: 0.0}[change["new"]])

    def _on_slider(self, change: dict) -> None:
        if change["new"] != self.shown[1]:
            self.changed(change["new"])


class GraphEditor:
    """Both distillation graphs of a small model, set by hand; `widgets/graph_state.py` has the presets.

    A preset that is a function of the errors gets those of the heads at the start, on the validation clips.

    The controls write to `held`, and everything shown is computed from `held`. Moving a slider sets its edge. After a
    training the large graph shows the trained edges, until an edge is changed.
    """

    def __init__(
        self,
        splits: Mapping[str, FeatureSplit],
        presets: Mapping[str, Preset] = PRESETS,
        config: DMDConfig | None = None,
    ):
        self.presets = dict(presets)
        self.lessons = Lessons(splits["train"], splits["valid"], config or editor_config())
        self.inputs = space_inputs(self.lessons.start, splits["valid"].batch(range(min(CLIPS, len(splits["valid"])))))
        self.held = {space: held_strengths(SWITCHED_OFF) for space in SPACES}
        self.before = self.lessons.before()
        self.graphs = {space: self._resolved(space) for space in SPACES}
        self.control = self._lesson()
        self.outcomes: list[Outcome] = []
        self.trained: Outcome | None = None  # what the large graph shows, if anything was trained since the last change
        self.held = {space: held_strengths(None) for space in SPACES}
        self.readings = {space: self._read(space) for space in SPACES}
        self._make_controls()
        self.show()
        self.show_outcomes()

    def set_edge(self, source: str, target: str, strength: float | None) -> None:
        """One edge of the chosen space; None leaves it to learn."""
        pair = MODALITIES.index(source), MODALITIES.index(target)
        self.held[self.space.value][pair] = float("nan") if strength is None else strength
        self._graph_changed()

    def set_graph(self, preset: str) -> None:
        """All six edges of the chosen space."""
        self.held[self.space.value] = held_strengths(self.graphs[self.space.value][preset])
        self._graph_changed()

    def train(self) -> Outcome:
        """The same lessons as for every other choice, from the same start; adds a row to the table."""
        self.train_button.disabled, self.train_button.description = True, "training …"
        try:
            self.trained = self._lesson()
            self.outcomes.append(self.trained)
        finally:
            self.train_button.disabled, self.train_button.description = False, self.invitation
        self.show()
        self.show_outcomes()
        return self.outcomes[-1]

    def reset(self) -> None:
        """Forgets every outcome but the control."""
        self.outcomes, self.trained = [], None
        self.show()
        self.show_outcomes()

    def show(self) -> None:
        """Everything but the table of results, from what is held and what was read."""
        space = self.space.value
        held, reading = self.held[space], self.readings[space]
        self.preset.value = preset_name(held, self.graphs[space])
        for edge in self.edges:
            edge.show(held[edge.pair].item(), reading)
        for place, student in enumerate(self.students):
            student.value = views.view_student(reading, place)
        trained = self.trained
        self.picture.value = (
            views.view_trained(trained, space, self.lessons.steps) if trained else views.view_reading(reading, space)
        )

    def show_outcomes(self) -> None:
        self.table.value = views.view_outcomes(self.before, self.control, self.outcomes, self.space.value)

    def _graph_changed(self) -> None:
        self.trained = None
        self.readings[self.space.value] = self._read(self.space.value)
        self.show()

    def _resolved(self, space: str) -> dict[str, Matrix | None]:
        errors = {m: self.before.errors[f"{space}_{m}"] for m in MODALITIES}
        return {name: strengths_of(preset, errors) for name, preset in self.presets.items()}

    def _read(self, space: str) -> GraphReading:
        return read_graph(self.lessons.start, space, self.inputs[space], self.held[space])

    def _lesson(self) -> Outcome:
        return self.lessons.after(self.held, {s: preset_name(held, self.graphs[s]) for s, held in self.held.items()})

    def _make_controls(self) -> None:
        self.space = ipywidgets.ToggleButtons(options=list(SPACES))
        self.space.style.button_width = "120px"
        self.preset = ipywidgets.Dropdown(options=[*self.presets, BY_HAND], layout=Layout(width="240px"))
        self.picture = ipywidgets.Image(format="svg+xml", width=400, layout=Layout(align_self="flex-start"))
        self.table = HTML(layout=Layout(max_height=f"{HIGH}px", overflow="auto"))
        self.edges = [EdgeControls(pair, self._setter(pair)) for pair in PAIRS]
        self.students = [HTML() for _ in MODALITIES]
        self.invitation = f"Train {self.lessons.steps} steps, in {self.lessons.orders} orders"
        wide = Layout(width="auto")
        self.train_button = ipywidgets.Button(description=self.invitation, button_style="primary", layout=wide)
        self.reset_button = ipywidgets.Button(description="Clear the table", layout=wide)
        self.space.observe(lambda change: (self.show(), self.show_outcomes()), names="value")
        self.preset.observe(lambda change: self._on_preset(change["new"]), names="value")
        self.train_button.on_click(lambda button: self.train())
        self.reset_button.on_click(lambda button: self.reset())
        self.box = self._box()

    def _setter(self, pair: tuple[int, int]) -> Callable[[float | None], None]:
        source, target = (MODALITIES[place] for place in pair)
        return lambda strength: self.set_edge(source, target, strength)

    def _on_preset(self, name: str) -> None:
        now = preset_name(self.held[self.space.value], self.graphs[self.space.value])
        if name == BY_HAND:  # no choice, only a name for the present graph
            self.preset.value = now
        elif name != now:
            self.set_graph(name)

    def _box(self) -> ipywidgets.VBox:
        middle = Layout(align_items="center", margin="0 0 6px 0")
        pairs = [ipywidgets.VBox([first.box, second.box]) for first, second in zip(self.edges[::2], self.edges[1::2])]
        groups = [ipywidgets.HBox(both, layout=middle) for both in zip(pairs, self.students)]
        head = ipywidgets.HBox([HTML(layout=Layout(width="618px")), HTML(views.view_columns())])
        asked = [HTML("Edit the"), self.space, HTML("graph; all six edges:"), self.preset]
        choices = ipywidgets.HBox(asked, layout=Layout(align_items="center"))
        buttons = ipywidgets.HBox([self.train_button, self.reset_button])
        results = ipywidgets.VBox([buttons, self.table], layout=Layout(margin="0 0 0 16px"))
        side_by_side = Layout(flex_flow="row wrap", align_items="flex-start", margin="6px 0")
        box = ipywidgets.VBox([choices, ipywidgets.HBox([self.picture, results], layout=side_by_side), head, *groups])
        box.add_class("graph-editor")
        return box
