"""Which of an image's channels a model is given."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from fathom.ground.errors import SlideError

RGB = ("red", "green", "blue")


def picked_channel(
    path: Path,
    names: Sequence[str],
    *,
    colour: bool | None,
    channel: int | str | None,
    channels: Literal[1, 3],
) -> int | None:
    """Return the index of the channel to read, or None for all three as RGB.

    Parameters
    ----------
    names : of the image's channels, "" where it gives none
    colour : whether the file says that its three channels are those of an RGB picture; None where
        its format has no way to, and names are all there is
    channel : the user's --channel: an index, counted from 0, or a name in any case
    channels : of the model, 1 or 3

    Raises
    ------
    SlideError
        For RGB given to a model of one channel without a channel picked, the reverse, several
        channels and none picked, and a channel that is not there.
    """
    names = RGB if colour else names
    if channels == 3:
        _require_rgb(path, names, channel, colour=colour)
        return None
    if channel is None:
        return _require_one(path, names, colour=bool(colour))
    index = _index(path, channel, names)
    if index is None:
        raise SlideError(
            f"{path}: has no channel {channel!r}; --channel is one of {channel_list(names)}"
        )
    return index


def channel_list(names: Sequence[str]) -> str:
    """Return the channels as a user may name them: `0 'DAPI', 1 'GFP'`."""
    return ", ".join(
        f"{index} {name!r}" if name else str(index) for index, name in enumerate(names)
    )


def _require_rgb(
    path: Path, names: Sequence[str], channel: int | str | None, *, colour: bool | None
) -> None:
    if channel is not None:
        raise SlideError(
            f"{path}: --channel {channel} was given, but the model was trained on RGB pictures and "
            "takes all three channels; leave --channel out"
        )
    if colour or (colour is None and _are_rgb(names)):
        return
    if colour is False and len(names) == 3:
        raise SlideError(
            f"{path}: has three channels ({channel_list(names)}), and does not say that they are "
            "red, green and blue; the model was trained on RGB pictures. Save it as RGB if it is"
        )
    has = "is a grey image" if len(names) == 1 else f"has the channels {channel_list(names)}"
    raise SlideError(f"{path}: {has}; the model was trained on RGB pictures")


def _are_rgb(names: Sequence[str]) -> bool:
    """Tell whether three channels are called red, green and blue, or nothing."""
    lower = [name.lower() for name in names]
    return len(names) == 3 and all(
        name in ("", str(index), colour, colour[0])
        for index, (name, colour) in enumerate(zip(lower, RGB, strict=True))
    )


def _require_one(path: Path, names: Sequence[str], *, colour: bool) -> int:
    if len(names) == 1:
        return 0
    if colour:
        raise SlideError(
            f"{path}: is an RGB picture; the model was trained on grey images. Where one colour "
            "holds the nuclei, name it: --channel red, green or blue"
        )
    raise SlideError(
        f"{path}: has {len(names)} channels, the model takes one: name the nuclear stain as "
        f"--channel, one of {channel_list(names)}"
    )


def _index(path: Path, channel: int | str, names: Sequence[str]) -> int | None:
    """Return the index that a user means; a name goes before a number, `488` may be a name."""
    text = str(channel).strip().lower()
    places = [index for index, name in enumerate(names) if name.strip().lower() == text]
    if len(places) == 1:
        return places[0]
    if len(places) > 1:
        raise SlideError(
            f"{path}: has {len(places)} channels called {names[places[0]]!r}; give the number of "
            f"one as --channel, {' or '.join(map(str, places))}"
        )
    return int(text) if text.isdecimal() and int(text) < len(names) else None
