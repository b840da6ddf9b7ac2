"""Models of Keras 1.2 to record: see README.md."""

import keras.backend as K


def record_all(record):
    """Record the models of Keras 1.2."""
    from keras.layers import (
        ELU,
        GRU,
        LSTM,
        Activation,
        AtrousConvolution1D,
        AveragePooling1D,
        AveragePooling2D,
        BatchNormalization,
        Bidirectional,
        Convolution1D,
        Convolution2D,
        Cropping1D,
        Dense,
        Dropout,
        Flatten,
        GlobalAveragePooling1D,
        GlobalMaxPooling1D,
        Input,
        LeakyReLU,
        LocallyConnected1D,
        MaxPooling1D,
        MaxPooling2D,
        Permute,
        PReLU,
        RepeatVector,
        Reshape,
        SimpleRNN,
        SpatialDropout1D,
        ThresholdedReLU,
        TimeDistributed,
        TimeDistributedDense,
        UpSampling1D,
        ZeroPadding1D,
        merge,
    )
    from keras.models import Model, Sequential
    from keras.regularizers import l2

    conv1d = Sequential(
        [
            Convolution1D(5, 4, subsample_length=2, input_shape=(24, 4), W_regularizer=l2(0.1)),
            BatchNormalization(),
            LeakyReLU(0.1),
            SpatialDropout1D(0.1),
            AtrousConvolution1D(3, 3, atrous_rate=2, border_mode="same", activation="relu"),
            UpSampling1D(2),
            Cropping1D((1, 1)),
            ZeroPadding1D(1),
            MaxPooling1D(2, stride=2),
            AveragePooling1D(2),
            TimeDistributedDense(3, activation="softplus"),
            TimeDistributed(Dense(3)),
            LocallyConnected1D(2, 3, bias=True),
            PReLU(),
            ThresholdedReLU(0.05),
            Permute((2, 1)),
            Reshape((-1,)),
            RepeatVector(2),
            Flatten(),
            Dropout(0.5),
            Dense(2, activation="sigmoid"),
        ]
    )
    record("conv1d", conv1d)
    for order in ("th", "tf"):
        K.set_image_dim_ordering(order)
        shape = (1, 4, 20) if order == "th" else (4, 20, 1)
        record(
            "conv2d_" + order,
            Sequential(
                [
                    Convolution2D(3, 4, 5, input_shape=shape),
                    BatchNormalization(axis=1 if order == "th" else -1),
                    ELU(),
                    Convolution2D(2, 1, 3, border_mode="same"),
                    MaxPooling2D((1, 2)),
                    AveragePooling2D((1, 2)),
                    Flatten(),
                    Dense(3, activation="softmax"),
                ]
            ),
        )
    K.set_image_dim_ordering("th")
    record(
        "conv1d_after_th",
        Sequential([Convolution1D(4, 4, input_shape=(12, 4), activation="tanh"), GlobalMaxPooling1D()]),
    )
    for mode in ("cpu", "gpu"):
        record(
            "recurrent_" + mode,
            Sequential(
                [
                    LSTM(4, return_sequences=True, input_shape=(8, 4), consume_less=mode),
                    GRU(3, return_sequences=True, go_backwards=True, consume_less=mode),
                    Bidirectional(LSTM(2, return_sequences=True, consume_less=mode)),
                    Bidirectional(GRU(2, return_sequences=True, consume_less=mode), merge_mode="sum"),
                    SimpleRNN(3, consume_less=mode),
                    Dense(2),
                ]
            ),
        )
    x = Input((12, 4), name="dna")
    other = Input((5,), name="other")
    a = Convolution1D(3, 3, border_mode="same")(x)
    shared = Convolution1D(3, 3, border_mode="same", activation="relu")
    b, c = shared(a), shared(Activation("tanh")(a))
    merged = [merge([a, b], mode=mode) for mode in ("sum", "mul", "ave", "max", "concat")]
    merged.append(merge([b, c], mode="concat", concat_axis=1))
    pooled = [GlobalAveragePooling1D()(each) for each in merged]
    y = merge([*pooled, Dense(3)(other)], mode="concat")
    outputs = [Dense(2, name="first")(y), Dense(1, activation="sigmoid", name="second")(y)]
    record("merges", Model([x, other], outputs), [(2, 12, 4), (2, 5)])
    inner = Sequential([Dense(4, input_shape=(12, 4)), Convolution1D(3, 2, activation="relu")])
    x = Input((12, 4))
    y = GlobalMaxPooling1D()(inner(x))
    record("nested", Model(x, Dense(2)(y)))
