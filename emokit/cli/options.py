"""Options made from config dataclasses, and those that several commands share."""

from __future__ import annotations

import dataclasses
import logging
import re
import sys
import types
import typing
from collections.abc import Callable, Collection, Mapping
from typing import Any

import click

from emokit.core.config import field_choices, field_types


def options_from(cls: type, only: Collection[str] | None = None, skip: Collection[str] = (),
                 defaults: Mapping[str, Any] | None = None) -> Callable:
    """Make one option per field of a config class.

    An option that nobody gives is None, so that recipes and files can fill it; its default is
    told in the help. Lists are comma-separated, booleans are `--flag/--no-flag`, limits and
    choices are checked when the config is made.

    Args:
        only: fields to take, in the order of the class; default all.
        skip: fields to leave out.
        defaults: values that the help shall name instead of the class's own.
    """
    kinds = field_types(cls)

    def decorate(function):
        for field in reversed(dataclasses.fields(cls)):
            if field.name in skip or (only is not None and field.name not in only):
                continue
            function = _option(field, kinds[field.name], defaults or {})(function)
        return function

    return decorate


def _option(field: dataclasses.Field, kind: Any, defaults: Mapping[str, Any]):
    flag = "--" + field.name.replace("_", "-")
    text = field.metadata.get("help", "")
    default = field.default if field.default is not dataclasses.MISSING else field.default_factory()
    shown = _shown(defaults.get(field.name, default))
    if shown:
        text += f"  [default: {shown}]"
    base = _base(kind)
    if base is bool:
        return click.option(f"{flag}/--no-{flag[2:]}", default=None, help=text)
    words = field_choices(field)
    if words is not None and base is str:
        return click.option(flag, type=click.Choice(words), default=None, help=text)
    convert = {int: INTEGER, float: NUMBER, str: str}.get(base)
    if convert is None:
        item = next((argument for argument in typing.get_args(base)), str)
        convert = CommaList(item) if _origin(base) is list and item in _NUMBERS else str
    return click.option(flag, type=convert, default=None, help=text, metavar=_metavar(base))


def _origin(kind):
    return typing.get_origin(kind) or kind


def _base(kind):
    """Strip `| None`; of several kinds take the one a person would type."""
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        kinds = [option for option in typing.get_args(kind) if option is not type(None)]
        return str if str in kinds and len(kinds) > 1 else kinds[0]
    return kind


def _metavar(base) -> str:
    origin = _origin(base)
    if origin is list:
        item = next((argument for argument in typing.get_args(base)), None)
        return {int: "N,N,…", float: "NUMBER,NUMBER,…", str: "NAME,NAME,…"}.get(
            item, "A(key=value)+B")
    return {int: "N", float: "NUMBER", bool: "", str: "NAME"}.get(origin, "NAME(key=value,…)")


def _shown(default: Any) -> str:
    if default is None or default == []:
        return ""
    if isinstance(default, dict):
        return str(default.get("name", ""))
    if isinstance(default, list):
        return ",".join(item["name"] if isinstance(item, dict) else str(item)
                        for item in default)
    return str(default).lower() if isinstance(default, bool) else str(default)


_NUMBERS = {int: "whole number", float: "number", str: "word"}
"""What lists on the command line may hold, and what an item of them is called."""


class CommaList(click.ParamType):
    """A comma-separated list; commas between parentheses separate nothing."""

    name = "list"

    def __init__(self, item: type):
        self.item = item

    def convert(self, value, parameter, context):
        """Split and convert; an item that is none is a usage error."""
        if isinstance(value, list):
            return value
        result = []
        parts = re.split(r",(?![^()]*\))", value)
        for part in filter(None, (part.strip() for part in parts)):
            try:
                result.append(self.item(part))
            except ValueError:
                self.fail(f"'{part}' in '{value}' is no {_NUMBERS[self.item]}.", parameter,
                          context)
        return result


class _OrNone(click.ParamType):
    """A number, or `none`."""

    def __init__(self, kind: type, name: str):
        self.kind, self.name = kind, name

    def convert(self, value, parameter, context):
        """Convert; `none` is handed on as the word and becomes nothing when settings merge."""
        if isinstance(value, (int, float)) or value == "none":
            return value
        try:
            return self.kind(value)
        except ValueError:
            self.fail(f"'{value}' is no {self.name}.", parameter, context)


INTEGER, NUMBER = _OrNone(int, "whole number"), _OrNone(float, "number")


def given(values: dict[str, Any]) -> dict[str, Any]:
    """Keep the options that were given; `none` becomes None."""
    return {name: None if value == "none" and name not in ("folds", "balance", "adapters",
                                                           "augment", "normalisation") else value
            for name, value in values.items() if value is not None}


def emoset_option(function):
    """Add --emoset."""
    return click.option("--emoset", default="emoset", show_default=True, metavar="DIR",
                        envvar="EMOKIT_EMOSET", help="Folder of built corpora.")(function)


def runs_option(function):
    """Add --runs."""
    return click.option("--runs", default="runs", show_default=True, metavar="DIR",
                        envvar="EMOKIT_RUNS", help="Folder of fitted models.")(function)


def reports_option(function):
    """Add --reports."""
    return click.option("--reports", default="reports", show_default=True, metavar="DIR",
                        help="Folder of reports.")(function)


def format_option(*formats: str):
    """Add --format."""
    formats = formats or ("table", "csv", "json", "latex")
    return click.option("--format", "format_", type=click.Choice(formats), default=formats[0],
                        show_default=True, help="How results are written to stdout.")


def settings_options(function):
    """Add --config and --set."""
    function = click.option(
        "--set", "sets", multiple=True, metavar="KEY.PATH=VALUE",
        help="One setting by its path, e.g. adapters.residual.rank=C/8; repeatable.")(function)
    return click.option("--config", "file", metavar="FILE.yaml", default=None,
                        help="Settings as YAML; --set and flags win over it.")(function)


def quiet_option(function):
    """Add -v/--verbose and --quiet, which set up the log on stderr."""
    def set_up(context, parameter, value):
        context.ensure_object(dict)[parameter.name] = value
        level = logging.DEBUG if context.obj.get("verbose") else (
            logging.WARNING if context.obj.get("quiet") else logging.INFO)
        set_up_log(level)
        return value

    function = click.option("--quiet", is_flag=True, expose_value=False, callback=set_up,
                            is_eager=True, help="Only warnings and errors on stderr.")(function)
    return click.option("-v", "--verbose", is_flag=True, expose_value=False, callback=set_up,
                        is_eager=True, help="More on stderr.")(function)


class _OverBars(logging.Handler):
    """Writes log lines above a progress bar instead of through it."""

    def emit(self, record):
        """Write one line to stderr."""
        line = self.format(record)
        if "tqdm" in sys.modules:
            sys.modules["tqdm"].tqdm.write(line, file=sys.stderr)
        else:
            click.echo(line, err=True)


def set_up_log(level: int) -> None:
    """Send emokit's log to stderr; with times where stderr is no terminal, as in batch jobs."""
    logger = logging.getLogger("emokit")
    logger.handlers.clear()
    handler = _OverBars()
    form = "%(message)s" if sys.stderr.isatty() else "%(asctime)s %(message)s"
    handler.setFormatter(logging.Formatter(form, "%H:%M:%S"))
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False


class Bar:
    """A progress bar for work that reports (what, done, of how many); off without a terminal.

    Example:
        with Bar("utt") as bar:
            bar("emodb", 10, 339)
    """

    def __init__(self, unit: str):
        self.unit, self.bar, self.what = unit, None, ""

    def __enter__(self) -> Bar:
        return self

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show that so much of something is done."""
        from tqdm import tqdm

        if self.bar is None or what != self.what:
            self.close()
            self.what = what
            self.bar = tqdm(total=total, desc=what, unit=self.unit, disable=None, leave=False)
        self.bar.update(done - self.bar.n)

    def close(self) -> None:
        """End the present bar."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def __exit__(self, *error) -> None:
        self.close()
