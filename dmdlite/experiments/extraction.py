"""Features of a whole folder of clips: several processes, resumed where it was stopped, no clip stops the others."""

import sys
from contextlib import closing
from pathlib import Path

from dmdlite.data.extract.folder import TEXT, Clip, FeatureFolder, find_clips, token_ids
from dmdlite.data.extract.setup import extra, model_paths
from dmdlite.data.extract.video import LONGEST
from dmdlite.experiments.workers import Task, run_tasks
