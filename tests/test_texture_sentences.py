"""Each sentence on planted textures follows from who found what by a rule."""

from fathom.reports.texture_sentences import texture_sentences
from fathom.statistics.intervals import Interval
from fathom.texture.texture_scores import Sought, texture_numbers

LOW, HIGH = Interval(0.52, 0.49, 0.55), Interval(0.6, 0.501, 0.7)


def said(**found):
    """Return what is said of networks that found so many of the strengths 1, .5, .25."""
    sought = []
    for name, count in found.items():
        for place, strength in enumerate((1.0, 0.5, 0.25)[: count + 1]):
            accuracy = HIGH if place < count else LOW
            sought.append(Sought(name.replace("_", "-"), strength, accuracy, 3, 3, 0, 0))
    return texture_sentences(texture_numbers(sought, 6.0, 0.95))


def test_nobody_found_anything():
    assert said(shallow=0, vgg_13=0) == (
        "No network found even the strongest change of the texture, 1 SD (a pattern of 6 px): what "
        "they do not find on the study's labels says nothing about the texture."
    )


def test_all_found_the_weakest():
    assert said(shallow=3, vgg_13=3) == (
        "A change of the texture by .25 SD (a pattern of 6 px) would have been found by shallow "
        "and vgg-13. So 'nothing in the texture' holds down to .25 SD; of smaller changes nothing "
        "is known."
    )


def test_some_found_less_than_others_and_one_nothing():
    assert said(shallow=1, vgg_13=0, vgg_13_batchnorm=2, wide=2) == (
        "A change of the texture by .5 SD (a pattern of 6 px) would have been found by "
        "vgg-13-batchnorm and wide; by 1 SD, by shallow. vgg-13 does not find even 1 SD: what "
        "vgg-13 does not find on the study's labels says nothing about the texture. So 'nothing in "
        "the texture' holds down to .5 SD; of smaller changes nothing is known."
    )


def test_several_are_blind():
    text = said(deep=0, deeper=0, shallow=1)
    assert "deep and deeper do not find even 1 SD" in text
    assert "holds down to 1 SD" in text
