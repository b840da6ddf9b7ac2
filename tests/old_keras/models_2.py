"""Models of Keras 2 to record: see README.md."""

import h5py
import numpy as np


def record_all(record):
    """Record the models of Keras 2."""
    from keras import layers as L
    from keras.models import Model, Sequential

    conv1d = Sequential(
        [
            L.Conv1D(5, 4, strides=2, input_shape=(24, 4)),
            L.BatchNormalization(),
            L.LeakyReLU(0.1),
            L.SpatialDropout1D(0.1),
            L.Conv1D(3, 3, dilation_rate=2, padding="causal", activation="elu"),
            L.SeparableConv1D(4, 3, padding="same", depth_multiplier=2),
            L.UpSampling1D(2),
            L.Cropping1D((1, 1)),
            L.ZeroPadding1D((1, 2)),
            L.MaxPooling1D(2),
            L.AveragePooling1D(2, strides=1),
            L.TimeDistributed(L.Dense(3, activation="selu")),
            L.LocallyConnected1D(2, 3, strides=2, activation="tanh"),
            L.PReLU(shared_axes=[1]),
            L.ELU(0.5),
            L.ThresholdedReLU(0.01),
            L.Permute((2, 1)),
            L.Reshape((2, -1)),
            L.Softmax(axis=-1),
            L.Flatten(),
            L.RepeatVector(2),
            L.Flatten(),
            L.ReLU(max_value=1, negative_slope=0.1, threshold=0.02),
            L.GaussianNoise(0.1),
            L.Dense(2, activation="softsign"),
        ]
    )
    for backend in ("theano", "tensorflow"):
        record("conv1d_" + backend, conv1d, backend=backend)
    for order, shape in (("channels_last", (1, 20, 4)), ("channels_first", (4, 20, 1))):
        given = {"data_format": order}
        conv2d = Sequential(
            [
                L.Conv2D(4, (1, 3), input_shape=shape, padding="same", **given),
                L.BatchNormalization(axis=1 if order == "channels_first" else -1, scale=False),
                L.DepthwiseConv2D((1, 3), padding="same", depth_multiplier=2, activation="relu", **given),
                L.SeparableConv2D(3, (1, 3), padding="same", **given),
                L.ZeroPadding2D((0, 1), **given),
                L.Conv2DTranspose(3, (1, 4), strides=(1, 2), **given),
                L.Cropping2D(((0, 0), (1, 2)), **given),
                L.UpSampling2D((1, 2), **given),
                L.LocallyConnected2D(2, (1, 3), strides=(1, 2), **given),
                L.MaxPooling2D((1, 2), **given),
                L.AveragePooling2D((1, 2), **given),
                L.GlobalAveragePooling2D(**given),
                L.Dense(2, activation="exponential"),
            ]
        )
        for backend in ("theano", "tensorflow"):
            record(f"conv2d_{order}_{backend}", conv2d, backend=backend)
    gates = {"recurrent_activation": "hard_sigmoid"}
    record(
        "recurrent",
        Sequential(
            [
                L.LSTM(4, return_sequences=True, input_shape=(8, 4)),
                L.GRU(3, return_sequences=True, go_backwards=True),
                L.GRU(3, return_sequences=True, reset_after=True),
                L.Bidirectional(L.LSTM(2, return_sequences=True, **gates)),
                L.Bidirectional(L.GRU(2, return_sequences=True, **gates), merge_mode="ave"),
                L.LSTM(3, return_sequences=True, use_bias=False),
                L.SimpleRNN(3),
                L.Dense(2),
            ]
        ),
    )
    for cell, made in (
        ("LSTM", L.LSTM(3, return_sequences=True, input_shape=(8, 4))),
        ("GRU", L.GRU(3, return_sequences=True, reset_after=True, input_shape=(8, 4))),
    ):
        inner = {k: v for k, v in made.get_config().items() if k != "batch_input_shape"}
        inner = type(made).from_config({**inner, "name": "inner", "units": 2})
        model = Sequential([made, L.Bidirectional(inner), L.Dense(2)])
        of_cudnn(cell, model, record)
    x, other = L.Input((12, 4), name="dna"), L.Input((5,), name="other")
    a = L.Conv1D(3, 3, padding="same", name="a")(x)
    shared = L.Conv1D(3, 3, padding="same", activation="relu", name="shared")
    b, c = shared(a), shared(L.Activation("tanh")(a))
    merges = (L.Add(), L.Subtract(), L.Multiply(), L.Average(), L.Maximum(), L.Minimum(), L.Concatenate())
    merged = [made([a, b]) for made in merges] + [L.Concatenate(axis=1)([b, c]), L.Dot(axes=1)([b, c])]
    pooled = [L.GlobalAveragePooling1D()(each) for each in merged]
    y = L.Concatenate()([*pooled, L.Dense(3)(other)])
    outputs = [L.Dense(2, name="first")(y), L.Dense(1, activation="sigmoid", name="second")(y)]
    record("merges", Model([x, other], outputs), [(2, 12, 4), (2, 5)])
    z = L.Input((12, 4))
    bottom = Sequential([L.Conv1D(3, 2, activation="relu", input_shape=(12, 4)), L.Dense(4)], name="bottom")
    inner = Model(z, [L.Dense(3)(bottom(z)), L.GlobalMaxPooling1D()(z)], name="inner")
    x = L.Input((12, 4))
    one, two = inner(x), inner(L.Activation("relu")(x))
    y = L.Concatenate()([L.GlobalMaxPooling1D()(one[0]), L.Flatten()(two[0]), one[1], two[1]])
    record("nested", Model(x, L.Dense(2)(y)))
    record("nested_first", Sequential([bottom, L.Flatten(), L.Dense(2)]))


def of_cudnn(cell, model, record):
    """Record a model as if its recurrent layers were CuDNN's, whose weights Keras 2 converts when loading."""
    path = "record.h5"
    model.save(path, overwrite=True)
    with h5py.File(path, "r+") as file:
        for name in file["model_weights"]:
            group = file["model_weights"][name]
            for weight in group.attrs["weight_names"]:
                weight = weight.decode()
                shape = group[weight].shape
                recurrent = name.startswith(("lstm", "gru", "bidirectional"))
                if recurrent and "bias" in weight:
                    del group[weight]
                    size = 2 * shape[0] if cell == "LSTM" else shape[0] * shape[1]
                    group[weight] = np.zeros(size, "float32")
    saved = model.save
    model.save = lambda *args, **kwargs: None
    record(
        "cudnn_" + cell.lower(),
        model,
        backend="tensorflow",
        replaced={f'"class_name": "{cell}"': f'"class_name": "CuDNN{cell}"'},
    )
    model.save = saved
