"""What a command is: a function, the keys of an analysis that it takes, and its own parameters.

Its flags are made from both. A rule of the workflow hands the keys in two arguments instead, as JSON; a flag
that is given beside them has the last word.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from inspect import cleandoc, isclass, signature
from typing import Any, NoReturn, TypeVar, get_type_hints

from pydantic import Field, create_model

from genolift.cli.flags import Flag, flags_of, json_of
from genolift.errors import InputError
from genolift.files.plain_values import shown
from genolift.settings.fields import Section, merge
from genolift.settings.mistakes import checked
from genolift.settings.sections import Settings

S = TypeVar("S", bound=Section)
Run = TypeVar("Run", bound=Callable[..., None])
COMMANDS: dict[str, Command] = {}
"""By name, in the order of the help."""
HANDED = {
    "settings": "what a rule of the workflow hands: JSON of a config's keys that determine the result",
    "running": "JSON of the keys that do not, such as memory",
}


class _Parser(argparse.ArgumentParser):
    """Says a mistake in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


@dataclass(frozen=True)
class Command:
    """A function that is called by flags; its docstring says what it does, what they are, and an example."""

    run: Callable[..., None]
    keys: tuple[str, ...] = ()
    """What it takes of an analysis as ``settings``: sections, or keys such as ``model.alphabet``."""
    positional: str = ""
    """The flag that is given without its name, if there is one."""

    @property
    def name(self) -> str:
        """What it is called."""
        return self.run.__name__.replace("_", "-")

    @cached_property
    def _told(self) -> dict[str, str]:
        """The docstring by its sections, what it does under ``about``."""
        about, *sections = re.split(r"\n+(\w+)\n-+\n", cleandoc(self.run.__doc__ or ""))
        return {"about": about, **dict(zip(sections[::2], sections[1::2], strict=True))}

    @property
    def about(self) -> str:
        """What it does, in a sentence."""
        return " ".join(self._told["about"].split())

    @property
    def example(self) -> str:
        """A command line that works."""
        return " ".join(self._told.get("Example", "").split())

    @cached_property
    def own(self) -> type[Section]:
        """The parameters of the function but ``settings``, each a field, or a section of several."""
        hints = get_type_hints(self.run, include_extras=True)
        told = re.findall(r"^(\w+)((?:\n .+)+)", self._told.get("Parameters", ""), re.MULTILINE)
        fields: dict[str, Any] = {}
        for name, text in told:
            default = signature(self.run).parameters[name].default
            if default is signature(self.run).empty:
                is_section = isclass(hints[name]) and issubclass(hints[name], Section)
                default = hints[name]() if is_section else ...
            fields[name] = (hints[name], Field(default, description=text))
        made: type[Section] = create_model(self.name, __base__=Section, **fields)
        return made

    @cached_property
    def own_flags(self) -> list[Flag]:
        """The flags of its own parameters."""
        return flags_of(self.own, self.positional)

    @cached_property
    def key_flags(self) -> list[Flag]:
        """The flags of the keys."""
        flags = flags_of(Settings, self.positional)
        return [flag for key in self.keys for flag in flags if f"{flag.key}.".startswith(f"{key}.")]

    def parser(self) -> argparse.ArgumentParser:
        """Return what parses its words; a flag that is not given is not in the outcome."""
        parser = _Parser(
            prog=f"genolift {self.name}",
            description=self.about,
            epilog=f"example:\n  {self.example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sections: dict[str, Any] = {"": parser}
        for flag in (*self.own_flags, *self.key_flags):
            section = ".".join(flag.of.place[:-1])
            if section not in sections:
                sections[section] = parser.add_argument_group(section)
            flag.add_to(sections[section])
        for name in HANDED if self.keys else ():
            parser.add_argument(f"--{name}", metavar="JSON", default="{}", help=HANDED[name])
        parser.add_argument("--quiet", action="store_true", help="say warnings and errors only")
        return parser

    def call(self, given: Mapping[str, Any]) -> None:
        """Run the command with what its words were parsed to.

        Raises
        ------
        InputError
            For a value that is refused, by the name of its flag, and for what the command finds wrong.
        """
        arguments = dict(vars(_checked(self.own, {}, self.own_flags, given)))
        if self.keys:
            handed: dict[str, Any] = {"sequences": {}} if "sequences" in self.keys else {}
            for name in HANDED:
                handed = merge(handed, _json_object(given[name], f"--{name}"))
            arguments["settings"] = _checked(Settings, handed, self.key_flags, given)
        self.run(**arguments)


def command(*keys: str, positional: str = "") -> Callable[[Run], Run]:
    """Make a command of a function; the keys and ``positional`` are as in `Command`."""

    def add(run: Run) -> Run:
        made = Command(run, keys, positional)
        COMMANDS[made.name] = made
        return run

    return add


def _checked(model: type[S], under: dict[str, Any], flags: Sequence[Flag], given: Mapping[str, Any]) -> S:
    """Return checked settings: those of the flags that are given, over others; a mistake names the flag."""
    flags = [flag for flag in flags if flag.key in given]
    for flag in flags:
        under = merge(under, flag.placed(flag.value(given[flag.key])))
    try:
        return checked(model, under)
    except InputError as error:
        where = error.where
        for flag in flags:
            where = re.sub(rf"^{re.escape(flag.key)}(?![\w-])", f"--{flag.name}", where)
        raise InputError(error.what, where=where, remedy=error.remedy) from error


def _json_object(text: str, where: str) -> dict[str, Any]:
    value = json_of(text, where)
    if not isinstance(value, dict):
        raise InputError(f"{shown(value)} is not a JSON object", where=where, remedy="give keys with values")
    return value
