"""Networks in Keras 3, one file each; importing this package registers them all.

Needs the extra ``train``.
"""

from facial_expressions.architectures import compact_resnet, standardized_cnn

__all__ = ["compact_resnet", "standardized_cnn"]
