"""The Python entry points; the command-line tools are argparse and one call of these."""

from rein_seg.environment import check_environment, quiet_imports

check_environment()
with quiet_imports():
    import mmseg.datasets
    import mmseg.models  # noqa: F401

# importing registers models, data sets, transforms, metrics and hooks in mmseg's registries
import rein_seg.datasets  # noqa: E402, F401
import rein_seg.engine  # noqa: E402, F401
import rein_seg.evaluation  # noqa: E402, F401
import rein_seg.heads  # noqa: E402, F401
import rein_seg.models.adversarial  # noqa: E402, F401
import rein_seg.models.backbone  # noqa: E402, F401
import rein_seg.models.cavpt_file  # noqa: E402, F401
import rein_seg.models.dense_clip_file  # noqa: E402, F401
import rein_seg.models.eomt_file  # noqa: E402, F401
import rein_seg.models.image_model  # noqa: E402, F401
import rein_seg.models.multi_task  # noqa: E402, F401
import rein_seg.models.pmt_file  # noqa: E402, F401
import rein_seg.models.segmentor  # noqa: E402, F401
import rein_seg.models.two_stage  # noqa: E402, F401
import rein_seg.models.zegclip_file  # noqa: E402, F401
import rein_seg.models.zsseg_file  # noqa: E402, F401
import rein_seg.necks  # noqa: E402, F401
import rein_seg.text  # noqa: E402, F401
from rein_seg.config.load import load_config  # noqa: E402
from rein_seg.inference.loading import load  # noqa: E402
from rein_seg.inference.predictor import Predictor  # noqa: E402
from rein_seg.inference.result import Prediction  # noqa: E402
from rein_seg.library.adapters import load_adapter, save_adapter  # noqa: E402
from rein_seg.library.attach import attach  # noqa: E402
from rein_seg.library.build import build_backbone, build_model  # noqa: E402
from rein_seg.library.find import known_modules  # noqa: E402
from rein_seg.library.parameters import print_trainable_parameters  # noqa: E402
from rein_seg.run.predict import init_model, predict  # noqa: E402
from rein_seg.run.service import AdapterService  # noqa: E402
from rein_seg.run.submit import submit  # noqa: E402
from rein_seg.run.test import test  # noqa: E402
from rein_seg.run.train import train  # noqa: E402

__all__ = [
    'AdapterService',
    'Prediction',
    'Predictor',
    'attach',
    'build_backbone',
    'build_model',
    'init_model',
    'known_modules',
    'load',
    'load_adapter',
    'load_config',
    'predict',
    'print_trainable_parameters',
    'save_adapter',
    'submit',
    'test',
    'train',
]
