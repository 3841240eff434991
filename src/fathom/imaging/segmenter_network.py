"""A network that maps nuclei, as an ONNX file of the user's: opened, checked, run; no torch.

Input: (1, channels, y, x) float32, 1 or 3 channels. Its first output: (1, maps, y, x) float32, of
the same y and x: probabilities, or what an activation makes one.
"""

import hashlib
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import onnxruntime
from scipy.special import expit, softmax

from fathom.ground.errors import ModelError
from fathom.imaging.params import NetworkSegmentation

Planes = npt.NDArray[np.float32]  # (channels, y, x)
Maps = npt.NDArray[np.float32]  # (maps, y, x), probabilities


class SegmenterNetwork:
    """A network that fits its section of params: the file's hash, channels and window are checked.

    Parameters
    ----------
    path : the ONNX file; `params.network` says where it was when the section was written
    params : how it is run, and what its outputs mean

    Raises
    ------
    ModelError
        Where the file is missing, another one, or cannot be used as `params` say.
    """

    def __init__(self, path: Path, params: NetworkSegmentation) -> None:
        self.path = path
        self.params = params
        self._session = _open(path, params.network_sha256)
        inputs = self._session.get_inputs()
        # A name for a size stands where any size is taken.
        shape = inputs[0].shape if len(inputs) == 1 else []
        if len(shape) != 4 or shape[1] not in (1, 3) or inputs[0].type != "tensor(float)":
            given = "; ".join(f"'{put.name}' {put.type} {put.shape}" for put in inputs)
            raise ModelError(
                f"{path}: takes {given}; a segmenter takes one float32 input of the shape "
                "(1, channels, y, x), with 1 or 3 channels. Export it with such an input"
            )
        self.channels = int(shape[1])
        """Of the input: 1 or 3."""
        if self.channels == 3 and params.planes == "stain":
            raise ModelError(
                f"{path}: takes 3 channels, but segmentation.planes is 'stain', which is one: set "
                "it to 'image'"
            )
        self._name = inputs[0].name
        self._check_window()

    def run(self, planes: Planes) -> Maps:
        """Return the probability maps of one window, (channels, window_px, window_px).

        One window at a time: what a window gives does not hang on what is run beside it.
        """
        (output,) = self._session.run(
            [self._session.get_outputs()[0].name], {self._name: planes[np.newaxis]}
        )
        maps = cast(Maps, output[0])
        match self.params.activation:
            case "sigmoid":
                return expit(maps)
            case "softmax":
                return softmax(maps, axis=0)
            case _:
                return maps

    def _check_window(self) -> None:
        """Run an empty window: sizes that a network cannot halve show here, not in mid-slide."""
        side, params = self.params.window_px, self.params
        planes = np.zeros((self.channels, side, side), dtype=np.float32)
        try:
            maps = self.run(planes)
        # ONNX Runtime's exceptions have no base class of their own.
        except Exception as error:
            raise ModelError(
                f"{self.path}: cannot run a window of {side} x {side} px ({first_line(error)}). "
                "Set segmentation.window_px to a size it takes, often a multiple of 16 or 32"
            ) from None
        if maps.shape[1:] != (side, side) or maps.dtype != np.float32:
            raise ModelError(
                f"{self.path}: returns {maps.dtype} of the shape {(1, *maps.shape)} for a window "
                f"of {side} x {side} px; float32 maps of the same size were expected. Set "
                "segmentation.window_px to a multiple of its steps, or export it with padding"
            )
        highest = max(params.interior_channel, params.boundary_channel or 0)
        if highest >= len(maps):
            raise ModelError(
                f"{self.path}: returns {len(maps)} maps, numbered from 0; there is no channel "
                f"{highest}. Correct segmentation.interior_channel or boundary_channel"
            )
        if params.activation == "none" and not ((maps >= 0) & (maps <= 1)).all():
            raise ModelError(
                f"{self.path}: returns {maps.min():.3g} to {maps.max():.3g}, which are no "
                "probabilities: set segmentation.activation to 'sigmoid' or 'softmax', whichever "
                "it was trained with"
            )


def _open(path: Path, sha256: str) -> onnxruntime.InferenceSession:
    if not path.is_file():
        raise ModelError(
            f"{path}: there is no such segmenter network; the one wanted has the SHA-256 {sha256}. "
            "`fathom predict` also looks beside the model file, and takes --segmenter FILE"
        )
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ModelError(
            f"{path}: is another network (SHA-256 {found}) than the one named in "
            f"segmentation.network_sha256, {sha256}. Take that file; for a new study with this "
            "one, write its hash there"
        )
    return open_session(path, content)


# So begins the entry of a tensor that names another file (onnx.proto, TensorProto.external_data).
_ELSEWHERE = b"\n\x08location"


def open_session(path: Path, content: bytes) -> onnxruntime.InferenceSession:
    """Return a session of an ONNX file's content on one thread: the same bytes on any machine.

    Raises `ModelError` where it is no such file, and where its weights lie in another one.
    """
    if _ELSEWHERE in content:
        raise ModelError(
            f"{path}: its weights lie in another file, which is not read; save it as one file: "
            "onnx.save(onnx.load(FILE), FILE, save_as_external_data=False)"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what is wrong reaches the reader as an exception
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        _read_texts(session)
    # ONNX Runtime's exceptions have no base class of their own.
    except Exception as error:
        raise ModelError(
            f"{path}: is not an ONNX file, or a damaged one ({first_line(error)})"
        ) from None
    else:
        return session


def _read_texts(session: onnxruntime.InferenceSession) -> None:
    """Decode what a file says of itself: damaged texts raise only when they are asked for."""
    _ = session.get_modelmeta().custom_metadata_map
    _ = [put.name for put in (*session.get_inputs(), *session.get_outputs())]


def first_line(error: Exception) -> str:
    """Return what ONNX Runtime says of a model; behind it come the places in its own source."""
    return (str(error).splitlines() or [type(error).__name__])[0]
