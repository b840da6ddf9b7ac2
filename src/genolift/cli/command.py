"""What a command is: a function, the keys of an analysis that it takes, and its own parameters.

Its flags are made from both. A rule of the workflow hands the keys in two arguments instead, as JSON; a flag
that is given beside them has the last word.
"""

import argparse
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, cached_property
from inspect import cleandoc, isclass, signature
from itertools import groupby
from typing import Any, NoReturn, TypeVar, get_type_hints

from pydantic import Field, create_model

from genolift.cli.flags import Flag, flags_of, json_of
from genolift.errors import InputError
from genolift.settings.fields import Section, merge, placed
from genolift.settings.mistakes import check_part, checked
from genolift.settings.sections import Settings

Run = TypeVar("Run", bound=Callable[..., object])
_OVERVIEW = """\
usage: genolift [-h] [--version] COMMAND ...

Which bases made the model say that: DeepLIFT for models of DNA.

commands (genolift COMMAND --help says more):
"""
HANDED = {
    "settings": "what a rule of the workflow hands: JSON of a config's keys that determine the result",
    "running": "JSON of the keys that do not, such as memory",
}


class _Parser(argparse.ArgumentParser):
    """Says a mistake in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


class Command:
    """A function that is called by flags; its docstring says what it does, what they are, and an example.

    What it returns is printed, with the path ``out`` if it writes one.
    """

    def __init__(self, run: Callable[..., object], keys: tuple[str, ...] = (), positional: str = "") -> None:
        """Make a command.

        Parameters
        ----------
        keys
            What it takes of an analysis as ``settings``: sections, or keys such as ``model.alphabet``.
        positional
            The parameter or key that is given without a flag, if one is.
        """
        self.run, self.keys, self._positional = run, keys, positional
        self.name = run.__name__.replace("_", "-")
        told = re.split(r"\n+\w+\n-+\n", cleandoc(run.__doc__ or ""))
        about, self._parameters, example = [*told, "", ""][:3]
        self.about, self._example = " ".join(about.split()), " ".join(example.split())

    @cached_property
    def _fields(self) -> dict[str, Any]:
        hints = get_type_hints(self.run, include_extras=True)
        told = dict(re.findall(r"^(\w+)((?:\n .+)+)", self._parameters, re.MULTILINE))
        fields: dict[str, Any] = {}
        for name, parameter in signature(self.run).parameters.items():
            default = ... if parameter.default is parameter.empty else parameter.default
            if isclass(hints[name]) and issubclass(hints[name], Section):
                default = hints[name]()
            fields[name] = (hints[name], Field(default, description=told.get(name)))
        return fields

    @cached_property
    def parameters(self) -> type[Section]:
        """The function's parameters, each a field, or a section of several."""
        made: type[Section] = create_model(self.name, __base__=Section, **self._fields)
        return made

    @cached_property
    def own_flags(self) -> list[Flag]:
        """The flags of its parameters beside the settings."""
        own = {name: field for name, field in self._fields.items() if name != "settings"}
        return flags_of(create_model(self.name, __base__=Section, **own), self._positional)

    @cached_property
    def settings_flags(self) -> list[Flag]:
        """The flags of the keys that it takes."""
        taken = [f"settings.{key}." for key in self.keys]
        flags = [flag for key in taken for flag in _settings_flags() if f"{flag.name}.".startswith(key)]
        return [replace(flag, positional=flag.name == self._positional) for flag in flags]

    @property
    def flags(self) -> list[Flag]:
        """All its flags."""
        return self.own_flags + self.settings_flags

    def parsed(self, words: Sequence[str]) -> dict[str, Any]:
        """Return what words stand for, by a flag's key; exit if they cannot be parsed.

        The workflow gives none of the settings' flags, so that they need not be made.
        """
        known = {"--quiet", *(f"--{name}" for name in HANDED), *(flag.shown for flag in self.own_flags)}
        given = {word.partition("=")[0] for word in words if word.startswith("-")}
        plain = given <= known and not self._positional
        return vars(self.parser(self.own_flags if plain else self.flags).parse_args(words))

    def parser(self, known: Sequence[Flag] | None = None) -> argparse.ArgumentParser:
        """Return what parses its flags, or ``known`` ones; a flag that is not given is not in the outcome."""
        parser = _Parser(
            prog=f"genolift {self.name}",
            description=self.about,
            epilog=f"example:\n  {self._example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        for section, flags in groupby(
            self.flags if known is None else known, lambda flag: flag.name.rpartition(".")[0]
        ):
            title = section.removeprefix("settings").lstrip(".")
            group = parser.add_argument_group(title) if title else parser
            for flag in flags:
                flag.add_to(group)
        for name in HANDED if self.keys else ():
            parser.add_argument(f"--{name}", metavar="JSON", default="{}", help=HANDED[name])
        parser.add_argument("--quiet", action="store_true", help="say warnings and errors only")
        return parser

    def call(self, given: Mapping[str, Any]) -> None:
        """Run the command with what its words were parsed to, and print what it did.

        Raises
        ------
        InputError
            For a value that is refused, by the name of its flag, and for what the command finds wrong.
        """
        values: dict[str, Any] = {"settings": {"sequences": {}}} if "sequences" in self.keys else {}
        for name in HANDED if self.keys else ():
            handed = json_of(given[name], f"--{name}")
            check_part(Settings, handed, f"--{name}")
            values = merge(values, {"settings": handed})
        of_settings = any(name.startswith("settings.") for name in given)
        flags = [flag for flag in (self.flags if of_settings else self.own_flags) if flag.name in given]
        for flag in flags:
            values = merge(values, placed(flag.place, flag.value(given[flag.name])))
        try:
            arguments = vars(checked(self.parameters, values))
        except InputError as error:
            where = error.where
            for flag in flags:
                where = re.sub(rf"^{re.escape(flag.name)}(?![\w-])", flag.shown, where)
            where = where.removeprefix("settings.")
            raise InputError(error.what, where=where, remedy=error.remedy) from error
        done = self.run(**arguments)
        if done is not None:
            print(f"{done}: {arguments['out']}" if "out" in arguments else done)


@cache
def _settings_flags() -> list[Flag]:
    """Return the flags of all settings, which the commands share."""
    return flags_of(create_model("settings", __base__=Section, settings=(Settings, Field(Settings()))))


COMMANDS: dict[str, Command] = {}
"""By name, in the order of the help."""


def command(*keys: str, positional: str = "") -> Callable[[Run], Run]:
    """Make a command of a function; the keys and ``positional`` are as in `Command`."""

    def add(run: Run) -> Run:
        made = Command(run, keys, positional)
        COMMANDS[made.name] = made
        return run

    return add


def overview() -> str:
    """Return what ``genolift --help`` says."""
    width = max(map(len, COMMANDS)) + 4
    lines = (f"  {name}".ljust(width) + each.about for name, each in COMMANDS.items())
    told = (textwrap.fill(line, 100, subsequent_indent=" " * width) for line in lines)
    return _OVERVIEW + "\n".join(told) + "\n"
