"""Variants of the pattern screen, and which kind of value each of its settings takes."""

from typing import Any

from ssefw.errors import ConfigurationError

__all__ = ["VARIANTS", "chosen_settings"]

VARIANTS: dict[str, dict[str, Any]] = {
    "fast": {"network": "small", "augmentation": "paper", "bin_width": 0.5},
    "paper": {"network": "vgg11", "augmentation": "paper", "bin_width": 0.02},
    "code": {
        "network": "vgg11_code",
        "augmentation": "code",
        "bin_width": 0.02,
        "convex": True,
        "warm_up": True,
    },
}
"""What each variant sets: our default, the paper's definition, and the authors' program's."""

_COUNTS = ("members", "per_class", "iterations", "batch", "ratio", "seed")
_NUMBERS = ("unlabeled_share", "learning_rate", "tau", "fwhm", "bin_width")
_REPLACED = ("network", "augmentation", "bin_width", "convex", "warm_up")
_SWITCHES = ("convex", "warm_up")


def chosen_settings(given: dict[str, Any]) -> dict[str, Any]:
    """Return what a variant and the settings given in its place make of them.

    Raises
    ------
    ConfigurationError
        If there is no such variant, or a setting is of the wrong kind.
    """
    variant = given["variant"]
    if variant not in VARIANTS:
        raise ConfigurationError(
            f"Unknown variant {variant!r}. Known: {', '.join(sorted(VARIANTS))}."
        )
    _check_kinds(given)
    chosen = {"convex": False, "warm_up": False, **VARIANTS[variant]}
    return chosen | {key: given[key] for key in _REPLACED if given[key] is not None}


def _check_kinds(given: dict[str, Any]) -> None:
    """Refuse a setting of the wrong kind, which a command line can hand over."""
    for names, kind, word in (
        (_COUNTS, int, "a whole number"),
        (_NUMBERS, (int, float), "a number"),
        (_SWITCHES, bool, "true or false"),
        (("wavelength",), (str, int, float), "the name of a line or angstrom"),
    ):
        for name in names:
            value = given[name]
            right = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
            if value is not None and not right:
                raise ConfigurationError(f"{name} is {word}, got {value!r}.")
    if given["learning_rate"] <= 0:
        raise ConfigurationError(f"learning_rate is above 0, got {given['learning_rate']:g}.")
