"""Tiny libraries that are shaped as the real ones are, as files of a workspace: what is known of a library is tested
without it. What would be downloaded raises."""

TRANSFORMERS = {
    "transformers/__init__.py": """
from transformers.tokenization_utils_base import BatchEncoding
from transformers.configuration_utils import PretrainedConfig
from transformers.models.auto.configuration_auto import AutoConfig
from transformers.models.auto.modeling_auto import AutoModel
from transformers.models.auto.tokenization_auto import AutoTokenizer
from transformers.modeling_utils import PreTrainedModel
from transformers.models.bert import BertConfig, BertModel
""",
    "transformers/configuration_utils.py": """
class PretrainedConfig:
    model_type = ""
    def __init__(self, **rest):
        vars(self).update(rest)
    def to_dict(self):
        return dict(vars(self), model_type=self.model_type)
    @classmethod
    def from_dict(cls, known, return_unused_kwargs=False, **keywords):
        made = cls(**{key: value for key, value in known.items() if key != "model_type"})
        used = [key for key in keywords if hasattr(made, key)]
        for key in used:
            setattr(made, key, keywords.pop(key))
        return (made, keywords) if return_unused_kwargs else made
    @classmethod
    def from_pretrained(cls, name, **keywords):
        raise OSError("We couldn't connect")
""",
    "transformers/modeling_utils.py": """
from torch import nn
from transformers.configuration_utils import PretrainedConfig
class PreTrainedModel(nn.Module):
    config_class = None
    def __init__(self, config):
        super().__init__()
        if not isinstance(config, PretrainedConfig):
            raise TypeError(f"Parameter config in `{type(self).__name__}(config)` should be an instance of a config")
        self.config = config
    @classmethod
    def from_pretrained(cls, name, **keywords):
        raise OSError("We couldn't connect")
""",
    "transformers/models/__init__.py": "",
    "transformers/models/bert.py": """
import torch
from torch import nn
from transformers.configuration_utils import PretrainedConfig
from transformers.modeling_utils import PreTrainedModel
class BertConfig(PretrainedConfig):
    model_type = "bert"
    def __init__(self, vocab_size=99, hidden_size=24, **rest):
        super().__init__(**rest)
        self.vocab_size, self.hidden_size = vocab_size, hidden_size
class BertModel(PreTrainedModel):
    config_class = BertConfig
    def __init__(self, config, pool=False):
        super().__init__(config)
        self.words = nn.Embedding(config.vocab_size, config.hidden_size)
    def forward(self, input_ids, attention_mask=None):
        words = self.words(input_ids)
        return words if attention_mask is None else words * attention_mask[:, :, None].expand(words.shape)
""",
    "transformers/tokenization_utils_base.py": """
class BatchEncoding(dict):
    def __getattr__(self, name):
        return self[name]
""",
    "transformers/modeling_outputs.py": """
class BaseModelOutputWithPooling:
    def __init__(self, last_hidden_state=None, pooler_output=None, hidden_states=None):
        self.last_hidden_state, self.pooler_output = last_hidden_state, pooler_output
        self.hidden_states = hidden_states
""",
    "transformers/models/auto/__init__.py": "",
    "transformers/models/auto/configuration_auto.py": """
from transformers.models.bert import BertConfig
CONFIG_MAPPING_NAMES = {"bert": "BertConfig"}
CONFIG_MAPPING = {"bert": BertConfig}
class AutoConfig:
    @classmethod
    def from_pretrained(cls, name, **keywords):
        raise OSError("We couldn't connect")
""",
    "transformers/models/auto/auto_factory.py": """
class _BaseAutoModelClass:
    @classmethod
    def from_config(cls, config, **keywords):
        from transformers.models.bert import BertModel
        return BertModel(config, **keywords)
    @classmethod
    def from_pretrained(cls, name, **keywords):
        raise OSError("We couldn't connect")
""",
    "transformers/models/auto/modeling_auto.py": """
from transformers.models.auto.auto_factory import _BaseAutoModelClass
class AutoModel(_BaseAutoModelClass):
    pass
""",
    "transformers/models/auto/tokenization_auto.py": """
class AutoTokenizer:
    @classmethod
    def from_pretrained(cls, name, **keywords):
        raise OSError("We couldn't connect")
""",
}

HUB = {
    "huggingface_hub/__init__.py": "from huggingface_hub.file_download import hf_hub_download\n",
    "huggingface_hub/errors.py": "class LocalEntryNotFoundError(FileNotFoundError): ...\n",
    "huggingface_hub/file_download.py": """
def hf_hub_download(repo_id, filename, **keywords):
    raise PermissionError(13, "Permission denied")
""",
    "safetensors/__init__.py": """
def safe_open(filename, framework):
    return open(filename)
""",
    "safetensors/torch.py": """
def load_file(filename, device="cpu"):
    return open(filename)
def load_model(model, filename):
    return open(filename)
""",
}

TIMM = {
    "timm/__init__.py": "from timm.models._factory import create_model\n",
    "timm/models/__init__.py": "",
    "timm/models/_builder.py": """
def load_pretrained(model, pretrained_cfg=None):
    raise PermissionError(13, "Permission denied")
def build_model_with_cfg(model, pretrained):
    if pretrained:
        load_pretrained(model, pretrained_cfg={"architecture": "tiny", "hf_hub_id": "timm/tiny"})
    return model
""",
    "timm/models/_factory.py": """
from torch import nn
from timm.models._builder import build_model_with_cfg
def is_model(name):
    return name == "tiny"
def load_model_config_from_hf(model_id):
    raise PermissionError(13, "Permission denied")
def create_model(name, pretrained=False, num_classes=7):
    if name.startswith("hf-hub:"):
        _, name, _ = load_model_config_from_hf(name[7:])
    return build_model_with_cfg(nn.Linear(5, num_classes), pretrained)
""",
}

GEOMETRIC = {
    "torch_geometric/__init__.py": "",
    "torch_geometric/data.py": """
class Data:
    def __init__(self, x=None, edge_index=None, batch=None, **more):
        vars(self).update(x=x, edge_index=edge_index, batch=batch, **more)
    def to_dict(self):
        return {key: value for key, value in vars(self).items() if value is not None}
class HeteroData:
    def __init__(self):
        self._stores = {}
    def __getitem__(self, kind):
        return self._stores.setdefault(kind, Data())
    def _all(self, name):
        return {key: getattr(part, name) for key, part in self._stores.items() if getattr(part, name, None) is not None}
    @property
    def x_dict(self):
        return self._all("x")
    @property
    def edge_index_dict(self):
        return self._all("edge_index")
class Batch(Data):
    @property
    def num_graphs(self):
        return int(self.batch.max()) + 1
""",
    "torch_geometric/nn.py": """
import torch
from torch import nn
class MessagePassing(nn.Module):
    def propagate(self, edge_index, x):
        source, target = edge_index
        return torch.zeros_like(x).index_add_(0, target, x[source])
class GCNConv(MessagePassing):
    def __init__(self, wide, narrow):
        super().__init__()
        self.lin = nn.Linear(wide, narrow)
    def forward(self, x, edge_index):
        if x.dim() != 2:
            raise ValueError("Static graphs not supported")
        return self.lin(self.propagate(edge_index, x))
class HeteroConv(nn.Module):
    def __init__(self, convs):
        super().__init__()
        self.parts = nn.ModuleList(convs.values())
        self.convs = dict(zip(convs, self.parts))
    def forward(self, x_dict, edge_index_dict):
        return {key[2]: conv(x_dict[key[0]], edge_index_dict[key]) for key, conv in self.convs.items()}
""",
}

CONFIGURATIONS = {
    "omegaconf/__init__.py": """
import json
from omegaconf import errors
class ListConfig(list): ...
class DictConfig:
    def __init__(self, content):
        self.__dict__["_content"] = content
    def __getattr__(self, name):
        if name not in self._content:
            raise AttributeError(name)
        return OmegaConf.create(self._content[name])
class OmegaConf:
    @staticmethod
    def create(content):
        return DictConfig(content) if isinstance(content, dict) else content
    @staticmethod
    def load(path):
        return OmegaConf.create(json.loads(open(path).read()))
    @staticmethod
    def to_container(config, resolve=False):
        if resolve and "??" in str(config._content):
            raise errors.OmegaConfBaseException
        return config._content
""",
    "omegaconf/errors.py": "class OmegaConfBaseException(Exception): ...\n",
    "hydra/__init__.py": """
import contextlib, os
from omegaconf import OmegaConf
folder = []
def main(config_path=None, config_name=None, version_base=None):
    def decorated(function):
        def run(cfg=None):
            raise SystemExit("it reads the command line")
        return run
    return decorated
@contextlib.contextmanager
def initialize_config_dir(config_dir, version_base=None):
    folder.append(config_dir)
    yield
def compose(config_name):
    return OmegaConf.load(os.path.join(folder[-1], config_name + ".json"))
""",
    "hydra/core/__init__.py": "",
    "hydra/core/global_hydra.py": """
class GlobalHydra:
    @classmethod
    def instance(cls):
        return cls()
    def clear(self): ...
""",
}

CONSUMERS = {
    "diffusers/__init__.py": "",
    "diffusers/models.py": """
import torch
from torch import nn
class Timesteps(nn.Module):
    def forward(self, timesteps):
        assert timesteps.dim() == 1, "Timesteps should be a 1d-array"
        return timesteps[:, None].float() * torch.ones(4)
""",
    "torchvision/__init__.py": "",
    "torchvision/ops.py": """
def roi_align(input, boxes, output_size):
    if boxes.size(1) != 5:
        raise ValueError("The shape of the tensor in the boxes list is not correct")
    return input.mean((0, 2, 3)) + boxes.sum(1, keepdim=True)
""",
    "torchvision/models.py": """
from torch import nn
class GeneralizedRCNN(nn.Module):
    def forward(self, images, targets=None):
        if any(image.dim() != 3 for image in images):
            raise ValueError("images is expected to be a list of 3d tensors")
        return [image.mean((1, 2)) for image in images]
""",
    "torchaudio/__init__.py": "",
    "torchaudio/transforms.py": """
from torch import nn
class Spectrogram(nn.Module):
    def forward(self, waveform):
        return waveform.unfold(-1, 400, 200)
""",
    "e3nn/__init__.py": "",
    "e3nn/o3.py": """
import torch
from torch import nn
class Irreps:
    dim = 10
class TensorProduct(nn.Module):
    def __init__(self):
        super().__init__()
        self.irreps_in1 = self.irreps_in2 = Irreps()
    def forward(self, x, y):
        assert x.shape[-1] == 10 and x.dim() < 5
        return torch.einsum("...i,...j->...ij", x, y)
""",
    "peft/__init__.py": """
from torch import nn
class PeftModel(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.base_model = model
    def get_base_model(self):
        return self.base_model
    def forward(self, *arguments, **keywords):
        return self.base_model(*arguments, **keywords)
""",
    "tensordict/__init__.py": """
class TensorDict:
    def __init__(self, items, batch_size):
        self._items, self.batch_size = dict(items), batch_size
        if any(item.shape[: len(batch_size)] != batch_size for item in items.values()):
            raise RuntimeError("the batch dimension is incongruent")
    def __getitem__(self, key):
        return self._items[key]
    def items(self):
        return self._items.items()
""",
    "sentence_transformers/__init__.py": """
from torch import nn
class SentenceTransformer(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model
    def forward(self, input):
        ids, mask = input["input_ids"], input["attention_mask"]
        return {"sentence_embedding": self.model(ids, attention_mask=mask).mean(1)}
""",
    "lightning/__init__.py": "from lightning.pytorch.core.module import LightningModule\n",
    "lightning/pytorch/__init__.py": "",
    "lightning/pytorch/cli.py": "class LightningCLI: ...\n",
    "lightning/pytorch/core/__init__.py": "",
    "lightning/pytorch/core/module.py": """
from torch import nn
class LightningModule(nn.Module):
    __jit_unused_properties__ = ["trainer"]
    _jit_is_scripting = False
    def forward(self, *arguments, **keywords):
        return super().forward(*arguments, **keywords)
    def training_step(self, *arguments, **keywords):
        raise NotImplementedError
    @property
    def trainer(self):
        if not self._jit_is_scripting:
            raise RuntimeError("is not attached to a `Trainer`.")
""",
}
