"""What the evaluator knows of libraries by name: which calls give weights, gradients, files, random numbers, views."""

from __future__ import annotations

import re

WEIGHT_SOURCES = frozenset(
    [
        "parameters",
        "named_parameters",
        "state_dict",
        "get_parameter",
        "trainable_variables",
        "trainable_weights",
        "get_weights",
        "named_buffers",
        "buffers",
        "_parameters",
        "_buffers",
        "_flat_weights",
        "flat_parameters",
        "variables",
        "param_groups",
        "trainable_parameters",
        "master_params",
        "main_params",
        "get_optimizer_params",
        "float_parameters",
    ]
)
"""Methods and attributes of a model that hand out its parameters."""
WEIGHT_ATTRIBUTE = re.compile(
    r"^(q|w|kernel_)?weights?$|^bias$|_weight$|^weight_[ih]h_|^bias_[ih]h_|^lora_[AB]$|^kernel$"
)
WEIGHT_MAKERS = re.compile(
    r"^(torch\.nn\.(parameter\.)?(Parameter|UninitializedParameter|Buffer)|tensorflow\.Variable|jax\.numpy\.Parameter|"
    r"flax\.nnx\.Param|paddle\.create_parameter|mindspore\.Parameter|keras\.Variable)$"
)
VIEWS = frozenset(
    [
        "view",
        "reshape",
        "detach",
        "detach_",
        "flatten",
        "t",
        "transpose",
        "permute",
        "squeeze",
        "unsqueeze",
        "narrow",
        "select",
        "expand",
        "as_strided",
        "contiguous",
        "data_ptr",
        "numpy",
        "untyped_storage",
        "storage",
        "typed_storage",
        "chunk",
        "split",
        "unbind",
        "to",
        "cpu",
        "cuda",
        "float",
        "half",
        "double",
        "type",
        "requires_grad_",
        "view_as",
        "diagonal",
        "__array__",
        "items",
        "values",
        "keys",
        "get",
        "pop",
        "__getitem__",
        "ravel",
        "swapaxes",
        "T",
        "mT",
        "H",
        "real",
        "data",
        "__dlpack__",
        "tensor_split",
        "unflatten",
        "movedim",
        "share_memory_",
        "pin_memory",
        "bfloat16",
        "values_list",
        "data_as",
        "from_buffer",
        "contents",
        "cast",
        "__iter__",
        "__next__",
        "__array_interface__",
        "__cuda_array_interface__",
        "__getattribute__",
        "__getattr__",
        "bytes",
        "astype",
        "copy_",
        "add_",
        "sub_",
        "mul_",
        "div_",
        "as_subclass",
        "alias",
        "view_as_real",
        "read_value",
        "value",
        "base",
        "buffer",
        "tolist_view",
        "modules",
        "children",
        "named_modules",
        "named_children",
        "apply",
        "eval",
        "train",
    ]
)
"""Methods and attributes whose result shares memory with what they are of."""
SHARING = re.compile(
    r"^(torch\.(nn\.init\.\w+_|as_tensor|from_numpy|frombuffer|from_dlpack|as_strided|ravel|reshape|flatten|transpose|narrow|select|squeeze|"
    r"unsqueeze|unbind|split|chunk|_utils\._rebuild_.*|nn\.utils\.stateless\..*|utils\.dlpack\..*|asarray|swapaxes|t|tensor_split|"
    r"atleast_1d|view_as_real|detach|diagonal)|"
    r"numpy\.(asarray|frombuffer|from_dlpack|ravel|reshape|array_split|lib\.stride_tricks\.as_strided|ndarray|ctypeslib\.as_array)|"
    r"jax\.dlpack\..*|cupy\.(asarray|from_dlpack)|builtins\.(list|tuple|iter|next|reversed|sorted|memoryview|set|dict|zip|enumerate|"
    r"filter|vars)|itertools\.(chain|islice|cycle|tee|chain\.from_iterable|zip_longest|product)|collections\.(deque|OrderedDict)|"
    r"copy\.copy|ctypes\..*|weakref\.(ref|proxy)|typing\.cast|random\.(choice|sample|choices)|operator\..*|more_itertools\..*|"
    r"gc\.(get_objects|get_referrers|get_referents))$"
)
"""Functions whose result shares memory with an argument."""
GRADIENT_MAKERS = re.compile(
    r"^(torch\.autograd\.(grad|functional\.\w+)|torch\.func\.(grad|grad_and_value|vjp|jvp|jacrev|jacfwd|hessian)(\(\))?|"
    r"functorch\.\w+|jax\.(grad|value_and_grad|vjp|jvp|jacrev|jacfwd|linearize)(\(\))?|autograd\.\w+(\(\))?|"
    r"mlx\.core\.(grad|value_and_grad)(\(\))?|mlx\.nn\.value_and_grad(\(\))?|flax\.nnx\.(grad|value_and_grad)(\(\))?|tensorflow\.GradientTape\(\)\.(gradient|jacobian)|tensorflow\.gradients|"
    r"torch\.autograd\.forward_ad\.\w+|paddle\.grad)$"
)
LOADERS = re.compile(
    r"^(torch\.(load|jit\.load|hub\.load_state_dict_from_url)|safetensors(\.\w+)?\.(load_file|load|safe_open|load_model)(\(\))?(\.\w+)?|"
    r"numpy\.(load|fromfile|memmap|loadtxt|genfromtxt)|pickle\.loads?|joblib\.load|gguf\..*|h5py\..*|builtins\.open(\(\))?(\.\w+)?|"
    r"tensorflow\.train\.load_checkpoint.*|onnx\.load.*|huggingface_hub\.\w+|json\.loads?|safe_open.*)$"
)
READERS = re.compile(
    r"^(builtins\.(open|input)(\(\))?(\.\w+)?|os\.(environ|getenv|read).*|sys\.(argv|stdin).*|socket\..*|requests\..*|urllib\..*|"
    r"httpx\..*|base64\..*|zlib\..*|gzip\..*|bz2\..*|lzma\..*|binascii\..*|codecs\..*|marshal\..*|pathlib\.\w+(\(\))?\.read_\w+|"
    r"importlib\.resources.*|pkgutil\.get_data|cryptography\..*|Crypto\..*|\?\.(read|read_text|read_bytes|recv|decode|decrypt|"
    r"get_data|text|content))$"
)
"""What gives text from outside of the source, or from a decoder."""
RANDOMS = re.compile(
    r"^(torch\.(rand|randn|normal|rand_like|randn_like)|numpy\.random\.(?!choice|shuffle|permutation|randint)\w*(\(\))?(\.\w+)?|"
    r"random\.(gauss|normalvariate|uniform|random)|jax\.random\.(normal|uniform|\w*normal)|cupy\.random\..*|\?\.(standard_normal|randn|normal_?|uniform_?|gauss|cauchy_?))$"
)
MODULES = re.compile(
    r"(^torch\.nn\.(?!functional|init|utils|parallel\.distributed\.\w+\.)[A-Z]\w*$|\.from_pretrained$|\.from_config$|"
    r"^torchvision\.models\.|^timm\.create_model|^torch\.hub\.load$|"
    r"^transformers\.(Auto)?\w*(Model|For\w+|LMHeadModel)\w*$|^torch\.(compile|jit\.script|jit\.trace)$|"
    r"^sentence_transformers\.SentenceTransformer$|^diffusers\.\w+$|^keras\.(Sequential|Model)|^tensorflow\.keras\.(Sequential|Model))"
)
MODULE_BASES = re.compile(
    r"^(torch\.nn\.(modules\.\w+\.)?\w+|(tensorflow\.)?keras\.(layers\.\w+|Model)|pytorch_lightning\.\w+|lightning\..*|"
    r"transformers\..*(PreTrainedModel|Model\w*)|diffusers\..*|flax\..*|mlx\.nn\.\w+|paddle\.nn\.\w+)$"
)
SYNONYMS = (
    ("jax.experimental.optimizers.", "optax."),
    ("tensorflow.compat.v1.", "tensorflow."),
    ("tensorflow.keras.", "keras."),
    ("tf_keras.", "keras."),
    ("keras.api.", "keras."),
    ("six.moves.builtins.", "builtins."),
    ("torch.autograd.variable.Variable", "torch.tensor"),
    ("np.", "numpy."),
    ("functorch.", "torch.func."),
    ("torch._C._functorch.", "torch.func."),
    ("lightning.pytorch.", "pytorch_lightning."),
)
"""Names of one thing, and the one that rules use."""


def canonical_name(dotted: str) -> str:
    """The name by which rules know a thing of a library."""
    for other, name in SYNONYMS:
        if dotted.startswith(other):
            return name + dotted[len(other) :]
    return dotted
