"""How motifs are found, named and located: the config's section ``motifs``, and what its keys are by default.

Every key that is left out has its preset's value. The preset ``published`` is what the tools' own commands
take when they are given nothing but their files: ``modisco motifs`` of modisco-lite 3.0.0, ``finemo
call-hits`` of finemo 0.41 and ``modisco report``.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from genolift.errors import InputError
from genolift.settings import types
from genolift.settings.fields import Section, together
from genolift.settings.types import NUMBER, WHOLE, Positions

Preset = Literal["genolift", "published"]
OWN, PUBLISHED = "genolift", "published"
Rate = Annotated[float, Field(ge=1e-6, le=1), NUMBER]
Few = Annotated[int, Field(ge=1, le=1000), WHOLE]
Count = Annotated[int, Field(ge=1, le=10_000_000), WHOLE]
CountOrNone = Annotated[int, Field(ge=0, le=10_000_000), WHOLE]
Bases = Annotated[int, Field(ge=0, le=1000), WHOLE]
Width = Annotated[int, Field(ge=6, le=1000), WHOLE]
"""TF-MoDISco asks for information within six bases."""


def _presets(genolift: float | None, published: float | None) -> Any:
    """Return the annotation of a key that has these values where it is left out."""
    return Field(json_schema_extra={"presets": {OWN: genolift, PUBLISHED: published}})


class Motifs(Section):
    """How motifs are found, named and located."""

    preset: Preset = "genolift"
    """whose defaults the other keys have: genolift's, or those of the tools' own commands
    (docs/motifs.md compares them)
    """
    database: Annotated[types.Database, Field(examples=["jaspar:fungi", "mine.meme"])] = "jaspar:vertebrates"
    """motifs to name the found ones by: a group of JASPAR CORE (`jaspar:GROUP`), or a MEME file"""
    window: Annotated[Positions | None, _presets(None, 400)] = None
    """bases in the middle of each sequence to look for motifs in; where sequences are shorter than the
    preset's, or it has none, all
    """
    target_seqlet_fdr: Annotated[Rate | None, _presets(0.05, 0.05)] = None
    """false discovery rate of seqlets, the stretches that motifs are made of"""
    sliding_window_size: Annotated[Width | None, _presets(20, 20)] = None
    """bases of a seqlet that are scored"""
    flank_size: Annotated[Few | None, _presets(5, 5)] = None
    """bases that a seqlet has on either side of its core"""
    max_seqlets: Annotated[Count | None, _presets(20_000, 20_000)] = None
    """seqlets of each sign that motifs are made of, the strongest"""
    min_metacluster_size: Annotated[CountOrNone | None, _presets(0, 100)] = None
    """seqlets of a sign that are too few to look for motifs among"""
    nearest_neighbors_to_compute: Annotated[Count | None, _presets(500, 500)] = None
    """nearest seqlets that each is compared with in full"""
    n_leiden_runs: Annotated[Few | None, _presets(2, 2)] = None
    """times that seqlets are clustered, each with another seed; the best clustering counts"""
    final_min_cluster_size: Annotated[Count | None, _presets(20, 20)] = None
    """seqlets that a motif has at least"""
    trim_to_window_size: Annotated[Width | None, _presets(20, 30)] = None
    """bases that a motif is cut to, where it is most informative"""
    initial_flank_to_add: Annotated[Bases | None, _presets(5, 10)] = None
    """bases added on either side of a motif after that"""
    final_flank_to_add: Annotated[Bases | None, _presets(0, 0)] = None
    """bases added on either side of a motif in the end"""
    trim_fraction: Annotated[types.Fraction | None, _presets(0.3, 0.3)] = None
    """ends of a motif that contribute less than this share of its strongest position are left out of names,
    hits and logos
    """
    hit_lambda: Annotated[Rate | None, _presets(0.7, 0.7)] = None
    """Fi-NeMo's penalty on the number of hits"""
    hit_similarity: types.Fraction | None = None
    """least cosine similarity of a hit and its motif; by default `hit_lambda`"""
    hit_steps: Annotated[Count | None, _presets(10_000, 10_000)] = None
    """steps after which Fi-NeMo takes the fit of a sequence as it is"""
    matches: Annotated[Few | None, _presets(3, 3)] = None
    """known motifs that are named for each motif"""
    name_qvalue: Annotated[types.Fraction | None, _presets(0.05, 0.05)] = None
    """largest q-value of a match that a motif is called by"""

    @property
    def used(self) -> dict[str, Any]:
        """The keys that have presets, in order, with the values that are used."""
        given = {name: getattr(self, name) for name in PRESETS[self.preset]}
        used = {name: PRESETS[self.preset][name] if value is None else value for name, value in given.items()}
        similarity = used["hit_lambda"] if self.hit_similarity is None else self.hit_similarity
        return used | {"hit_similarity": similarity}

    @together
    def _agree(self) -> None:
        used = self.used
        seqlet, trim = used["sliding_window_size"] + 2 * used["flank_size"], used["trim_to_window_size"]
        cut_from = seqlet + 2 * used["initial_flank_to_add"]
        if trim > cut_from:
            what = f"{trim} bases are more than the {cut_from} that a motif is cut from"
            wider = _listed(("sliding_window_size", "flank_size", "initial_flank_to_add"))
            remedy = f"give {cut_from} at most, or more for {wider}"
            raise InputError(what, where=".trim_to_window_size", remedy=remedy)
        most = used["max_seqlets"]
        for least, needed in (
            ("final_min_cluster_size", used["final_min_cluster_size"]),
            ("min_metacluster_size", used["min_metacluster_size"] + 1),
        ):
            if needed > most:
                what = f"'{least}' asks for {needed:,} seqlets, and 'max_seqlets' takes {most:,} at most"
                given = least if getattr(self, least) is not None else "max_seqlets"
                raise InputError(what, where=f".{given}", remedy=f"lower '{least}', or raise 'max_seqlets'")
        self.check_widths(None, ".")

    def check_widths(self, length: int | None, under: str) -> None:
        """Raise if a key asks for seqlets or motifs that the window, or sequences of ``length`` bases, are
        too narrow for. Where no key does, there is nothing to mend: sequences are then merely short.

        Parameters
        ----------
        length
            Bases of a sequence; None if that is not known.
        under
            What stands before a key's name in messages.
        """
        window = self.used["window"]
        room = min((width for width in (window, length) if width is not None), default=None)
        for what, width, keys in self._needed():
            asked = next((key for key in ("window", *keys) if getattr(self, key) is not None), None)
            if room is None or width <= room or asked is None:
                continue
            parts = ", ".join(f"{key} {self.used[key]}" for key in keys)
            place = f"the {'sequences' if room == length else 'window'} of {room}"
            wrong = f"{what} of {width} bases ({parts}) does not fit in {place}"
            wider = asked == "window" and (length is None or width <= length)
            remedy = f"{f'give at least {width}, or' if wider else 'give'} less for {_listed(keys)}"
            raise InputError(wrong, where=under + asked, remedy=remedy)

    def _needed(self) -> Iterator[tuple[str, int, tuple[str, ...]]]:
        """Yield what the window must have room for: its name, its bases, and the keys that say them."""
        used = self.used
        seqlet = used["sliding_window_size"] + 2 * used["flank_size"]
        motif = used["trim_to_window_size"] + 2 * (used["initial_flank_to_add"] + used["final_flank_to_add"])
        yield "a seqlet", seqlet, ("sliding_window_size", "flank_size")
        yield "a motif", motif, ("trim_to_window_size", "initial_flank_to_add", "final_flank_to_add")


def _listed(keys: tuple[str, ...]) -> str:
    return f"{', '.join(repr(key) for key in keys[:-1])} or '{keys[-1]}'"


def _of_presets() -> dict[str, dict[str, Any]]:
    values: dict[str, dict[str, Any]] = {OWN: {}, PUBLISHED: {}}
    for name, field in Motifs.model_fields.items():
        told = field.json_schema_extra
        presets = told.get("presets") if isinstance(told, dict) else None
        if isinstance(presets, dict):
            for preset, of_key in values.items():
                of_key[name] = presets[preset]
    return values


PRESETS = _of_presets()
"""The values of each preset by key."""
