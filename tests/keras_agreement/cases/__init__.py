"""All cases, by kind; importing a module adds its cases."""

from keras_agreement.case import added
from keras_agreement.cases import (  # noqa: F401
    activations,
    attention,
    convolutions,
    generations,
    masks,
    names,
    nesting,
    normalisation,
    operators,
    pooling,
    recurrent,
    shapes,
    states,
    tensorflow,
    wrappers,
)

CASES = added()
