"""Attention and embeddings: scores, scales, causal masks, heads."""

from __future__ import annotations

from typing import Any

from keras_agreement.case import BOTH, KERAS_3, LENGTH, model


def _pair(keras: Any) -> tuple[Any, Any, Any]:
    """Return the DNA and two sequences of vectors computed from it, of 20 and 24 positions."""
    dna = keras.layers.Input((LENGTH, 4), name="dna")
    return dna, keras.layers.Conv1D(6, 5)(dna), keras.layers.Conv1D(6, 3, padding="same")(dna)


def _of_pair(
    kind: str, called: str = "[query, value]", generations: tuple[int, ...] = BOTH, **settings: Any
) -> None:
    """Add an attention, called as ``called`` says."""
    said = ", ".join(f"{key}={value!r}" for key, value in settings.items())

    @model(kind, ", ".join(each for each in (said, f"of {called}") if each), generations=generations)
    def build(keras: Any) -> Any:
        dna, query, value = _pair(keras)
        layer = getattr(keras.layers, kind)(**settings)
        if called == "[query, value, key]":
            return keras.Model(dna, layer([query, value, keras.layers.Conv1D(6, 3, padding="same")(dna)]))
        if called == "causal":
            return keras.Model(dna, layer([value, value], use_causal_mask=True))
        if called == "scores too":
            return keras.Model(dna, layer([query, value], return_attention_scores=True))
        return keras.Model(dna, layer([query, value]))


for kind in ("Attention", "AdditiveAttention"):
    for called in ("[query, value]", "[query, value, key]", "causal", "scores too"):
        _of_pair(kind, called)
    _of_pair(kind, use_scale=True)
    _of_pair(kind, use_scale=False)
    _of_pair(kind, dropout=0.3)
_of_pair("Attention", score_mode="concat")
_of_pair("Attention", score_mode="concat", use_scale=True)


def _of_heads(kind: str, called: str, generations: tuple[int, ...] = BOTH, **settings: Any) -> None:
    said = ", ".join(f"{key}={value!r}" for key, value in settings.items())

    @model(kind, f"{said}, {called}", generations=generations)
    def build(keras: Any) -> Any:
        dna, query, value = _pair(keras)
        layer = getattr(keras.layers, kind)(**settings)
        if called == "of itself":
            return keras.Model(dna, layer(query, query))
        if called == "causal":
            return keras.Model(dna, layer(query, query, use_causal_mask=True))
        if called == "query, value, key":
            return keras.Model(dna, layer(query, value, keras.layers.Conv1D(5, 3, padding="same")(dna)))
        if called == "key by name":
            return keras.Model(dna, layer(query=query, value=value, key=value))
        if called == "scores too":
            return keras.Model(dna, layer(query, value, return_attention_scores=True))
        return keras.Model(dna, layer(query, value))


for called in ("of itself", "query, value", "query, value, key", "key by name", "causal", "scores too"):
    _of_heads("MultiHeadAttention", called, num_heads=2, key_dim=3)
    _of_heads("GroupQueryAttention", called, KERAS_3, head_dim=3, num_query_heads=4, num_key_value_heads=2)
_of_heads("MultiHeadAttention", "query, value", num_heads=2, key_dim=3, value_dim=5)
_of_heads("MultiHeadAttention", "query, value", num_heads=2, key_dim=3, output_shape=7)
_of_heads("MultiHeadAttention", "query, value", num_heads=2, key_dim=3, use_bias=False, dropout=0.2)
_of_heads("MultiHeadAttention", "of itself", num_heads=1, key_dim=4, attention_axes=(1,))
_of_heads(
    "GroupQueryAttention",
    "of itself",
    KERAS_3,
    head_dim=4,
    num_query_heads=2,
    num_key_value_heads=1,
    use_bias=False,
)


@model("MultiHeadAttention", "over two axes of (1, length, 4), attention_axes=(1, 2)")
def over_two_axes(keras: Any) -> Any:
    dna = keras.layers.Input((1, LENGTH, 4), name="dna")
    return keras.Model(dna, keras.layers.MultiHeadAttention(2, 3, attention_axes=(1, 2))(dna, dna))


@model("MultiHeadAttention", "a transformer's layer, with norms, in a sum")
def transformer(keras: Any) -> Any:
    layers = keras.layers
    dna, x, _ = _pair(keras)
    for _ in range(2):
        normed = layers.LayerNormalization(epsilon=1e-6)(x)
        x = layers.Add()([x, layers.MultiHeadAttention(2, 3, dropout=0.1)(normed, normed)])
        y = layers.Dense(8, activation="gelu")(layers.LayerNormalization()(x))
        x = layers.Add()([x, layers.Dense(6)(y)])
    return keras.Model(dna, layers.Dense(2)(layers.GlobalAveragePooling1D()(x)))


@model("Embedding", "input_dim=5, output_dim=3, beside the DNA", further={"codes": 5})
def embedding(keras: Any) -> Any:
    layers = keras.layers
    dna, codes = layers.Input((LENGTH, 4), name="dna"), layers.Input((6,), name="codes")
    x = layers.Flatten()(layers.Embedding(5, 3)(codes))
    both = layers.Concatenate()([layers.GlobalMaxPooling1D()(layers.Conv1D(3, 5)(dna)), x])
    return keras.Model([dna, codes], layers.Dense(2)(both))


@model("Embedding", "mask_zero=True, before an LSTM, beside the DNA", further={"codes": 5})
def embedding_masked(keras: Any) -> Any:
    layers = keras.layers
    dna, codes = layers.Input((LENGTH, 4), name="dna"), layers.Input((6,), name="codes")
    x = layers.LSTM(3)(layers.Embedding(5, 3, mask_zero=True)(codes))
    both = layers.Concatenate()([layers.GlobalMaxPooling1D()(layers.Conv1D(3, 5)(dna)), x])
    return keras.Model([dna, codes], layers.Dense(2)(both))


for tied in (True, False):

    @model(
        "ReversibleEmbedding",
        f"tie_weights={tied}, beside the DNA",
        generations=KERAS_3,
        further={"codes": 5},
    )
    def reversible(keras: Any, tied: bool = tied) -> Any:
        layers = keras.layers
        dna, codes = layers.Input((LENGTH, 4), name="dna"), layers.Input((6,), name="codes")
        embedded = layers.ReversibleEmbedding(5, 3, tie_weights=tied)
        x = layers.Add()([embedded(codes), layers.Dense(3)(layers.MaxPooling1D(4)(dna))])
        return keras.Model([dna, codes], embedded(x, reverse=True))
