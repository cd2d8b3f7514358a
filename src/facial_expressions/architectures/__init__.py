"""Networks in Keras 3, one file each; importing this package registers them all.

Needs the extra ``train``.
"""

from facial_expressions.architectures import compact_resnet, standardized_cnn
from facial_expressions.architectures.registry import (
    Architecture,
    build_architecture,
    get_architecture,
    list_architectures,
    register_architecture,
)

__all__ = [
    "Architecture",
    "build_architecture",
    "compact_resnet",
    "get_architecture",
    "list_architectures",
    "register_architecture",
    "standardized_cnn",
]
