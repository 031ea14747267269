"""What the notebooks draw. Colours come from `training.figures`: one for each modality, everywhere."""

from course.figures.clips import draw_clip, draw_face
from course.figures.model_map import STAGES, model_map
from course.figures.plain import draw_bars, draw_table, png, show

__all__ = ["STAGES", "draw_bars", "draw_clip", "draw_face", "draw_table", "model_map", "png", "show"]
