"""The audit of a folder that no other stage would read."""

import shutil

import numpy as np
import pandas as pd
import pytest
import tifffile
from audit_params import audit_params

from fathom.audit.findings import findings_of, read_findings, refuse_errors
from fathom.audit.image_audit import audit_image_files, read_traits, write_image_audit
from fathom.audit.pictures import contact_sheet
from fathom.ground.errors import FathomError
from fathom.ground.images import read_micrograph, write_labels


@pytest.fixture
def damaged(simulated_dataset, tmp_path):
    """Return a data set with a truncated image, a missing one and a patient spelt in two ways."""
    folder = tmp_path / "set"
    shutil.copytree(simulated_dataset, folder)
    whole = (folder / "images/field03.tif").read_bytes()
    (folder / "images/field03.tif").write_bytes(whole[: len(whole) // 2])
    (folder / "images/field05.tif").unlink()
    images = pd.read_csv(folder / "images.csv")
    images.loc[images["image"] == "images/field00.tif", "patient"] = "P-00 "
    images.to_csv(folder / "images.csv", index=False)
    return folder


def test_every_image_is_audited_though_some_cannot_be_read(damaged, tmp_path):
    params = audit_params(waivers={"duplicate_nuclei:s1|s2": "of nuclei, which come later"})
    found = audit_image_files(damaged, params)
    assert found.findings["name"].tolist() == [
        "unreadable_image:images/field03.tif",
        "unreadable_image:images/field05.tif",
        "patient_spellings:P-00|p0",
    ]
    assert (found.traits["error"] == "").sum() == 6
    write_image_audit(tmp_path / "audit_images", damaged, found)
    with pytest.raises(FathomError, match="3 errors"):
        refuse_errors(read_findings(tmp_path / "audit_images"), tmp_path)
    assert read_traits(tmp_path / "audit_images").equals(found.traits)
    sheet = read_micrograph(tmp_path / "audit_images/pictures/unreadable_image.png")
    assert sheet.shape[1] > 2 * 240


@pytest.mark.parametrize(
    ("scales", "said"),
    [
        (["0.25", "0.5", "0.5", ""], "have 2 scales (um_per_px and count of images: 0.25 1, 0.5 2"),
        (["0.25", "0.5", "0.5000001"], "count of images: 0.25 1, 0.5 2)"),
        (["0.325", "0.3249", "0.3251", "0.325"], None),
        (["", "", "", ""], None),
    ],
)
def test_images_of_several_scales_stop_the_pipeline(tmp_path, scales, said):
    rows = ["image,slide,patient,um_per_px", *(f"{i}.tif,s,p,{s}" for i, s in enumerate(scales))]
    (tmp_path / "images.csv").write_text("\n".join(rows))
    found = audit_image_files(tmp_path, audit_params()).findings
    mixed = found[found["check"] == "mixed_scales"]
    assert mixed["severity"].tolist() == ["error"] * (said is not None)
    if said:
        assert said in mixed["what"].iloc[0]
        assert mixed["rows"].iloc[0] == ["0.tif"]


@pytest.mark.parametrize(
    ("files", "column", "said"),
    [
        ([0.25, 0.5], ["", ""], {"mixed_scales": "have 2 scales (um_per_px"}),
        ([0.25, 0.25], ["", ""], {}),
        ([0.25, 0.25], ["0.25", ""], {}),
        ([0.5, 0.25], ["", "0.5"], {"contradicting_scales": "1.tif: 0.5, the file says 0.25"}),
        ([0.25, None], ["", ""], {"unknown_scales": "of 1 of 2 images neither"}),
        ([0.25, None], ["", "0.25"], {}),
        ([None, None], ["", ""], {}),
    ],
)
def test_what_the_files_say_of_their_scales_is_looked_at(tmp_path, files, column, said):
    for number, scale in enumerate(files):
        sizes = {f"PhysicalSize{axis}": scale for axis in "XY"} if scale else {}
        path = tmp_path / f"{number}.tif"
        tifffile.imwrite(path, np.zeros((40, 40), np.uint16), ome=True, metadata=sizes)
    rows = [f"{number}.tif,s,p,{scale}" for number, scale in enumerate(column)]
    (tmp_path / "images.csv").write_text("\n".join(["image,slide,patient,um_per_px", *rows]))
    found = audit_image_files(tmp_path, audit_params()).findings
    of_scales = found[found["check"].str.endswith("_scales")]
    assert set(of_scales["check"]) == set(said)
    for check, what in said.items():
        row = of_scales[of_scales["check"] == check].iloc[0]
        assert what in row["what"]
        assert row["severity"] == ("error" if check == "mixed_scales" else "warning")


def test_nuclei_in_pieces_are_counted(simulated_dataset, tmp_path):
    folder = tmp_path / "set"
    shutil.copytree(simulated_dataset, folder)
    labels = np.zeros((160, 160), np.int32)
    labels[5:15, 5:15], labels[40:50, 40:50] = 1, 2
    labels[100, 100] = labels[120:122, 120] = 1
    write_labels(folder / "masks/field02.tif", labels)
    found = audit_image_files(folder, audit_params()).findings
    (row,) = found[found["check"] == "labels_in_pieces"].to_dict("records")
    assert row["where"] == "images/field02.tif"
    assert "3 px lie apart from their nuclei's largest pieces, 200 px" in row["what"]


def test_findings_survive_their_file(damaged, tmp_path):
    found = audit_image_files(damaged, audit_params())
    write_image_audit(tmp_path / "audit_images", damaged, found)
    read = findings_of(read_findings(tmp_path / "audit_images"))
    assert read == findings_of(found.findings)
    assert read[0].rows == ("images/field03.tif",)


def test_what_has_no_table_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(FathomError, match=r"images\.csv is missing"):
        audit_image_files(tmp_path, audit_params())
    (tmp_path / "images.csv").write_text("image,slide\na.tif,s\n")
    with pytest.raises(FathomError, match="column 'patient': is missing"):
        audit_image_files(tmp_path, audit_params())
    (tmp_path / "images.csv").write_bytes(b"image,patient\n\xff\xfe,p\n")
    with pytest.raises(FathomError, match="is not UTF-8 text"):
        audit_image_files(tmp_path, audit_params())
    with pytest.raises(FathomError, match="run the stage 'audit' first"):
        read_findings(tmp_path / "audit")


def test_a_contact_sheet_holds_every_tile():
    tiles = [(f"a very long name of a nucleus {i}", np.full((96, 96), i, np.uint8)) for i in (9, 8)]
    sheet = contact_sheet(tiles, 96)
    assert (sheet[50, 50], sheet[50, 102 + 50]) == (9, 8)
    assert (sheet[96:, :96] < 100).any()
