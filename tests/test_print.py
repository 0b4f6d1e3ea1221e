"""The report as it is printed, in a browser."""

import chromium
import pandas as pd
import pytest
from conftest import random_table

from treeflows import AutoregressiveTreeFlow
from treeflows.report.page import report_fitted

FOLDED = "[...document.querySelectorAll('details:not([open])')]"
HEIGHTS = f"{FOLDED}.map((each) => each.children[1].offsetHeight * each.children[1].checkVisibility())"  # what is below
RIGHT = "Math.max(...[...document.querySelectorAll('body *')].map((each) => each.getBoundingClientRect().right))"


def test_folded_sections_unfold_and_nothing_is_cut_off(tmp_path):
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")
    if chromium.path() is None:
        pytest.skip("there is no Chromium to print with")
    names = [f"a column whose name is long {j}" for j in range(9)]
    table = pd.DataFrame(random_table(0, 60, [3] * 9).astype(str), columns=names)
    page, _ = report_fitted(AutoregressiveTreeFlow().fit(table), table, "table.csv")
    (tmp_path / "page.html").write_text(
        page.replace("<head>", "<head><script>document.documentElement.dataset.ready = 1</script>")
    )
    browser = chromium.Chromium(tmp_path / "profile")
    try:
        browser.open((tmp_path / "page.html").as_uri(), width=718)  # an A4 sheet without its margins
        browser.run("document.querySelectorAll('details').forEach((each) => { each.open = false; })")
        assert set(browser.run(HEIGHTS)) == {0}
        assert browser.run("document.querySelector('nav').offsetHeight") > 0
        browser.send("Emulation.setEmulatedMedia", media="print")
        heights = browser.run(HEIGHTS)
        assert len(heights) > 10
        assert min(heights) > 0
        assert browser.run("document.querySelector('nav').offsetHeight") == 0
        assert browser.run(RIGHT) <= 718 + 1
    finally:
        browser.close()
