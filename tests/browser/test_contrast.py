"""The page's colours: every text holds AA on every ground on which it stands, in the light and the dark theme."""

import itertools
import re
from pathlib import Path

import pytest

THEME = Path(__file__).parents[2] / "services" / "api" / "static" / "theme.css"

AA_CONTRAST = 4.5
"""WCAG 2.2, 1.4.3: text of ordinary size."""
AA_SHAPE_CONTRAST = 3.0
"""WCAG 2.2, 1.4.11: shapes that carry meaning."""

TEXTS = ("text", "muted", "accent", "green", "amber", "red", "stale", "import", "export")
GROUNDS = ("surface", "raised", "picked")
FOOTER_TEXTS = ("text", "muted", "accent", "red")


def theme(name: str) -> dict[str, str]:
    """The colours of the light or the dark theme."""
    light, dark = THEME.read_text(encoding="utf-8").split("@media (prefers-color-scheme: dark)")
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", light if name == "light" else dark))


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_measured_as_the_standard_says() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("name", ["light", "dark"])
def test_texts_hold_aa_on_every_ground(name: str) -> None:
    colours = theme(name)
    pairs = [*itertools.product(TEXTS, GROUNDS), *((text, "ground") for text in FOOTER_TEXTS), ("on-accent", "accent")]
    weak = {
        (text, ground): round(contrast(colours[text], colours[ground]), 2)
        for text, ground in pairs
        if contrast(colours[text], colours[ground]) < AA_CONTRAST
    }
    assert weak == {}


@pytest.mark.parametrize("name", ["light", "dark"])
def test_marks_hold_aa_on_their_lights(name: str) -> None:
    colours = theme(name)
    for light in ("green", "amber", "red"):
        assert contrast(colours["mark"], colours[light]) >= AA_SHAPE_CONTRAST
