"""The figure of a validation curve."""

import numpy as np

from course.figures import png
from course.figures.training import draw_validation


def test_dots_mark_the_epochs_that_beat_all_before():
    figure = draw_validation([0.9, 0.7, 0.8, 0.7, 0.6], 2, "title")
    curve, dots, end = figure.axes[0].lines
    np.testing.assert_array_equal(curve.get_xdata(), [1, 2, 3, 4, 5])
    np.testing.assert_array_equal(dots.get_xdata(), [1, 2, 5])  # the second 0.7 is not better
    assert end.get_xdata()[0] == 2.5 and figure.axes[0].get_title() == "title"
    assert png(figure).startswith(b"\x89PNG")
