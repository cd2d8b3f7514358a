"""The head ``people``: what most people would say of a face, fitted on a network that is trained.

FER-2013's label is what one image search said of a photo; FER+ has ten people's votes on each. One
linear layer over the features of the last layer learns those votes, with a part of the label mixed
in and rare expressions weighted up, so that weak ones (disgust, fear, sadness) are not voted down.
Nothing else in the file changes: its other heads answer as before.

The layer is fitted on training images (L-BFGS, ridge), its confidences on validation images, so
that a confidence of 0.8 means that eight of ten people would say so. Both constants were chosen on
PublicTest by the mean of four figures, accuracy and balanced accuracy against the majority of
votes and against the label, with a recall of neutral of at least 0.8 (docs/experiments).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from facial_expressions.calibration import Calibration, softmax
from facial_expressions.data.dataset import Dataset, Floats, Images, Ints, Split
from facial_expressions.data.ferplus import Votes, strict_majority, vote_shares
from facial_expressions.errors import DatasetError, ExportError
from facial_expressions.evaluation.calibration import fit_temperature
from facial_expressions.evaluation.metrics import library
from facial_expressions.inference.classifier import load_classifier
from facial_expressions.labels import FER2013, FERPLUS_COLUMNS, PEOPLE
from facial_expressions.model_metadata import INPUT_NAME, Head, ModelMetadata
from facial_expressions.preprocessing import to_batch
from facial_expressions.training.export import fitted_map
from facial_expressions.training.model_files import (
    Graph,
    model_bytes,
    open_content,
    read_model,
    remove_named,
    set_top_label_map,
)

LABEL_SHARE: Final = 0.1
"""Share of the target that is FER-2013's label; the rest are the votes."""

BALANCE: Final = 0.4
"""Each expression weighs its share of the targets to this power less: 0 not at all, 1 all alike."""

RIDGE: Final = 1e-3
"""Penalty on the squared weights, of features scaled to a spread of 1."""

UNCERTAIN_BELOW: Final = 0.5
"""Below this confidence most people would say something else."""

_AT_ONCE: Final = 256

Matrix = NDArray[np.float64]


def add_people_head(model: str | Path, dataset: Dataset, votes: Votes) -> bytes:
    """Return a model file's content with a head ``people``, which answers by default.

    Args:
        model: A shipped model's name, or a model file; a head ``people`` that it has is replaced.
        dataset: FER-2013; the layer is fitted on its training images, calibrated on validation.
        votes: For each split the FER+ votes, as ``data.ferplus_votes`` returns them.

    Raises:
        ModelError: The model is missing, damaged or not one of ours.
        DatasetError: There are no training or validation images with votes.
        ExportError: The model's heads are not linear layers.
    """
    graph, metadata = read_model(load_classifier(model).path)
    remove_named(graph.graph, f"{PEOPLE.name}_")
    heads = tuple(head for head in metadata.heads if head.name != PEOPLE.name)
    metadata = replace(metadata, heads=heads, default_head=heads[0].name)
    layer, last_map = _place_of(graph, heads[0])
    train, validation = dataset.train, dataset.validation
    shares = {split.name: _checked_shares(split, votes) for split in (train, validation)}
    features = {
        split.name: _features(graph, metadata, layer.input[0], split.images)
        for split in (train, validation)
    }
    labels = np.eye(len(FER2013), dtype=np.float64)[train.labels]
    targets, weights = people_targets(shares[train.name], labels)
    kernel, bias = fit_linear_layer(features[train.name], targets, weights)
    head = _calibrated(
        features[validation.name] @ kernel + bias,
        shares[validation.name],
        strict_majority(votes[validation.name], PEOPLE),
    )
    logits, parts = f"{head.name}_logits", Graph(graph.graph)
    names = map(parts.constant, (f"{logits}/kernel", f"{logits}/bias"), (kernel, bias))
    parts.add(layer.op_type, [layer.input[0], *names], logits)
    parts.proto.node[-1].attribute.extend(layer.attribute)
    parts.add_probabilities(head, logits)
    if last_map:
        parts.add_maps(head, last_map, (kernel, bias))
    if head.calibration.top_label is not None:
        set_top_label_map(graph, head.output, head.calibration.top_label)
    onnx.checker.check_model(graph, full_check=True)
    described = replace(metadata, heads=(*heads, head), default_head=head.name)
    return model_bytes(graph, described)


def people_targets(
    shares: NDArray[np.floating], labels: NDArray[np.floating]
) -> tuple[Matrix, NDArray[np.float64]]:
    """Return what the layer learns from each image, and how much each image counts.

    Args:
        shares: Votes, ``(N, K)``; a row of zeros where nobody voted, which then has the label.
        labels: FER-2013's labels, rows of zeros with a one, ``(N, K)``.

    Returns:
        Distributions ``float64 (N, K)`` and weights ``float64 (N,)``: the target of expression k is
        multiplied by its inverse share to the power ``BALANCE``, and the weight is what that sums
        to.

    Examples:
        >>> shares = np.array([[1.0, 0.0]] * 3 + [[0.0, 1.0]])
        >>> targets, weights = people_targets(shares, shares)
        >>> targets[0].tolist(), round(float(weights[3] / weights[0]), 3)  # (3 / 1) ** 0.4
        ([1.0, 0.0], 1.552)
    """
    voted = shares.sum(axis=1, keepdims=True) > 0
    mixed = np.where(voted, (1 - LABEL_SHARE) * shares + LABEL_SHARE * labels, labels)
    by_class = np.maximum(mixed.mean(axis=0), 1e-6) ** -BALANCE
    weighted = mixed * (by_class / by_class.mean())
    weights = weighted.sum(axis=1)
    return weighted / weights[:, None], weights


def fit_linear_layer(
    features: Matrix, targets: Matrix, weights: NDArray[np.float64]
) -> tuple[Matrix, NDArray[np.float64]]:
    """Fit a multinomial logistic regression with ridge.

    Args:
        features: ``(N, D)``.
        targets: Distributions, ``(N, K)``.
        weights: Of the images, ``(N,)``.

    Returns:
        Kernel ``(D, K)`` and bias ``(K,)`` of the logits.

    Examples:
        >>> x = np.repeat([[0.0], [1.0]], 4, axis=0)
        >>> y = np.eye(2)[[0, 0, 0, 1, 0, 1, 1, 1]]
        >>> kernel, bias = fit_linear_layer(x, y, np.ones(8))
        >>> logits = x[[0, 7]] @ kernel + bias
        >>> bool((np.abs(logits[:, 0] - logits[:, 1]) < np.log(3)).all())  # ridge holds it back
        True
    """
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-6
    scaled, share = (features - mean) / spread, weights / weights.sum()
    size, n_classes = scaled.shape[1], targets.shape[1]

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        kernel, bias = flat[:-n_classes].reshape(size, n_classes), flat[-n_classes:]
        p = softmax(scaled @ kernel + bias)
        nll = -(share * (targets * np.log(np.maximum(p, 1e-300))).sum(axis=1)).sum()
        off = (p - targets) * share[:, None]
        gradient = np.concatenate([(scaled.T @ off + RIDGE * kernel).ravel(), off.sum(axis=0)])
        return float(nll + RIDGE / 2 * (kernel**2).sum()), gradient

    start = np.zeros((size + 1) * n_classes)
    minimize = library("scipy.optimize").minimize
    found = minimize(loss, start, jac=True, method="L-BFGS-B")
    kernel = found.x[:-n_classes].reshape(size, n_classes) / spread[:, None]
    return kernel, found.x[-n_classes:] - mean @ kernel


def _checked_shares(split: Split, votes: Votes) -> Floats:
    none = np.zeros((0, len(FERPLUS_COLUMNS)), np.uint8)
    shares = vote_shares(votes.get(split.name, none), PEOPLE)
    if len(shares) != len(split) or not shares.any():
        raise DatasetError(
            f"FER+ votes: {len(shares):,} rows, {int(shares.any(axis=1).sum()):,} of them with "
            f"votes, for {len(split):,} {split.name} images. Give FER-2013 and fer2013new.csv"
        )
    return shares


def _calibrated(logits: Matrix, shares: Floats, majority: Ints) -> Head:
    """Return the head with what makes its confidences those of people, fitted on validation."""
    voted = shares.any(axis=1)
    calibration = Calibration(
        temperature=fit_temperature(logits[voted], shares[voted]), uncertain_below=UNCERTAIN_BELOW
    )
    top_label = fitted_map(calibration.apply(logits[voted]), shares[voted])
    calibration = replace(calibration, top_label=top_label)
    p = softmax(calibration.apply(logits))
    known, certain = majority >= 0, p.max(axis=1) >= UNCERTAIN_BELOW
    right = p.argmax(axis=1) == majority
    figures = {
        "validation_accuracy": right[known].mean(),
        "validation_nll": -(shares * np.log(np.maximum(p, 1e-12))).sum(axis=1)[voted].mean(),
        "validation_certain_share": certain.mean(),
        "validation_certain_accuracy": right[known & certain].mean(),
    }
    return Head(PEOPLE.name, PEOPLE, calibration, {name: float(v) for name, v in figures.items()})


def _place_of(graph: onnx.ModelProto, head: Head) -> tuple[onnx.NodeProto, str]:
    """Return the linear layer that gives a head's logits, and the map whose mean it sees or ''."""
    made_by = {name: node for node in graph.graph.node for name in node.output}
    node = made_by.get(head.output)
    while node is not None and node.op_type != "Gemm":
        node = made_by.get(node.input[0])
    if node is None:
        raise ExportError(
            f"{head.output}: does not come from a linear layer, which the head 'people' needs. "
            "Choose a model that 'facial-expressions export' made"
        )
    maps = made_by.get(head.maps)
    return node, maps.input[0] if maps is not None else ""


def _features(graph: onnx.ModelProto, metadata: ModelMetadata, name: str, images: Images) -> Matrix:
    """Return a value inside the graph for each image, ``float64 (N, D)``."""
    probe = onnx.ModelProto()
    probe.CopyFrom(graph)
    if name not in {output.name for output in probe.graph.output}:
        probe.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    session = open_content(model_bytes(probe, metadata))
    features = []
    for start in range(0, len(images), _AT_ONCE):
        batch = to_batch(images[start : start + _AT_ONCE], metadata.preprocessing)
        features += session.run({INPUT_NAME: batch}, outputs=[name])
    return np.concatenate(features).astype(np.float64)
