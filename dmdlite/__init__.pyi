# For type checkers and editors: __init__.py imports each of these names only when it is first asked for.
from dmdlite.config import MODALITIES as MODALITIES
from dmdlite.config import SPACES as SPACES
from dmdlite.config import DMDConfig as DMDConfig
from dmdlite.config import ModelConfig as ModelConfig
from dmdlite.config import TrainingConfig as TrainingConfig
from dmdlite.data.features import load_features as load_features
from dmdlite.data.toy import toy_world as toy_world
from dmdlite.experiments.compare import compare as compare
from dmdlite.experiments.tune import tune as tune
from dmdlite.models.conventional_distillation import ConventionalDistillation as ConventionalDistillation
from dmdlite.models.dhmd import DHMD as DHMD
from dmdlite.models.dhmd import DHMDConfig as DHMDConfig
from dmdlite.models.dlf import DLF as DLF
from dmdlite.models.dlf import DLFConfig as DLFConfig
from dmdlite.models.dmd import DMD as DMD
from dmdlite.models.early_fusion import EarlyFusion as EarlyFusion
from dmdlite.models.late_fusion import LateFusion as LateFusion
from dmdlite.models.misa import MISA as MISA
from dmdlite.models.misa import MISAConfig as MISAConfig
from dmdlite.models.momke import MoMKE as MoMKE
from dmdlite.models.momke import MoMKEConfig as MoMKEConfig
from dmdlite.models.mult import MulT as MulT
from dmdlite.models.mult import MulTConfig as MulTConfig
from dmdlite.models.pkdot import PKDOT as PKDOT
from dmdlite.models.pkdot import PKDOTConfig as PKDOTConfig
from dmdlite.models.pkdot import PKDOTTeacher as PKDOTTeacher
from dmdlite.models.pmr import PMR as PMR
from dmdlite.models.registry import Recipe as Recipe
from dmdlite.models.registry import build as build
from dmdlite.models.unimodal import Unimodal as Unimodal
from dmdlite.training.loop import plain_loop as plain_loop
from dmdlite.training.runs import embed as embed
from dmdlite.training.runs import evaluate as evaluate
from dmdlite.training.runs import predict as predict
from dmdlite.training.trainer import train as train

__version__: str
