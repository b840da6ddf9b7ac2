"""A target's number or text as places in what a model returns: what each name and number in it stands for."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from math import prod

from genolift.errors import InputError, did_you_mean, few
from genolift.targets.cells import Places
from genolift.targets.grammar import Index, Reduction, Term, in_text, parsed, wrong_target
from genolift.targets.heads import OF_CALLABLE, heads_of
from genolift.targets.outputs import Branch, Outputs, Path, shape_in_words, tensors_by_path

_NEAR = 0.75
"""How alike a text that cannot be read is to a name which was likely meant."""


@dataclass(frozen=True)
class Place:
    """One number of each row: in the tensor at ``path``, a place on each axis behind the rows'."""

    path: Path
    places: Places

    @property
    def linear(self) -> bool:
        """Whether it is a weighted sum of the tensor's numbers."""
        return not any(isinstance(each, Reduction) and each.how == "logsumexp" for each in self.places)


@dataclass(frozen=True)
class Named:
    """What a model returns, and its tasks' names: those of each axis that is as long as they are many."""

    outputs: Outputs
    tasks: Sequence[str]

    @property
    def sole(self) -> tuple[Path, tuple[int, ...]] | None:
        """The path and the row's shape of the only tensor, if there is one only."""
        found = list(tensors_by_path(self.outputs))
        return found[0] if len(found) == 1 else None

    @property
    def heads(self) -> tuple[str, ...]:
        """The heads whose shapes fit."""
        return heads_of(self.outputs, tasks=bool(self.tasks))

    def bound(self, target: int | str) -> tuple[Place, ...] | str:
        """Return the place that a target is, the two whose difference it is, or the name of a head.

        A text that is a whole name is that name: a task's, a head's whose shapes fit, an output's.

        Raises
        ------
        InputError
            If there is no such output, or the text can be read in two ways.
        """
        text = str(target).strip()
        if text not in self.tasks and text in self.heads:
            return text
        if self._is_name(text) or text.removeprefix("-").isdecimal():
            return (self._named(text),)
        try:
            terms = parsed(text)
        except InputError:
            a_difference = " - " in text or any(text.startswith(f"{name}-") for name in self._names())
            if "[" not in text and not a_difference and get_close_matches(text, self._names(), 1, _NEAR):
                raise self._unknown(text) from None
            raise
        return tuple(map(self._place, terms))

    def _is_name(self, text: str) -> bool:
        return text in self.tasks or (isinstance(self.outputs, Branch) and text in self.outputs.outputs)

    def _names(self) -> list[str]:
        outputs = self.outputs.outputs if isinstance(self.outputs, Branch) else ()
        return [*self.tasks, *self.heads, *(name for name in outputs if not name.isdecimal())]

    def _place(self, term: Term) -> Place:
        if term.index is None and len(term.path) == 1:
            return self._named(term.path[0])
        path, shape = self._tensor(term.path)
        if term.index is None:
            return self._whole(path, shape)
        return Place(path, self._places(path, shape, term.index))

    def _named(self, name: str) -> Place:
        """Return the place of a number, of a task, or of an output with one number a row."""
        if name.removeprefix("-").isdecimal():
            return self._numbered(int(name))
        readings = list(self._of_task(name)) if name in self.tasks else []
        if isinstance(self.outputs, Branch) and name in self.outputs.outputs:
            readings.append(Term((name,)))
        if len(readings) > 1:
            shown = [str(each) if each.index else f"{each}[...]" for each in readings]
            raise wrong_target(
                f"{name!r} can be read as {' and as '.join(shown)}", f"write {' or '.join(shown)}"
            )
        if not readings:
            raise self._unknown(name)
        (term,) = readings
        path, shape = self._tensor(term.path)
        if term.index is None:
            return self._whole(path, shape)
        if any(isinstance(each, Reduction) for each in term.index):
            what = f"{name!r} is not one number of the model's output {shape_in_words(shape)}"
            raise wrong_target(what, f"say where, such as {term}")
        return Place(path, self._places(path, shape, term.index))

    def _numbered(self, number: int) -> Place:
        """Return a column of the one output, or one of a tuple of outputs."""
        if self.sole is not None:
            path, shape = self.sole
            width = shape[0] if shape else 1
            if len(shape) > 1:
                raise self._whole_refused(path, shape)
            if not 0 <= number < width:
                what = f"there is no target {number}: the model has {width} output{'s' * (width != 1)}"
                raise wrong_target(what, f"choose one of 0 to {width - 1}" if width > 1 else "choose 0")
            return Place(path, (number,) if shape else ())
        if (
            isinstance(self.outputs, Branch)
            and self.outputs.is_tuple
            and 0 <= number < len(self.outputs.outputs)
        ):
            path, shape = self._tensor((str(number),))
            return self._whole(path, shape)
        raise wrong_target(f"there is no target {number}: {self._several()}", self.remedy())

    def _of_task(self, name: str) -> list[Term]:
        """Return where a task's name is: on each axis as long as the tasks are many, others summed."""
        terms = []
        for path, shape in tensors_by_path(self.outputs):
            for axis in (axis for axis, size in enumerate(shape) if size == len(self.tasks)):
                index: list[Index] = [0 if size == 1 else Reduction("sum") for size in shape]
                index[axis] = name
                terms.append(Term(() if self.sole else path, tuple(index)))
        if not terms:
            what = f"the model names {len(self.tasks)} tasks, and returns {self._in_words()}"
            raise wrong_target(what, "name as many tasks as an axis of its output has places")
        return terms

    def _tensor(self, path: Path) -> tuple[Path, tuple[int, ...]]:
        """Return a tensor's path, by names, and the shape of its row; an empty path leads to the only one."""
        if not path and self.sole is not None:
            return self.sole
        found: Outputs = self.outputs
        named: Path = ()
        for name in path:
            if not isinstance(found, Branch):
                if name in self.tasks:
                    what = f"{name!r} is a name on an axis, not an output"
                    raise wrong_target(what, f"write it in the brackets, {self._term_of(named, name)}")
                raise self._unknown(".".join(map(in_text, path)))
            inside = found
            try:
                named = (*named, inside.name_of(name))
            except KeyError:
                known = [*inside.outputs]
                where = f"the output {Term(named)}" if named else "the model"
                remedy = did_you_mean(name, known, f"choose one of {few(known, 12)}")
                raise wrong_target(f"{where} has no output {name!r}", remedy) from None
            found = inside.outputs[named[-1]]
        if isinstance(found, Branch):
            said = f"the output {Term(named)} is several" if named else self._several()
            raise wrong_target(said, self.remedy(named))
        if isinstance(found, str):
            raise wrong_target(
                f"the model's output {Term(named)} is a {found}".replace("  ", " "), OF_CALLABLE
            )
        return named, found

    def _term_of(self, path: Path, name: str) -> str:
        """Return how the task of a name is written, in the output at a path if that has it."""
        terms = self._of_task(name)
        within = [term for term in terms if term.path == path] or terms
        return str(within[0])

    def _whole(self, path: Path, shape: tuple[int, ...]) -> Place:
        if prod(shape) != 1:
            raise self._whole_refused(path, shape)
        return Place(path, (0,) * len(shape))

    def _whole_refused(self, path: Path, shape: tuple[int, ...]) -> InputError:
        named = str(Term(path)) if self.sole is None else ""
        what = f"the model's output{f' {named}' * bool(named)} has the shape {shape_in_words(shape)}"
        those = "one of" if len(shape) == 1 else "a place, such as"
        return wrong_target(what, f"choose {those} {self.choices_of(path, shape)}{self._or_heads()}")

    def _places(self, path: Path, shape: tuple[int, ...], index: Sequence[Index]) -> Places:
        if not shape and tuple(index) == (0,):
            return ()
        if len(index) != len(shape):
            axes = f"{len(shape)} ax{'is' if len(shape) == 1 else 'es'} behind the rows'"
            what = f"the output {shape_in_words(shape)} has {axes}, and {Term((), tuple(index))} names"
            raise wrong_target(f"{what} {len(index)}", f"write {self.choices_of(path, shape)}")
        return tuple(self._on_axis(*each, shape_in_words(shape)) for each in zip(index, shape, strict=True))

    def _on_axis(self, index: Index, size: int, shape: str) -> int | Reduction:
        """Return a place on an axis of so many; ``shape`` is the output's, in words."""
        named = f"the axis of {size} in the output {shape}"
        if isinstance(index, str):
            if size != len(self.tasks):
                known = f": the model has {len(self.tasks)}" if self.tasks else ""
                raise wrong_target(f"{named} has no names, and {index!r} is given{known}", "give a number")
            if index not in self.tasks:
                raise self._unknown(index)
            if self.tasks.count(index) > 1:
                numbers = " or ".join(str(place) for place, name in enumerate(self.tasks) if name == index)
                raise wrong_target(f"several tasks are called {index!r}", f"give a number, {numbers}")
            return self.tasks.index(index)
        if isinstance(index, int) and index >= size:
            raise wrong_target(f"{named} has no place {index}", f"choose one of 0 to {size - 1}")
        if isinstance(index, Reduction) and max(index.start + 1, index.stop or 0) > size:
            raise wrong_target(f"{named} ends before {index}", f"end the slice at {size} or before")
        return index

    def _unknown(self, name: str) -> InputError:
        otherwise = self.remedy()
        return wrong_target(f"there is no target {name!r}", did_you_mean(name, self._names(), otherwise))

    def _several(self) -> str:
        count = len(self.outputs.outputs) if isinstance(self.outputs, Branch) else 1
        return f"the model returns {count} outputs" if count != 1 else f"the model returns {self._in_words()}"

    def _in_words(self) -> str:
        found = [
            f"{Term(path)} {shape_in_words(shape)}".strip() for path, shape in tensors_by_path(self.outputs)
        ]
        return (
            few(found)
            or f"a {self.outputs if isinstance(self.outputs, str) else 'structure without tensors'}"
        )

    def task_of(self, place: Place) -> str:
        """Return the name of the task that a place is of, empty if it has none."""
        shape = dict(tensors_by_path(self.outputs))[place.path]
        numbers = [each for each, size in zip(place.places, shape, strict=True) if size == len(self.tasks)]
        return self.tasks[numbers[0]] if len(numbers) == 1 and isinstance(numbers[0], int) else ""

    def _or_heads(self) -> str:
        return f", or {', '.join(self.heads)}" if self.heads else ""

    def remedy(self, under: Path = ()) -> str:
        """Say which targets there are: names, heads, and places in each output."""
        each = [
            self.choices_of(path, shape)
            for path, shape in tensors_by_path(self.outputs)
            if path[: len(under)] == under
        ]
        named = [few(self.tasks, 20)] if self.tasks and not under else []
        there = "; ".join([*named, *([] if under else self.heads), *each[:12]])
        return f"choose one of {there}" if there else OF_CALLABLE

    def choices_of(self, path: Path, shape: tuple[int, ...]) -> str:
        """Return in words the places of an output, such as ``0 to 5`` or ``[0, sum(:)]``."""
        named = "" if self.sole is not None else str(Term(path))
        if prod(shape) <= 1:
            return named or "0"
        if len(shape) == 1:
            last = shape[0] - 1
            return f"{named}[0] to {named}[{last}]" if named else f"0 to {last}"
        axes = range(len(shape))
        forms = [f"{named}[{', '.join('0' if axis == kept else 'sum(:)' for axis in axes)}]" for kept in axes]
        return " or ".join(forms)
