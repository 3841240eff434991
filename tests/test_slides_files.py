"""The formats: the same pixels from each, channels, resolution, and what is refused."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from slide_files import (
    halves,
    photometric,
    picture,
    write_ome_zarr,
    write_pages_pyramid,
    write_plain,
    write_png,
    write_pyramid_ome,
    write_striped,
    write_svs,
    write_tiled,
)

from fathom.ground.errors import FathomError
from fathom.ground.images import read_micrograph
from fathom.slides.opening import open_slide

CZI = Path(__file__).parents[2] / "shared" / "data" / "czi"


def write_planar(path, pixels, **options):
    planes = np.moveaxis(pixels, -1, 0) if pixels.ndim == 3 else pixels
    tifffile.imwrite(
        path,
        planes,
        photometric=photometric(pixels),
        planarconfig="separate" if pixels.ndim == 3 else None,
        metadata=None,
        **options,
    )


def write_opaque(path, pixels):
    opacity = np.full(pixels.shape[:2], np.iinfo(pixels.dtype).max, pixels.dtype)
    tifffile.imwrite(
        path,
        np.dstack([pixels, opacity]),
        photometric="rgb",
        extrasamples=["unassalpha"],
        tile=(128, 128),
    )


# Whole pictures, of any number of bits, grey and RGB.
WRITERS = {
    "tiled.tif": write_tiled,
    "big.tif": lambda path, pixels: write_tiled(path, pixels, bigtiff=True),
    "big_endian.tif": lambda path, pixels: write_tiled(path, pixels, byteorder=">"),
    "lzw_strips.tif": write_striped,
    "one_strip.tif": lambda path, pixels: write_striped(path, pixels, rowsperstrip=10**6),
    "plain.tif": write_plain,
    "plain_big_endian.tif": lambda path, pixels: write_plain(path, pixels, byteorder=">"),
    "planar.tif": write_planar,
    "planar_tiled.tif": lambda path, pixels: write_planar(path, pixels, tile=(64, 64)),
    "pyramid.ome.tif": lambda path, pixels: write_pyramid_ome(path, halves(pixels, 3)),
    "pages.tif": lambda path, pixels: write_pages_pyramid(path, halves(pixels, 3)),
    "image.ome.zarr": lambda path, pixels: write_ome_zarr(path, halves(pixels, 3)),
}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_pixels_that_were_written(tmp_path, name, channels, dtype):
    pixels = picture(211, 301, channels, dtype)
    WRITERS[name](tmp_path / name, pixels)
    with open_slide(tmp_path / name, channels=channels) as slide:
        assert (slide.height, slide.width, slide.channels) == (211, 301, channels)
        read = slide.read(0, 0, 211, 301)
        corner = slide.read(150, 201, 61, 100)
    assert read.dtype == slide.dtype == dtype
    np.testing.assert_array_equal(read, pixels)
    np.testing.assert_array_equal(corner, pixels[150:, 201:])


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.svs", lambda path, pixels: write_svs(path, halves(pixels, 3), compression="none")),
        ("a.tif", lambda path, pixels: write_svs(path, halves(pixels, 3), compression="none")),
        ("a.png", write_png),
        ("a.tif", write_opaque),
    ],
)
def test_formats_of_rgb_in_8_bits_do_so_too(tmp_path, name, write):
    pixels = picture(511, 701)
    write(tmp_path / name, pixels)
    with open_slide(tmp_path / name, channels=3) as slide:
        np.testing.assert_array_equal(slide.read(0, 0, 511, 701), pixels)


def test_jpeg_tiles_are_decoded_as_by_openslide(tmp_path):
    pixels = halves(picture(511, 701), 1)
    write_svs(tmp_path / "a.svs", pixels)
    write_tiled(tmp_path / "a.tif", pixels[0], compression="jpeg", tile=(256, 256))
    read = []
    for name in ("a.svs", "a.tif"):
        with open_slide(tmp_path / name, channels=3) as slide:
            read.append(slide.read(0, 0, 511, 701))
    np.testing.assert_array_equal(*read)


@pytest.mark.parametrize("name", ["a.tif", "a.png", "b.tif", "c.tif"])
def test_a_slide_reads_as_a_micrograph_of_a_data_set_does(tmp_path, name):
    write = {"a.tif": write_plain, "a.png": write_png, "b.tif": write_striped, "c.tif": write_tiled}
    write[name](tmp_path / name, picture(90, 77, 1))
    with open_slide(tmp_path / name) as slide:
        np.testing.assert_array_equal(slide.read(0, 0, 90, 77), read_micrograph(tmp_path / name))


RESOLUTIONS = {
    "ome.tif": lambda path, pixels: write_pyramid_ome(
        path, [pixels], 325.0, PhysicalSizeXUnit="nm", PhysicalSizeYUnit="nm"
    ),
    "imagej.tif": lambda path, pixels: tifffile.imwrite(
        path, pixels, imagej=True, resolution=(1 / 0.325, 1 / 0.325), metadata={"unit": "micron"}
    ),
    "cm.tif": lambda path, pixels: write_plain(
        path, pixels, resolution=(1e4 / 0.325, 1e4 / 0.325), resolutionunit="CENTIMETER"
    ),
    "inch.tif": lambda path, pixels: write_plain(
        path, pixels, resolution=(25400 / 0.325, 25400 / 0.325), resolutionunit="INCH"
    ),
    "a.zarr": lambda path, pixels: write_ome_zarr(path, [pixels], 0.325),
}


@pytest.mark.parametrize("name", RESOLUTIONS)
def test_the_width_of_a_pixel_is_found(tmp_path, name):
    RESOLUTIONS[name](tmp_path / name, picture(50, 60, 1))
    with open_slide(tmp_path / name) as slide:
        assert slide.um_per_px == pytest.approx(0.325, rel=1e-4)


@pytest.mark.parametrize(
    "write",
    [
        write_plain,
        lambda path, pixels: write_plain(path, pixels, resolution=(72, 72), resolutionunit="INCH"),
        lambda path, pixels: write_plain(path, pixels, resolution=(3, 3), resolutionunit="NONE"),
        lambda path, pixels: tifffile.imwrite(
            path, pixels, imagej=True, resolution=(1, 1), metadata={"unit": "pixel"}
        ),
    ],
)
def test_an_unknown_resolution_is_refused_where_the_model_needs_one(tmp_path, write):
    path = tmp_path / "a.tif"
    write(path, picture(50, 60, 1))
    with open_slide(path) as slide:
        assert slide.um_per_px is None
    with pytest.raises(FathomError, match=r"needs 0\.5 um per px: give it as --um-per-px"):
        open_slide(path, um_per_px=0.5)
    with open_slide(path, um_per_px=0.5, own_um_per_px=0.25) as slide:
        assert (slide.height, slide.width, slide.downsample) == (25, 30, 2.0)


def test_what_the_user_says_of_the_resolution_goes_before_what_the_file_says(tmp_path):
    write_ome_zarr(tmp_path / "a.zarr", [picture(50, 60, 1)], 0.5)
    with open_slide(tmp_path / "a.zarr", um_per_px=0.5, own_um_per_px=0.25) as slide:
        assert slide.downsample == 2.0
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(FathomError, match="--um-per-px is"):
            open_slide(tmp_path / "a.zarr", own_um_per_px=wrong)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (2.0, r"its pixels of 2 um are 4\.0 times as wide as the model's, 0\.5 um; up to 2\.5"),
        (352.8, r"says that its pixels are 352\.8 um wide, which no light microscope's are"),
        (1e-6, r"says that its pixels are 1e-06 um wide"),
    ],
)
def test_a_resolution_that_cannot_serve_is_refused_with_the_figures(tmp_path, own, message):
    write_ome_zarr(tmp_path / "a.zarr", [picture(50, 60, 1)], own)
    with pytest.raises(FathomError, match=message):
        open_slide(tmp_path / "a.zarr", um_per_px=0.5)


def write_channels_ome(path, channels, **options):
    names = {"Channel": {"Name": ["DAPI", "GFP", "488"][: len(channels)]}, "axes": "CYX"}
    options = {"photometric": "minisblack", "ome": True, "metadata": names} | options
    tifffile.imwrite(path, channels, **options)


def write_channels_imagej(path, channels):
    tifffile.imwrite(path, channels, imagej=True, metadata={"axes": "CYX"})


def write_channels_zarr(path, channels):
    labels = ["DAPI", "GFP", "488"][: len(channels)]
    write_ome_zarr(path, [np.moveaxis(channels, 0, -1)], labels=labels)


CHANNELS = {
    "plain.ome.tif": write_channels_ome,
    "tiled.ome.tif": lambda path, channels: write_channels_ome(
        path, channels, tile=(32, 32), compression="zlib"
    ),
    "a.zarr": write_channels_zarr,
}


@pytest.mark.parametrize("name", CHANNELS)
def test_a_channel_is_picked_by_name_or_number(tmp_path, name):
    channels = np.stack([picture(70, 81, 1, np.uint16, seed) for seed in range(3)])
    CHANNELS[name](tmp_path / name, channels)
    for channel, index in [("DAPI", 0), ("gfp", 1), (2, 2), ("1", 1), ("488", 2)]:
        with open_slide(tmp_path / name, channel=channel) as slide:
            np.testing.assert_array_equal(slide.read(0, 0, 70, 81), channels[index])
    with pytest.raises(
        FathomError, match=r"has 3 channels, the model takes one: .* 0 'DAPI', 1 'GFP', 2 '488'"
    ):
        open_slide(tmp_path / name)
    with pytest.raises(FathomError, match="no channel 3; --channel is one of 0 'DAPI', 1 'GFP'"):
        open_slide(tmp_path / name, channel=3)
    with pytest.raises(FathomError, match="no channel 'Cy5'"):
        open_slide(tmp_path / name, channel="Cy5")
    with pytest.raises(FathomError, match="the model was trained on RGB pictures"):
        open_slide(tmp_path / name, channels=3)


def test_channels_without_names_are_picked_by_number(tmp_path):
    channels = np.stack([picture(70, 81, 1, np.uint16, seed) for seed in range(2)])
    write_channels_imagej(tmp_path / "a.tif", channels)
    with open_slide(tmp_path / "a.tif", channel=1) as slide:
        np.testing.assert_array_equal(slide.read(0, 0, 70, 81), channels[1])
    with pytest.raises(FathomError, match=r"has 2 channels, .* one of 0, 1"):
        open_slide(tmp_path / "a.tif")


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.svs", "planar.tif"])
def test_rgb_for_a_grey_model_is_refused_unless_a_colour_is_named(tmp_path, name):
    pixels = picture(270, 300)
    write = {
        "a.tif": write_tiled,
        "a.png": write_png,
        "a.svs": lambda path, pixels: write_svs(path, [pixels], compression="none"),
        "planar.tif": write_planar,
    }
    write[name](tmp_path / name, pixels)
    with pytest.raises(FathomError, match="is an RGB picture; the model was trained on grey"):
        open_slide(tmp_path / name)
    with open_slide(tmp_path / name, channel="blue") as slide:
        assert slide.channels == 1
        np.testing.assert_array_equal(slide.read(0, 0, 270, 300), pixels[..., 2])
    with pytest.raises(FathomError, match="--channel blue was given, but the model"):
        open_slide(tmp_path / name, channel="blue", channels=3)


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.zarr"])
def test_grey_for_an_rgb_model_is_refused(tmp_path, name):
    write = {
        "a.tif": write_tiled,
        "a.png": write_png,
        "a.zarr": lambda path, pixels: write_ome_zarr(path, [pixels]),
    }
    write[name](tmp_path / name, picture(40, 40, 1))
    with pytest.raises(FathomError, match="is a grey image; the model was trained on RGB"):
        open_slide(tmp_path / name, channels=3)
    with open_slide(tmp_path / name, channel=0) as slide:
        assert slide.channels == 1


def write_stack(path, axes):
    stack = np.zeros((5, 40, 40), np.uint8)
    if axes == "pages":
        tifffile.imwrite(path, stack, photometric="minisblack", metadata=None)
    else:
        options = {"photometric": "minisblack", "metadata": {"axes": f"{axes}YX"}}
        tifffile.imwrite(path, stack, ome=True, **options)


@pytest.mark.parametrize(
    ("axes", "message"), [("Z", "5 Z planes"), ("T", "5 time points"), ("pages", "5 pages")]
)
def test_several_planes_are_refused(tmp_path, axes, message):
    write_stack(tmp_path / "a.tif", axes)
    with pytest.raises(FathomError, match=f"holds {message}; one was expected"):
        open_slide(tmp_path / "a.tif")


def test_several_planes_of_a_zarr_are_refused(tmp_path):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=3)
    group.create_array("s0", data=np.zeros((1, 4, 20, 20), np.uint8), chunks=(1, 1, 20, 20))
    axes = [{"name": name} for name in "czyx"]
    image = {"axes": axes, "datasets": [{"path": "s0"}]}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [image]}
    with pytest.raises(FathomError, match="holds 4 Z planes; one was expected"):
        open_slide(tmp_path / "a.zarr")


def test_ome_zarr_of_version_0_5_is_read(tmp_path):
    pixels = picture(200, 230, 1, np.uint16)
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=3)
    group.create_array("s0", data=pixels, chunks=(64, 64), shards=(128, 128))
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    scale = [{"type": "scale", "scale": [0.3, 0.3]}]
    image = {"axes": axes, "datasets": [{"path": "s0", "coordinateTransformations": scale}]}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [image]}
    with open_slide(tmp_path / "a.zarr") as slide:
        assert slide.um_per_px == pytest.approx(0.3)
        np.testing.assert_array_equal(slide.read(0, 0, 200, 230), pixels)


def test_an_ome_tiff_of_several_images_is_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as tiff:
        for number in range(2):
            tiff.write(np.zeros((40 + number, 40), np.uint8), metadata={"axes": "YX"})
    with pytest.raises(FathomError, match=r"holds 2 images .* save one a file"):
        open_slide(tmp_path / "a.ome.tif")


@pytest.mark.parametrize("dtype", [np.float32, np.int16, np.uint32, np.bool_])
def test_other_numbers_are_refused(tmp_path, dtype):
    write_plain(tmp_path / "a.tif", np.zeros((40, 40), dtype))
    with pytest.raises(FathomError, match="8- or 16-bit unsigned integers were expected"):
        open_slide(tmp_path / "a.tif")


def test_other_files_and_folders_are_refused(tmp_path):
    (tmp_path / "a.bmp").write_bytes(b"BM")
    (tmp_path / "empty.svs").touch()
    (tmp_path / "folder").mkdir()
    zarr.open_group(tmp_path / "bare.zarr", mode="w")
    for name, message in [
        ("a.bmp", r"'\.bmp' is not one of \.tif, \.tiff,"),
        ("absent.svs", "there is no such file"),
        ("empty.svs", r"the file is empty \(0 bytes\)"),
        ("folder", "is a folder, and not an OME-Zarr image"),
        ("bare.zarr", "is a Zarr folder without 'multiscales'"),
    ]:
        with pytest.raises(FathomError, match=f"{name}: {message}"):
            open_slide(tmp_path / name)


def test_readers_are_imported_only_when_needed(tmp_path):
    write_png(tmp_path / "a.png", picture(40, 40, 1))
    code = (
        "import sys; from pathlib import Path; from fathom.slides.opening import open_slide; "
        f"open_slide(Path({str(tmp_path / 'a.png')!r})); "
        "print(sorted({'zarr', 'openslide', 'pylibCZIrw'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


needs_czi = pytest.mark.skipif(not CZI.is_dir(), reason=f"{CZI} is not here")


@needs_czi
def test_a_czi_is_read_in_full_and_by_region():
    with open_slide(CZI / "nuc_small.czi") as slide:
        assert (slide.height, slide.width, slide.dtype) == (240, 320, np.uint8)
        assert slide.um_per_px == pytest.approx(0.45715, abs=1e-5)
        whole = slide.read(0, 0, 240, 320)
        np.testing.assert_array_equal(slide.read(100, 33, 77, 88), whole[100:177, 33:121])
    assert 1 < whole.mean() < 3
    assert whole.max() == 34


@needs_czi
def test_channels_of_a_czi_are_picked():
    path = CZI / "DAPI_GFP.czi"
    with open_slide(path, channel=0) as one, open_slide(path, channel="1") as other:
        assert (one.height, one.width, one.um_per_px) == (640, 640, None)
        assert (one.read(0, 0, 640, 640) != other.read(0, 0, 640, 640)).any()
    with pytest.raises(FathomError, match="has 2 channels, the model takes one"):
        open_slide(path)
    with pytest.raises(FathomError, match="no channel 2; --channel is one of 0, 1"):
        open_slide(path, channel=2)
    with pytest.raises(FathomError, match="does not say how wide its pixels are"):
        open_slide(path, channel=0, um_per_px=0.5)
