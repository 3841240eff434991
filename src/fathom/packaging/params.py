"""What a model package says of its makers, and what it may show of the study."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, Field, model_validator

from fathom.ground.section import Section

Text = Annotated[str, Field(min_length=1)]


class Citation(BaseModel):
    """A work to cite; bioimage.io wants its DOI or its address."""

    model_config = Section.model_config
    text: Text
    doi: Annotated[str, Field(pattern=r"^10\.[0-9]{4,}.*/.+$")] | None = None
    url: Annotated[str, Field(pattern=r"^https?://[^ ]+$")] | None = None

    @model_validator(mode="after")
    def _found_somewhere(self) -> Self:
        if self.doi is None and self.url is None:
            raise ValueError("a citation needs a doi or a url")
        return self


class Package(Section):
    """Licence, authors and citations of a packaged model, and its test crops."""

    key: ClassVar[str] = "package"
    licence: Text  # of the model, by its SPDX identifier: MIT, CC-BY-4.0
    # A slash would make an author a path, for bioimage.io.
    authors: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[^/\\]+$")], ...], Field(min_length=1, strict=False)
    ]
    citations: Annotated[tuple[Citation, ...], Field(strict=False)]
    # `study` puts crops of the study's nuclei into the package: of patients, where it has patients.
    test_crops: Literal["simulated", "study"]
