"""Models of Keras 0.3 to record: see README.md."""


def record_all(record):
    """Record the models of Keras 0.3."""
    from keras.layers.advanced_activations import ELU, LeakyReLU
    from keras.layers.convolutional import (
        AveragePooling1D,
        Convolution1D,
        Convolution2D,
        MaxPooling1D,
        MaxPooling2D,
        UpSampling1D,
        ZeroPadding1D,
    )
    from keras.layers.core import (
        Activation,
        Dense,
        Dropout,
        Flatten,
        Permute,
        RepeatVector,
        Reshape,
        TimeDistributedDense,
    )
    from keras.layers.normalization import BatchNormalization
    from keras.layers.recurrent import GRU, LSTM, SimpleRNN
    from keras.models import Sequential

    def made(*layers):
        model = Sequential()
        for layer in layers:
            model.add(layer)
        model.compile("sgd", "mse")
        return model

    record(
        "th",
        made(
            Convolution2D(3, 4, 5, dim_ordering="th", input_shape=(1, 4, 20)),
            BatchNormalization(axis=1, mode=0),
            Activation("relu"),
            Convolution2D(2, 1, 3, dim_ordering="th", subsample=(1, 2)),
            MaxPooling2D((1, 2), strides=(1, 2), dim_ordering="th"),
            Dropout(0.5),
            Flatten(),
            Dense(3, activation="tanh"),
        ),
        [(2, 1, 4, 20)],
    )
    record(
        "tf",
        made(
            Convolution2D(3, 5, 4, dim_ordering="tf", input_shape=(20, 4, 1)),
            ELU(),
            MaxPooling2D((2, 1), dim_ordering="tf"),
            Flatten(),
            Dense(2),
        ),
        [(2, 20, 4, 1)],
    )
    record(
        "conv1d",
        made(
            ZeroPadding1D(1, input_shape=(20, 4)),
            Convolution1D(5, 4, subsample_length=2, border_mode="valid"),
            BatchNormalization(mode=0, axis=2),
            LeakyReLU(0.1),
            UpSampling1D(2),
            Convolution1D(3, 3, border_mode="same", activation="softplus"),
            MaxPooling1D(2),
            AveragePooling1D(2),
            TimeDistributedDense(3, activation="relu"),
            Permute((2, 1)),
            Reshape((15,)),
            RepeatVector(2),
            Flatten(),
            Dense(2, activation="sigmoid"),
        ),
        [(2, 20, 4)],
    )
    record(
        "recurrent",
        made(
            LSTM(4, return_sequences=True, input_shape=(8, 4)),
            GRU(3, return_sequences=True, go_backwards=True),
            SimpleRNN(3),
            Dense(2),
        ),
        [(2, 8, 4)],
    )
