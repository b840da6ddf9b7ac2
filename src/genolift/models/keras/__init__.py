"""Models that Keras saved, of any version, as torch modules; no code of theirs is run.

`files` reads what was saved, `graph` and `legacy` bring configs of every version to one form, `layers` makes
the layers (with `custom`: the user's, and `absent`: those that Keras 3 has no longer), `net` calls them,
`weights` and `old_weights` fill them, `plain` and `recurrent` put torch's own in the place of the commonest,
and `loading` joins these. Keras 3 is imported here, on torch.
"""

import os
import sys

from genolift.engine.graph.source import tell_apart
from genolift.errors import InputError

# Keras chooses when it is first imported, by the environment or a file in the home folder.
_found = os.environ.get("KERAS_BACKEND")
if "keras" not in sys.modules:
    os.environ["KERAS_BACKEND"] = "torch"
try:
    import keras
except ImportError as error:
    raise InputError(
        f"a Keras model needs Keras 3, which cannot be imported ({error})",
        where="model.path",
        remedy="pip install 'keras>=3.5'",
    ) from error
finally:
    if _found is None:
        os.environ.pop("KERAS_BACKEND", None)
    else:
        os.environ["KERAS_BACKEND"] = _found
if int(keras.__version__.partition(".")[0]) < 3:
    raise InputError(
        f"a Keras model needs Keras 3, here is {keras.__version__}",
        where="model.path",
        remedy="pip install 'keras>=3.5'",
    )
if keras.config.backend() != "torch":
    raise InputError(
        f"Keras was imported before and runs on {keras.config.backend()}, not on torch",
        where="model.path",
        remedy="set the environment's KERAS_BACKEND=torch before Keras is imported",
    )
tell_apart("/keras/src/", of_models=False)
