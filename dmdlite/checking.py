"""Checks of configs and names, so that a mistake is answered by one clear sentence; and the configs' base class."""

import math
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import MISSING, FrozenInstanceError, asdict, dataclass, fields, replace
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Any, ClassVar, Literal, Self, get_args, get_origin, get_type_hints

KINDS = {str: "a name", dict: "a dict", list: "a matrix", NoneType: "null"}
# What other libraries call our fields.
SYNONYMS = dict.fromkeys(("attention_heads", "num_heads", "num_attention_heads"), "heads")
SYNONYMS |= dict(hidden_size="width", num_layers="layers")
SYNONYMS |= dict(lr="learning_rate", num_epochs="epochs", patience="early_stopping_patience")


def suggestion(name: object, choices: Iterable[str]) -> str:
    """ "; did you mean 'width'?", or nothing if no choice comes close."""
    choices = [choice for choice in choices if isinstance(choice, str)]
    close = [SYNONYMS.get(str(name), ""), *get_close_matches(str(name), choices, n=1)]
    best = [choice for choice in close if choice in choices]
    return f"; did you mean {best[0]!r}?" if best else ""


def known(what: str, value: Any, choices: Iterable[Any]) -> Any:
    """The value, if it is one of the choices. Otherwise raises ValueError with the closest one, or with all of them."""
    if value in (choices := list(choices)):
        return value
    if closest := suggestion(value, choices):
        raise ValueError(f"{what} cannot be {value!r}{closest}")
    raise ValueError(f"{what} must be one of {', '.join(map(repr, choices))}, got {value!r}")


@dataclass(kw_only=True)
class Config:
    """What all configs share: fields that are checked once and never change, and copies with some of them changed."""

    later: ClassVar[str] = ""  # fields that came later: a saved config without them means their defaults

    def __new__(cls, *_: Any, **values: Any) -> Self:
        names = sorted(f.name for f in fields(cls))
        if unknown := sorted(values.keys() - set(names)):
            closest = suggestion(unknown[0], names) or f"; it has {', '.join(names)}"
            raise ValueError(f"{cls.__name__} has no field {unknown[0]!r}{closest}")
        return super().__new__(cls)

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "_checked", True)

    def __setattr__(self, name: str, value: Any) -> None:
        """Fields stay as they are; other libraries may attach attributes, as `transformers.Trainer` does."""
        if "_checked" in vars(self) and any(f.name == name for f in fields(self)):
            raise FrozenInstanceError(f"{name!r} cannot be changed; make a copy with .replace({name}=...)")
        object.__setattr__(self, name, value)

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed; a dict updates a dict field."""
        kept = {f.name: getattr(self, f.name) for f in fields(self) if f.default_factory is not MISSING}
        updated = {name: kept[name] | x for name, x in changes.items() if type(kept.get(name)) is type(x) is dict}
        return replace(self, **deepcopy(kept | changes | updated))

    @classmethod
    def completed(cls, saved: dict[str, Any]) -> dict[str, Any]:
        """Saved fields, with the defaults of those that came later."""
        defaults = cls().to_dict()
        return {name: defaults[name] for kind in cls.mro() for name in vars(kind).get("later", "").split()} | saved

    def to_dict(self) -> dict[str, Any]:
        """Plain containers, ready for JSON."""
        return asdict(self)


def check_fields(config: Any) -> None:
    """Raises ValueError on the first field whose value its annotation does not allow.

    Counts are at least 1; seeds, warm-up and frozen layers at least 0; a `_dropout`, `_share` or `missing_rate` is in
    [0, 1); a dict has the keys of its default; a list some of its default's entries, each once; where the default is
    empty, both have any of their kind.
    """
    hints = get_type_hints(type(config))
    for f in fields(config):
        name, value, hint = f.name, getattr(config, f.name), hints[f.name]
        if f.default_factory is MISSING:
            _check_value(name, value, hint)
        elif not isinstance(value, type(default := f.default_factory())):
            raise ValueError(f"{name} must be a {type(default).__name__}, got {value!r}")
        elif isinstance(default, dict):
            if default and (odd := sorted(value.keys() ^ default.keys(), key=str)):
                keys, closest = ", ".join(sorted(default)), "" if odd[0] in default else suggestion(odd[0], default)
                raise ValueError(f"{name} needs exactly the keys {keys}; {odd[0]!r} is off{closest}")
            for key, entry in value.items():
                _check_value(f"{name}[{key!r}]", entry, get_args(hint)[1])
        elif default:
            repeated = [entry for entry in value if known(name, entry, default) and value.count(entry) > 1]
            if repeated or not value:
                raise ValueError(f"{name} needs one or more of {', '.join(default)}, each once, got {value!r}")
        else:
            _check_entries(name, value, *get_args(hint))


def _check_entries(name: str, values: list, kind: type) -> None:
    for i, value in enumerate(values):
        if kind is str and not isinstance(value, str):
            raise ValueError(f"{name}[{i}] must be a name, got {value!r}")
        if kind is float:
            _check_value(f"{name}[{i}]", value, float)


def _check_value(name: str, value: Any, hint: Any) -> None:
    if get_origin(hint) is Literal:
        known(name, value, get_args(hint))
    elif hint is int:
        if type(value) is not int:
            raise ValueError(f"{name} must be a whole number, got {value!r}")
        if value < (least := 0 if name in ("seed", "warmup_epochs", "frozen_language_layers") else 1):
            raise ValueError(f"{name} must be at least {least}, got {value}")
    elif hint is float:
        if type(value) not in (int, float) or not math.isfinite(value):
            raise ValueError(f"{name} must be a number, got {value!r}")
        if name.endswith(("_dropout", "_share", "missing_rate")) and not 0 <= value < 1:
            raise ValueError(f"{name} must be in [0, 1), got {value}")
        if name.startswith("learning_rate") and value <= 0:
            raise ValueError(f"{name} must be positive, got {value}")
    elif hint is bool and type(value) is not bool:
        raise ValueError(f"{name} must be true or false, got {value!r}")
    elif Callable in get_args(hint):
        if not callable(value):
            names = get_args(get_args(hint)[0])
            known(name, value if isinstance(value, str) else type(value), [*names, "a function of your own"])
    elif isinstance(hint, UnionType) and (numbers := {int, float} & set(get_args(hint))):
        if value is not None:
            _check_value(name, value, numbers.pop())
    elif isinstance(hint, UnionType):
        allowed = tuple(get_origin(kind) or kind for kind in get_args(hint))
        if not isinstance(value, allowed):
            raise ValueError(f"{name} must be {' or '.join(KINDS[kind] for kind in allowed)}, got {value!r}")
        if isinstance(value, list) and not _is_matrix(value):
            raise ValueError(f"{name} must be a 3 by 3 matrix of numbers, got {value!r}")


def _is_matrix(rows: list) -> bool:
    if len(rows) != 3 or not all(isinstance(row, list) and len(row) == 3 for row in rows):
        return False
    return all(type(entry) in (int, float) and math.isfinite(entry) for row in rows for entry in row)
