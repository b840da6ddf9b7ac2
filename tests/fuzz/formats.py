"""All formats to fuzz. Importing this imports every library that reads them."""

from __future__ import annotations

from fuzz.model_formats import MODEL_FORMATS
from fuzz.stored_formats import STORED_FORMATS
from fuzz.text_formats import TEXT_FORMATS

FORMATS = (*TEXT_FORMATS, *STORED_FORMATS, *MODEL_FORMATS)
