"""The folders of files that are not Python are found; a missing one is named."""

import pytest

from dcgen.errors import ToolError
from dcgen.resources import resource_dir


@pytest.mark.parametrize("name", ["templates", "firmware"])
def test_every_folder_is_there(name: str) -> None:
    assert resource_dir(name).is_dir()


def test_a_missing_folder_is_named() -> None:
    with pytest.raises(ToolError, match="dcgen's nothing folder: is not part of this installation"):
        resource_dir("nothing")
