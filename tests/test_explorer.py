"""The explorer: its answers, its server, its page, and the page in a browser."""

import _thread
import base64
import datetime
import html.parser
import http.client
import json
import re
import socket
import threading
import time
import zlib

import chromium
import numpy as np
import pandas as pd
import pytest
from conftest import random_table, whole_domain

from treeflows import AutoregressiveTreeFlow, Explorer, save
from treeflows.command.main import main
from treeflows.explorer.server import Server, serve
from treeflows.machine.errors import ParameterError

HOSTILE = ["</script><b>bold", "<!-- <script>", "\"'`${1}\\", "\u202eright to left", "x" * 10_000, "line\nbreak\u2028"]


@pytest.fixture(scope="module")
def small():
    """A model of a small domain, its table, and its explorer."""
    codes = random_table(3, 400, [3, 2, 4, 2])
    table = pd.DataFrame({name: [f"{name}{k}" for k in column] for name, column in zip("abcd", codes.T, strict=True)})
    model = AutoregressiveTreeFlow().fit(table)
    return model, table, Explorer(model, table, n_draws=4000)


@pytest.fixture(scope="module")
def mixed():
    """The same of a table with numbers, some of which are missing."""
    rng = np.random.default_rng(0)
    kind = rng.choice(["low", "high"], 600)
    x = np.where(kind == "low", 1.0, 3.0) + rng.normal(0, 0.5, 600)
    x[rng.random(600) < 0.1] = np.nan
    table = pd.DataFrame({"kind": kind, "x": x, "count": rng.poisson(np.where(kind == "low", 20, 40))})
    model = AutoregressiveTreeFlow(random_state=0).fit(table)
    return model, table, Explorer(model, n_draws=4000)


@pytest.fixture(scope="module")
def hostile():
    """The explorer of a table whose names and values are markup and worse."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({name: rng.choice(HOSTILE, 200) for name in HOSTILE})
    return Explorer(AutoregressiveTreeFlow().fit(table), table, title=HOSTILE[0], n_draws=1000)


def said(column, codes, negated=False, **run):
    return {"column": column, "codes": list(codes), "not": negated, **run}


@pytest.mark.parametrize(
    "told",
    [
        [],
        [said(0, [1])],
        [said(1, [0], True)],
        [said(2, [0, 3]), said(0, [2], True)],
        [said(0, [0, 1]), said(1, [1]), said(2, [1, 2], True), said(3, [0])],
    ],
)
def test_answers_are_those_of_the_whole_domain(small, told):
    model, _, explorer = small
    domain = whole_domain([3, 2, 4, 2])
    values = pd.DataFrame({name: [f"{name}{k}" for k in column] for name, column in zip("abcd", domain.T, strict=True)})
    prob = np.exp(model.score_samples(values))
    for each in told:
        prob = prob * (np.isin(domain[:, each["column"]], each["codes"]) != each["not"])
    answer = explorer.query(told)
    assert answer["effective"] is None
    assert answer["error"] == 0
    assert answer["log"] == pytest.approx(np.log(prob.sum()), abs=1e-9)
    for j, k in enumerate([3, 2, 4, 2]):
        assert explorer.faces[j].labels == [f"{'abcd'[j]}{code}" for code in range(k)]
        np.testing.assert_allclose(answer["shares"][j], np.bincount(domain[:, j], prob, k) / prob.sum(), atol=1e-9)


def test_evidence_that_cannot_be_is_told(small):
    answer = small[2].query([said(1, [0, 1], True)])
    assert answer["shares"] is None
    assert answer["log"] is None
    assert "no value of it is left" in answer["note"]


@pytest.mark.filterwarnings("ignore::treeflows.MonteCarloWarning")
def test_bins_of_numbers_are_ranges_of_query(mixed):
    model, _, explorer = mixed
    face = explorer.faces[2]
    low, high = 2, 5
    given = explorer.given([said(2, range(low, high + 1), **{"from": low, "to": high})])
    assert given == {"count": (face.said[low][0][0], face.said[high][0][1])}
    answer, found = explorer.query([said(2, [], **{"from": low, "to": high})]), model.query(given=given, n_draws=4000)
    assert answer["log"] == pytest.approx(np.log(found.probability))
    assert answer["shares"][1] == found["x"].probability.tolist()
    assert sum(answer["shares"][2][low : high + 1]) == pytest.approx(1)
    missing = explorer.faces[1].labels.index("(missing)")
    assert explorer.given([said(1, [missing], True)]) == {"x": {"not": None}}
    assert explorer.query([said(1, [missing])])["shares"][1][missing] == pytest.approx(1)


@pytest.mark.parametrize("unit", ["s", "us", "ns"])
def test_times_are_told_as_times(unit):
    hours = np.random.default_rng(0).integers(0, 9000, (2, 300))
    when = np.datetime64("2024-01-01", unit) + hours[0].astype("timedelta64[h]")
    table = pd.DataFrame({"when": when, "took": hours[1].astype("timedelta64[s]").astype(f"timedelta64[{unit}]")})
    model = AutoregressiveTreeFlow().fit(table)
    explorer = Explorer(model, table, n_draws=1000)
    for j, column in enumerate(explorer.figures()["columns"]):
        low, high = (eval(column[side][5], {"datetime": datetime}) for side in ("low", "high"))
        assert explorer.given([said(j, [], **{"from": 5, "to": 5})]) == {column["name"]: (low, high)}
        assert column["starts"][5] in column["labels"][5]
        answer = explorer.query([said(j, [], **{"from": 5, "to": 5})])
        assert answer["shares"][j][5] == pytest.approx(1)


def test_draws_of_the_page_are_those_of_the_answers(mixed):
    # that what is shown at once is what the model says a moment later, wherever enough draws agree
    _, _, explorer = mixed
    agree = explorer.draws[:, 0] == 0
    assert 1500 < agree.sum() < 3000
    answer = explorer.query([said(0, [0])])
    shares = np.bincount(explorer.draws[agree, 1], minlength=len(explorer.faces[1].labels)) / agree.sum()
    if answer["effective"] is not None:
        assert answer["effective"] == pytest.approx(agree.sum())
    np.testing.assert_allclose(answer["shares"][1], shares, atol=1e-9)


def test_rows_by_surprise_and_what_would_be_likelier(small):
    model, table, explorer = small
    odd = explorer.figures()["rows"]
    assert odd["n"] == 400
    assert [each["row"] for each in odd["told"]] == model.anomalies(table, 20).rows.tolist()
    row = explorer.row(7)
    found = model.anomalies(table[7:8], 1)
    assert [cell["surprise"] for cell in row["cells"]] == found.surprise[0].tolist()
    assert [cell["text"] for cell in row["cells"]] == table.iloc[7].tolist()
    assert [cell["likely"] for cell in row["cells"]] == model.predict(table[7:8]).iloc[0].tolist()
    assert row["log_likelihood"] == found.log_likelihood[0]
    assert eval(row["python"])[0].rows.tolist() == [0]


def test_columns_that_share_most_are_named():
    rng = np.random.default_rng(0)
    first = rng.integers(0, 4, 600)
    table = np.column_stack([first, (first + (rng.random(600) < 0.2)) % 4, first // 2, rng.integers(0, 4, 600)])
    columns = Explorer(AutoregressiveTreeFlow().fit(table), n_draws=4000).figures()["columns"]
    assert [column["with"] for column in columns] == [[1, 2], [0, 2], [0, 1], []]
    assert columns[0]["dependence"] > columns[2]["dependence"] > columns[3]["dependence"] == 0


@pytest.mark.parametrize(
    "told",
    [
        "all",
        [3],
        [{}],
        [said(4, [0])],
        [said(-1, [0])],
        [said(True, [0])],
        [said(0, [3])],
        [said(0, [])],
        [said(0, ["a0"])],
        [said(0, [0], "yes")],
        [said(0, [0], **{"from": 0, "to": 1})],
        [{"column": 0, "codes": {"0": 0}, "not": False}],
    ],
)
def test_evidence_that_is_none_is_refused(small, told):
    with pytest.raises(ParameterError, match="given"):
        small[2].query(told)


@pytest.mark.parametrize("row", [-1, 400, 1.0, "0", None, True])
def test_rows_that_are_not_there_are_refused(small, row):
    with pytest.raises(ParameterError, match="row must be a whole number from 0 to 399"):
        small[2].row(row)


def test_the_graph_is_that_of_the_model(small):
    model, table, explorer = small
    told = explorer.dependence
    graph = eval(told["python"], {"model": model, "table": table})
    assert told["python"] == "model.dependence_graph(table, random_state=0)"
    assert told["about"] == "400 rows of the table"
    assert [(line["column"], line["on"], line["nats"]) for line in told["lines"]] == graph.pairs()
    assert told["lines"]
    for line in told["lines"]:
        assert line["error"] == graph.standard_error[line["column"], line["on"]]
        assert line["share"] == line["nats"] / graph.entropy[line["column"]]
    assert sorted(told["columns"]) == [0, 1, 2, 3]
    np.testing.assert_allclose(np.hypot(*np.transpose(told["places"])), 1, atol=1e-3)


def test_of_many_columns_and_rows_the_graph_is_of_some(monkeypatch):
    monkeypatch.setattr("treeflows.explorer.answers.MOST_MEASURED", 1000)
    codes = np.random.default_rng(0).integers(0, 2, (3000, 35))
    codes[:, 34] = codes[:, 20]
    table = pd.DataFrame(codes).rename(columns=str)
    model = AutoregressiveTreeFlow(max_depth=2).fit(table)
    told = Explorer(model, table, n_draws=2000).dependence
    assert told["python"].startswith("model.dependence_graph(table[::3], random_state=0, columns=[")
    assert len(eval(told["python"].partition("columns=")[2][:-1])) == 30
    assert told["about"] == "1,000 rows of the table; of 35 columns it was asked of the 30 that share most"
    assert told["columns"][:2] == [20, 34]
    assert len(told["columns"]) == 30
    of_draws = Explorer(model, n_draws=2000).dependence
    assert of_draws["about"].startswith("10,000 rows drawn from the model;")


@pytest.mark.parametrize("kind", ["codes", "numbers"])
def test_a_context_is_that_of_the_whole_page(kind, tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    region = rng.choice(["north", "south"], 600)
    a = np.where(rng.random(600) < 0.9, region == "north", rng.random(600) < 0.5)
    own = pd.DataFrame({"a": np.where(a, "yes", "no"), "b": rng.choice(["u", "v"], 600)})
    context = pd.DataFrame({"region": region})
    if kind == "numbers":
        own, context = own.assign(x=a + rng.normal(size=600)), context.assign(w=rng.normal(size=600))
    model = AutoregressiveTreeFlow(random_state=0).fit(own, context=context)
    one = context[region == "south"][:1]
    explorer = model.explore(own, context=one, n_draws=4000)
    assert "given region = south" in repr(explorer)
    found = model.query(given={"b": "u"}, context=one, n_draws=4000)
    codes = explorer.faces[1].labels.index("u")
    np.testing.assert_array_equal(explorer.query([said(1, [codes])])["shares"][0], found["a"].probability)
    np.testing.assert_allclose(explorer.before[0], np.bincount(explorer.draws[:, 0], minlength=2) / 4000, atol=0.03)
    figures = explorer.figures()
    given = f"context={one.to_numpy(dtype=object).tolist()}"
    assert figures["options"] == f", {given}, n_draws=4000"
    row = explorer.row(5)
    odd, likely = eval(row["python"], {"model": model, "table": own})
    assert row["log_likelihood"] == pytest.approx(model.score_samples(own[5:6], one)[0])
    assert row["log_likelihood"] == odd.log_likelihood[0]
    assert [cell["likely"] for cell in row["cells"]][:2] == likely.iloc[0].tolist()[:2]
    assert set(figures["graph"]["columns"]) == set(range(own.shape[1]))
    eval(figures["graph"]["python"], {"model": model, "table": own})
    with pytest.raises(TypeError, match="context must be given"):
        model.explore()
    with pytest.raises(ValueError, match="context has 2 rows"):
        model.explore(context=context[:2])
    if kind == "codes":
        monkeypatch.chdir(tmp_path)
        save(model, "m.treeflow")
        assert (
            main(["explore", "m.treeflow", "--export", "page.html", "--draws", "1000", "--given", "region=south"]) == 0
        )
        assert "given region = south" in (tmp_path / "page.html").read_text("utf-8")
        assert main(["explore", "m.treeflow", "--given", "region=south", "--given", "a=yes"]) == 2
        assert "what is known of 'a' is clicked on the page" in capsys.readouterr().err
        assert main(["explore", "m.treeflow"]) == 2
        assert "--given 'region=…' is needed" in capsys.readouterr().err


# ---- the server ----


@pytest.fixture
def server(small):
    with Server(small[2]) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def ask(server, method="POST", path=None, body=b'{"given": []}', **headers):
    """Status, headers and body of the answer to a request."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
    told = {"Content-Type": "application/json", "Host": f"127.0.0.1:{server.server_port}"}
    told |= {name.replace("_", "-"): value for name, value in headers.items()}
    told = {name: value for name, value in told.items() if value is not None}
    path = f"/{server.token}/query" if path is None else path
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in told.items():
            connection.putheader(name, value)
        if method == "POST" and "Content-Length" not in told:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body if method == "POST" else None)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def test_the_page_and_its_answers_are_served(server, small):
    status, headers, body = ask(server, "GET", f"/{server.token}/")
    assert (status, body) == (200, server.page)
    assert headers["Content-Security-Policy"] == "frame-ancestors 'none'"
    assert headers["Cache-Control"] == "no-store"
    assert server.server_address[0] == "127.0.0.1"
    told = [said(0, [1])]
    status, _, body = ask(server, body=json.dumps({"given": told}).encode())
    assert (status, json.loads(body)["shares"]) == (200, [list(each) for each in small[2].query(told)["shares"]])
    status, _, body = ask(server, path=f"/{server.token}/row", body=b'{"row": 3}')
    assert json.loads(body) == small[2].row(3)
    status, _, body = ask(server, path=f"/{server.token}/graph", body=b"{}")
    assert json.loads(body) == small[2].dependence


def test_other_hosts_origins_and_sites_are_refused(server):
    port = server.server_port
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.1:{port + 1}", "", None):
        assert ask(server, Host=host)[0] == 421
        assert ask(server, "GET", f"/{server.token}/", Host=host)[0] == 421
    for origin in ("http://evil.example", "null", f"https://127.0.0.1:{port}", f"http://127.0.0.1:{port}.evil.example"):
        assert ask(server, Origin=origin)[0] == 403
    for site in ("cross-site", "same-site", "none"):
        assert ask(server, Sec_Fetch_Site=site)[0] == 403
    assert (
        ask(server, Origin=f"http://localhost:{port}", Host=f"localhost:{port}", Sec_Fetch_Site="same-origin")[0] == 200
    )
    _, headers, _ = ask(server, Origin="http://evil.example")
    assert not [name for name in headers if name.lower().startswith("access-control")]


def test_nothing_else_is_there(server):
    token = server.token
    wrong = token[:-1] + ("A" if token[-1] != "A" else "B")
    for path in (
        *("/", "/index.html", f"/{wrong}/", f"/{token}", f"/{token}/../{token}/", f"/{token}/../../etc/passwd"),
        *(f"/{token}/%2e%2e/%2e%2e/etc/passwd", f"/{token}/explorer.js", f"/{token}/?x"),
    ):
        status, _, body = ask(server, "GET", path)
        assert status == 404
        assert token.encode() not in body
    assert ask(server, "GET", f"/{token}/query")[0] == 404
    assert ask(server, path=f"/{token}/")[0] == 404
    for method in ("PUT", "DELETE", "OPTIONS", "HEAD", "TRACE"):
        assert ask(server, method, f"/{token}/")[0] == 501


def test_bodies_that_are_no_questions_are_refused(server):
    assert ask(server, Content_Length="1000001")[0] == 413
    assert ask(server, Content_Length="9" * 30)[0] == 413
    for length in ("-1", "1e3", "", "٣"):
        assert ask(server, Content_Length=length.encode())[0] == 411
    assert ask(server, Transfer_Encoding="chunked")[0] == 411
    assert ask(server, Content_Type="text/plain")[0] == 415
    for body in (
        b"",
        b"[]",
        b"nan",
        b"\xff",
        b"[" * 100_000,
        b'{"given": 1}',
        b'{"given": [{"column": 1e999}]}',
        b"{}",
    ):
        status, _, told = ask(server, body=body)
        assert status == 400
        assert json.loads(told)["error"]
    assert ask(server)[0] == 200


def test_many_connections_leave_it_alive(server, monkeypatch):
    monkeypatch.setattr("treeflows.explorer.server.Handler.timeout", 0.3)
    idle = []
    try:
        for i in range(300):  # more than it hears at once
            made = socket.create_connection(("127.0.0.1", server.server_port), timeout=5)
            made.sendall([b"", b"GET", b"\0" * 100, b"POST /x HTTP/1.1\r\nContent-Length: 99\r\n\r\n"][i % 4])
            idle.append(made)
        time.sleep(0.5)
        assert ask(server)[0] == 200
    finally:
        for made in idle:
            made.close()
    assert ask(server, "GET", "/" + "x" * 100_000)[0] == 414


def test_an_interrupt_ends_it(small, capsys, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    threading.Timer(0.3, _thread.interrupt_main).start()
    serve(small[2])
    told = capsys.readouterr()
    assert re.match(r"http://127\.0\.0\.1:\d+/\S{32}/\n", told.out)
    assert told.err == "the model draws rows for the page …\n\nended\n"
    assert opened == [told.out.split()[0]]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"cannot listen at port {port}"):
            serve(small[2], port)


# ---- the page ----


class _Elements(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.links = [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href")]


def test_a_page_holds_all_and_no_markup_of_the_table(hostile, small):
    text = hostile.to_html()
    elements, of_small = _Elements(), _Elements()
    elements.feed(text)
    of_small.feed(small[2].to_html())
    assert elements.tags == of_small.tags
    assert set(elements.links) == {"#cards", "data:,"}
    assert "url(http" not in text
    assert "default-src 'none'" in text
    data = json.loads(re.search(r'id="data">(.*?)</script>', text).group(1))
    assert [column["name"] for column in data["columns"]] == HOSTILE
    assert text.count("</script") == 2
    inner = hostile._repr_html_()
    assert inner.count('"') == 8  # those of its own attributes
    assert 'sandbox="allow-scripts"' in inner


def test_draws_are_left_out_of_pages_that_would_be_large(small, monkeypatch):
    whole = small[2].figures()["draws"]
    assert whole["n"] == 4000
    assert len(small[2].to_html()) < 200_000
    monkeypatch.setattr("treeflows.explorer.answers.MOST_BYTES", 13_000)
    less = small[2].figures()
    assert 1000 <= less["draws"]["n"] < 4000
    codes = np.frombuffer(zlib.decompress(base64.b64decode(less["draws"]["packed"])), dtype=np.uint8)
    np.testing.assert_array_equal(codes.reshape(4, -1).T, small[2].draws[: less["draws"]["n"]])


def test_command_line_writes_the_page(small, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, table, _ = small
    save(model, "m.treeflow")
    table.to_csv("t.csv", index=False)
    assert main(["explore", "m.treeflow", "t.csv", "--export", "page.html", "--draws", "1000"]) == 0
    text = (tmp_path / "page.html").read_text("utf-8")
    data = json.loads(re.search(r'id="data">(.*?)</script>', text).group(1))
    assert (data["title"], data["draws"]["n"], data["rows"]["n"], data["served"]) == ("t", 1000, 400, False)
    assert capsys.readouterr().out == "wrote page.html\n"
    assert main(["explore", "m.treeflow", "--export", "m.treeflow"]) == 2
    assert main(["explore", "m.treeflow", "--export", "none/page.html"]) == 2
    assert "no folder none" in capsys.readouterr().err


# ---- the page in a browser ----


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if chromium.path() is None:
        pytest.skip("there is no Chromium to look at the page with")
    made = chromium.Chromium(tmp_path_factory.mktemp("chromium") / "profile")
    yield made
    made.close()


@pytest.fixture
def opened(browser, tmp_path):
    """Open the page of an explorer as a file."""

    def open_page(explorer, **options):
        explorer.save(tmp_path / "page.html")
        browser.events.clear()
        browser.open((tmp_path / "page.html").as_uri(), **options)
        return browser

    yield open_page
    assert browser.problems() == []
    assert all(address.startswith("file:") for address in browser.requests())


SHOWN = """(() => {
  const text = (of, what) => of.querySelector(what).textContent;
  const cards = [...document.querySelectorAll('.card')].map((card) => [text(card, 'h2'), Object.fromEntries(
    [...card.querySelectorAll('.value')].map((value) =>
      [value.querySelector('.label').childNodes[1].textContent, text(value, '.share')]))]);
  const worth = [...document.querySelectorAll('.worth')].map((each) => each.textContent);
  const order = cards.map(([name]) => name), python = text(document, '#python');
  return { cards: Object.fromEntries(cards), order, python, worth };
})()"""
CLICK = """((name, label, shift) => {
  const card = [...document.querySelectorAll('.card')].find((each) => each.querySelector('h2').textContent === name);
  const value = [...card.querySelectorAll('.value')].find((each) =>
    each.querySelector('.label').childNodes[1].textContent === label);
  value.dispatchEvent(new MouseEvent('click', { bubbles: true, shiftKey: shift }));
})"""


def click(browser, name, label, *, shift=False):
    browser.run(f"{CLICK}({json.dumps(name)}, {json.dumps(label)}, {json.dumps(shift)})")
    return browser.run(SHOWN)


def percent(text):
    return float(text.strip("<>%↑ ")) / 100


def test_clicks_condition_the_draws(opened, small):
    model, _, explorer = small
    browser = opened(explorer)
    shown = browser.run(SHOWN)
    assert shown["python"] == "model.query(n_draws=4000)"
    assert percent(shown["cards"]["a"]["a1"]) == pytest.approx(explorer.before[0][1], abs=6e-4)
    for clicks, evidence in (
        ([("a", "a1", False)], [said(0, [1])]),
        ([("a", "a1", False)], [said(0, [1], True)]),  # once more denies it
        ([("c", "c2", False), ("c", "c0", True)], [said(0, [1], True), said(2, [0, 2])]),
        ([("a", "a1", False)], [said(2, [0, 2])]),  # and once more takes it back
    ):
        for name, label, shift in clicks:
            shown = click(browser, name, label, shift=shift)
        agree = np.ones(len(explorer.draws), dtype=bool)
        for each in evidence:
            agree &= np.isin(explorer.draws[:, each["column"]], each["codes"]) != each["not"]
        for j, name in enumerate("abcd"):
            for code, label in enumerate(explorer.faces[j].labels):
                share = np.mean(explorer.draws[agree, j] == code)
                assert percent(shown["cards"][name][label]) == pytest.approx(share, abs=1.1e-3)
        result = eval(shown["python"])  # the line says what was clicked
        assert result.given == model.query(given=explorer.given(evidence)).given
        assert percent(shown["worth"][0].partition("%")[0]) == pytest.approx(agree.mean(), abs=1e-3)
        error = np.sqrt(agree.mean() * (1 - agree.mean()) / len(agree))
        assert abs(result.probability - agree.mean()) < 5 * error
    assert shown["order"][0] == "c"


def test_keys_brush_and_two_sides(opened, mixed):
    _, _, explorer = mixed
    browser = opened(explorer, width=400)
    card = "[...document.querySelectorAll('.card')].find((each) => each.querySelector('h2').textContent === 'count')"
    plot = f"{card}.querySelector('.plot')"
    keys = [("Home", False), *[("ArrowRight", False)] * 3, *[("ArrowRight", True)] * 4]
    browser.run(f"{plot}.focus()")
    for key, shift in keys:
        browser.run(
            f"document.activeElement.dispatchEvent(new KeyboardEvent('keydown', "
            f"{{key: {key!r}, shiftKey: {json.dumps(shift)}, bubbles: true}}))"
        )
    face = explorer.faces[2]
    shown = browser.run(SHOWN)
    line = f"model.query(given={{'count': ({face.said[3][0][0]:.0f}, {face.said[7][0][1]:.0f})}}, n_draws=4000)"
    assert shown["python"] == line
    agree = (explorer.draws[:, 2] >= 3) & (explorer.draws[:, 2] <= 7)
    assert percent(shown["cards"]["kind"]["low"]) == pytest.approx(
        np.mean(explorer.draws[agree, 0] == explorer.faces[0].labels.index("low")), abs=1e-3
    )
    browser.run("document.getElementById('compare').click()")
    shown = click(browser, "kind", "high")
    assert shown["python"].split("\n") == [line, "model.query(given={'kind': 'high'}, n_draws=4000)"]
    assert shown["cards"]["kind"]["high"].endswith("100.0%")
    assert len(shown["worth"]) == 2
    browser.run(f"{plot}.focus()")
    browser.run("document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape', bubbles: true}))")
    assert browser.run("document.documentElement.scrollWidth") <= 400  # nothing runs off a narrow page


def test_a_file_refuses_what_too_few_draws_tell(opened, small):
    _, _, explorer = small
    browser = opened(explorer)
    for _ in range(3):  # the rarest value of each column, given those before
        shown = browser.run(SHOWN)
        if shown["worth"][0].startswith("too rare"):
            break
        told = {
            name: {label: percent(share) for label, share in values.items()} for name, values in shown["cards"].items()
        }
        name, label, _ = min(
            ((n, v, s) for n, values in told.items() for v, s in values.items() if 0 < s < 0.5),
            key=lambda each: each[2],
        )
        shown = click(browser, name, label)
    assert shown["worth"][0].startswith("too rare")
    assert "draws are like this: too few to tell" in shown["worth"][0]
    assert {share for values in shown["cards"].values() for share in values.values()} == {"—"}


def test_a_served_page_tells_what_the_model_says(browser, server, small):
    model, _, _ = small
    browser.events.clear()
    browser.open(server.address)
    shown = click(browser, "b", "b1")
    browser.wait("document.querySelector('.worth').textContent.includes('exact')")
    shown, found = browser.run(SHOWN), model.query(given={"b": "b1"})
    for name in "abcd":
        for label, share in zip(found[name].labels, found[name].probability, strict=True):
            assert percent(shown["cards"][name][label]) == pytest.approx(share, abs=6e-4)
    browser.run("document.getElementById('rows').open = true")
    browser.wait("document.querySelector('#cells table')")
    assert browser.run("document.querySelectorAll('#cells tbody tr').length") == 4
    browser.run("document.getElementById('graph').open = true")
    browser.wait("document.querySelector('.graph')")
    assert browser.run(GRAPH)["python"] == "model.dependence_graph(table, random_state=0)"
    assert browser.problems() == []
    assert all(address.startswith(server.address) for address in browser.requests())


GRAPH = """(() => {
  const found = (what) => [...document.querySelectorAll(`.graph ${what}`)];
  const texts = (what) => found(what).map((each) => each.textContent);
  return { lines: texts('li button'), names: texts('svg text'), on: texts('li .on'), lit: found('.line.on').length,
    drawn: found('.line').length, read: texts('.read')[0], about: texts('p')[0], python: texts('code')[0] };
})()"""


def press(browser, key):
    told = f"{{key: {key!r}, bubbles: true}}"
    browser.run(f"document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {told}))")


def test_columns_hang_together_in_a_browser(opened, small):
    _, _, explorer = small
    browser = opened(explorer, width=480)
    browser.send("Emulation.setFocusEmulationEnabled", enabled=True)
    assert not browser.run("document.getElementById('graph').open")
    browser.run("document.querySelector('#graph summary').click()")
    browser.wait("document.querySelector('.graph')")
    shown, told = browser.run(GRAPH), explorer.dependence
    names = [column["name"] for column in explorer.figures()["columns"]]
    assert shown["names"] == [names[j] for j in told["columns"]]
    assert len(shown["lines"]) == shown["drawn"] == len(told["lines"])
    for text, line in zip(shown["lines"], told["lines"], strict=True):
        assert text.startswith(
            f"{names[line['column']]} on {names[line['on']]}{line['nats']:.3f} ± {line['error']:.3f}"
        )
    assert "400 rows of the table" in shown["about"]
    assert shown["python"] == told["python"]
    assert browser.run("document.documentElement.scrollWidth") <= 480
    browser.run("document.querySelector('.graph li button').focus()")
    press(browser, "ArrowDown")
    shown = browser.run(GRAPH)
    assert shown["lit"] == 1
    assert shown["on"] == [shown["lines"][1]]
    assert shown["read"].endswith("of its entropy")
    browser.run("document.querySelector('.graph g[role]').focus()")
    for key in ("ArrowRight", "ArrowLeft", "ArrowLeft"):
        press(browser, key)
    j = told["columns"][-1]
    shown = browser.run(GRAPH)
    assert shown["lit"] == sum(j in (line["column"], line["on"]) for line in told["lines"])
    press(browser, "Enter")  # leads to the card
    browser.wait("document.activeElement.closest('.card')")
    assert browser.run("document.activeElement.closest('.card').querySelector('h2').textContent") == names[j]


def test_names_are_text_in_a_browser(opened, hostile):
    browser = opened(hostile)
    browser.run("document.getElementById('graph').open = true")
    browser.wait("document.querySelector('.graph')")
    assert browser.run("document.querySelectorAll('b, script').length") == 2  # of its own
    shown = click(browser, HOSTILE[0], HOSTILE[2])
    assert eval(shown["python"].replace("model.query", "dict"))["given"] == {HOSTILE[0]: HOSTILE[2]}
    assert browser.run("document.querySelectorAll('#cards b').length") == 0
    assert browser.run("document.documentElement.scrollWidth") <= 1280


def test_a_click_is_answered_at_once(opened):
    codes = random_table(0, 1000, [8] * 15)
    browser = opened(Explorer(AutoregressiveTreeFlow(max_depth=3).fit(codes)))
    browser.send("Performance.enable", timeDomain="threadTicks")

    def busy():
        told = browser.send("Performance.getMetrics")["metrics"]
        return next(each["value"] for each in told if each["name"] == "TaskDuration")

    spent = []
    for i in range(20):
        before = busy()
        browser.run(
            f"""new Promise((done) => {{
              const values = document.querySelectorAll('.value');
              values[{7 * i} % values.length].click();
              requestAnimationFrame(() => requestAnimationFrame(done));
            }})"""
        )
        spent.append(busy() - before)
    assert np.quantile(spent, 0.95) < 0.15  # seconds of a processor until all columns are drawn, however busy it is
