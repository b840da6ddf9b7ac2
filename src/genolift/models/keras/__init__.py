"""Turns models saved by any version of Keras into torch modules, without running code from the file.

`files` reads the file, `graph` and `legacy` bring the configs of all versions to one form, `layers` makes the
layers (`custom` has the user's own, `absent` those that Keras 3 lacks), `net` calls them, `weights` and
`old_weights` fill them, `plain` and `recurrent` replace common ones by torch's, and `loading` runs these
steps. Keras 3 is imported here, with torch as its backend.
"""

import os
import sys

from genolift.engine.graph.source import tell_apart
from genolift.errors import InputError

# Keras chooses its backend on first import, from the environment or a file in the home folder.
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
        f"a Keras model needs Keras 3, but Keras {keras.__version__} is installed",
        where="model.path",
        remedy="pip install 'keras>=3.5'",
    )
if keras.config.backend() != "torch":
    raise InputError(
        f"Keras has already been imported with the backend {keras.config.backend()}, not torch",
        where="model.path",
        remedy="set the environment's KERAS_BACKEND=torch before Keras is imported",
    )
tell_apart("/keras/src/", of_models=False)
