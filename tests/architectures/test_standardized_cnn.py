"""The original network against its published table, and its two layers against plain arithmetic."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from facial_expressions.architectures.standardized_cnn import (
    SmallMapConv2D,
    StandardizedConv2D,
    standardized_cnn,
)

# The seed's table, with the row that its totals prove is missing: conv2d_8.
TABLE = """
input_layer 48,48,3 0
standardized_conv2d 16,16,32 896
batch_normalization 16,16,32 128
conv2d 16,16,32 9248
conv2d_1 16,16,32 9248
conv2d_3 16,16,32 9248
max_pooling2d 8,8,32 0
conv2d_4 8,8,32 9248
concatenate 8,8,64 0
batch_normalization_1 8,8,64 256
conv2d_5 8,8,64 36928
conv2d_6 8,8,64 36928
BeforeFinal_Layer 8,8,64 36928
conv2d_8 8,8,64 36928
max_pooling2d_1 4,4,64 0
conv2d_9 4,4,64 36928
conv2d_2 4,4,32 1056
concatenate_1 4,4,160 0
batch_normalization_2 4,4,160 640
conv2d_10 4,4,128 184448
conv2d_11 4,4,128 147584
conv2d_14 4,4,128 147584
conv2d_12 4,4,128 147584
conv2d_15 2,2,128 147584
max_pooling2d_2 2,2,128 0
batch_normalization_3 2,2,128 512
conv2d_7 2,2,32 2080
concatenate_2 2,2,288 0
conv2d_16 2,2,256 663808
conv2d_17 2,2,256 590080
conv2d_19 2,2,64 147520
conv2d_18 2,2,256 590080
conv2d_20 1,1,256 147712
max_pooling2d_3 1,1,256 0
batch_normalization_4 1,1,256 1024
conv2d_13 1,1,32 4128
concatenate_3 1,1,544 0
Final_Layer 1,1,512 2507264
batch_normalization_5 1,1,512 2048
flatten 512 0
dropout 512 0
dense 1024 525312
dropout_1 1024 0
dense_1 7 7175
"""


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return standardized_cnn((48, 48, 3), 7)


def test_every_row_of_the_table_agrees_in_name_order_shape_and_parameters(
    network: keras.Model,
) -> None:
    expected = []
    for line in TABLE.strip().splitlines():
        name, shape, parameters = line.split()
        expected.append((name, tuple(int(n) for n in shape.split(",")), int(parameters)))
    rows = [(one.name, tuple(one.output.shape[1:]), one.count_params()) for one in network.layers]
    assert rows == expected


def test_the_totals_are_those_of_the_seed(network: keras.Model) -> None:
    trainable = sum(int(np.prod(v.shape)) for v in network.trainable_variables)
    assert network.count_params() == 6_188_135
    assert trainable == 6_185_831
    assert network.count_params() - trainable == 2_304


def test_the_summary_lists_the_rows_in_the_order_of_the_table(network: keras.Model) -> None:
    lines: list[str] = []
    network.summary(print_fn=lambda text, **_: lines.append(text), line_length=150)
    first_column = [
        line.split("│")[1].split() for line in "\n".join(lines).splitlines() if "│" in line
    ]
    names = [words[0] for words in first_column if words and not words[0].startswith("(")]
    assert names == [line.split()[0] for line in TABLE.strip().splitlines()]


def test_a_standardized_kernel_has_mean_0_and_variance_1_per_filter() -> None:
    layer = StandardizedConv2D(4, 3, padding="same", epsilon=0.0)
    layer.build((None, 8, 8, 2))
    kernel = keras.ops.convert_to_numpy(layer.standardized_kernel()).reshape(18, 4)
    np.testing.assert_allclose(kernel.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(kernel.var(axis=0), 1, rtol=1e-5)


def test_a_standardized_convolution_equals_a_plain_one_with_that_kernel() -> None:
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(2, 9, 9, 3)).astype(np.float32)
    layer = StandardizedConv2D(5, 3, strides=3, padding="same", activation="relu", epsilon=1e-5)
    actual = keras.ops.convert_to_numpy(layer(inputs))
    raw, bias = layer.get_weights()
    by_hand = (raw - raw.mean(axis=(0, 1, 2))) / np.sqrt(raw.var(axis=(0, 1, 2)) + 1e-5)
    plain = keras.layers.Conv2D(5, 3, strides=3, padding="same", activation="relu")
    plain.build(inputs.shape)
    plain.set_weights([by_hand, bias])
    np.testing.assert_allclose(actual, keras.ops.convert_to_numpy(plain(inputs)), atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (3, 3), (4, 4), (1, 2), (2, 1), (5, 7)])
@pytest.mark.parametrize(("size", "strides"), [(3, 1), (3, 2), (3, (1, 2)), (1, 4), (5, 1)])
def test_a_small_map_convolution_equals_the_plain_one(
    shape: tuple[int, int], size: int, strides: int | tuple[int, int]
) -> None:
    """In its answer, and in what it and the layer below learn of a step."""
    rng = np.random.default_rng(sum(shape))
    inputs = rng.normal(size=(3, *shape, 4)).astype(np.float32)
    found = []
    for kind in (SmallMapConv2D, keras.layers.Conv2D):
        below = keras.layers.Conv2D(6, 1, kernel_initializer=_ramp)
        layer = kind(5, size, strides=strides, padding="same", kernel_initializer=_ramp)
        model = keras.Sequential([keras.layers.Input(inputs.shape[1:]), below, layer])
        outputs = model.predict_on_batch(inputs)
        model.compile(keras.optimizers.SGD(0.1), "mse")
        model.train_on_batch(inputs, np.zeros_like(outputs))
        found.append([outputs, *model.get_weights()])
    for ours, plain in zip(*found, strict=True):
        np.testing.assert_allclose(ours, plain, atol=1e-5)


def _ramp(shape: tuple[int, ...], dtype: str | None = None) -> keras.KerasTensor:
    """Weights of which no two are alike, from -0.5 up."""
    n = int(np.prod(shape))
    return keras.ops.cast(keras.ops.reshape(keras.ops.arange(n) / n - 0.5, shape), "float32")


def test_in_bfloat16_nine_products_are_as_near_as_the_format_allows() -> None:
    """A number of bfloat16 is off by up to 1/256: the mean error stays below two of these."""
    rng = np.random.default_rng(4)
    inputs = rng.normal(size=(64, 2, 2, 32)).astype(np.float32)
    coarse = SmallMapConv2D(32, 3, padding="same", dtype="mixed_bfloat16")
    exact = keras.layers.Conv2D(32, 3, padding="same", dtype="float32")
    actual = np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(coarse(inputs), "float32")))
    exact.build(inputs.shape)
    exact.set_weights(coarse.get_weights())
    expected = keras.ops.convert_to_numpy(exact(inputs))
    assert np.square(actual - expected).mean() < (2 / 256) ** 2 * np.square(expected).mean()


def test_a_saved_network_answers_the_same_after_loading(tmp_path: Path) -> None:
    network = standardized_cnn((48, 48, 3), 7)
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras")
    inputs = np.random.default_rng(2).normal(size=(2, 48, 48, 3)).astype(np.float32)
    np.testing.assert_array_equal(network.predict_on_batch(inputs), loaded.predict_on_batch(inputs))
