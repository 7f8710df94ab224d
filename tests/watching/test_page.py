"""The page in a real browser: what a person sees there in each state, and that nothing runs."""

import json
import threading
from dataclasses import asdict

import numpy as np
import pytest
from browser import browsing
from clusters import dashboard, plan_of
from PIL import Image
from watching import wait_until

from eedask.errors import RunStopped
from eedask.watching.messages import Beginning
from eedask.watching.meter import RequestCounts
from eedask.watching.run_state import Limits, RunState
from eedask.watching.scheduler_plugin import PLUGIN, WatchingPlugin
from eedask.watching.tables import CSS, runs_table

EVIL = "<img src=x onerror=\"document.title='owned'\">"
# The text of the page, within Bokeh's shadow trees too.
TEXT = """(function text(node) {
  const of = child => child.nodeType === 3 ? child.data : text(child);
  return [...node.childNodes].map(of).join(" ")
    + (node.shadowRoot ? text(node.shadowRoot) : "")
})(document.body)"""
# How many points of each state the map draws.
DRAWN = """Bokeh.documents[0].get_model_by_name("map").renderers.map(
  renderer => renderer.data_source.data.x.length)"""
# By how many pixels a table is wider than its place, which would cut it.
CUT = """Math.max(0, ...(function cut(node) {
  return [...node.querySelectorAll("*")].filter(one => one.shadowRoot).flatMap(one => [
    one.shadowRoot.querySelector("table") ? one.scrollWidth - one.clientWidth : 0,
    ...cut(one.shadowRoot)
  ])
})(document))"""
SIZES = {1400: 1250, 800: 1500}


@pytest.fixture(scope="module")
def browser():
    with browsing() as running:
        yield running


@pytest.fixture
def page(browser, cluster, client):
    """The page, open in the browser."""
    client.register_plugin(WatchingPlugin())
    browser.log.clear()
    browser.open(f"{dashboard(cluster)}/eedask")
    yield browser
    assert browser.evaluate("document.title") == "Dask: Earth Engine"
    assert browser.log == []


def shows(page, *words):
    """Wait until all words are on the page."""
    for word in words:
        page.wait(f"{TEXT}.includes({word!r})")


def check_that_all_is_in_sight(page, tmp_path):
    """See at both widths, light and dark, that something is drawn and nothing sticks out."""
    for width, height in SIZES.items():
        page.size(width, height)
        page.wait("document.documentElement.scrollWidth <= window.innerWidth")
        page.wait(f"{CUT} == 0")
        brightness = []
        for dark in (False, True):
            page.dark(dark)
            page.picture(tmp_path / f"page-{width}-{dark}.png")
            brightness.append(pixels(tmp_path / f"page-{width}-{dark}.png"))
        light, dark = brightness
        assert np.median(light) > 240
        assert np.median(dark) < 60
        assert light.std() > 10
    page.dark(False)


def pixels(path):
    return np.asarray(Image.open(path).convert("L"), float)


@pytest.mark.slow
def test_an_idle_page_says_so(page, tmp_path):
    shows(page, "Earth Engine", "No run yet")


@pytest.mark.slow
def test_a_run_is_followed_from_its_first_item_to_its_last(
    earth_engine,
    page,
    points,
    cluster,
    tmp_path,
):
    earth_engine.set_quotas(latency=0.4)
    try:
        items = points.assign(band=["R", EVIL] * 20).set_axis([f"{EVIL}{k}" for k in range(40)])
        plan = plan_of(items, tmp_path / EVIL, concurrency=4)
        thread = threading.Thread(target=plan.run, kwargs={"progress": False})
        thread.start()
        shows(page, "running", "of 40 done", "of them failed", "of 4", EVIL)
        check_that_all_is_in_sight(page, tmp_path)
        thread.join()
    finally:
        earth_engine.set_quotas(latency=0.0)
    shows(page, "finished", "40 of 40 done, 20 of them failed", "permanent", "Band pattern", "took")
    drawn = page.evaluate(DRAWN)
    # Each state has a first point nowhere.
    assert [count - 1 for count in drawn] == [0, 0, 20, 20]


@pytest.mark.slow
def test_throttled_and_stopped_runs_look_like_it(
    earth_engine,
    page,
    points,
    cluster,
    tmp_path,
):
    items = points.assign(band="R")
    earth_engine.set_quotas(latency=0.3, concurrency=1)
    try:
        plan_of(items.head(20), tmp_path / "slow", concurrency=8).run(progress=False)
    finally:
        earth_engine.set_quotas(latency=0.0, concurrency=None)
    runs = cluster.scheduler.plugins[PLUGIN].runs.values()
    wait_until(lambda: any(point.throttled_per_s for run in runs for point in run.series))
    many = points.assign(band="nope").loc[list(points.index) * 2].reset_index()
    with pytest.raises(RunStopped):
        plan_of(many, tmp_path / "doomed").run(progress=False)
    shows(page, "stopped", "the first 50 items all failed alike", "slow", "doomed")
    check_that_all_is_in_sight(page, tmp_path)


@pytest.mark.slow
def test_a_bag_that_waits_and_runs_with_a_budget_are_seen_at_once(
    earth_engine, page, points, tmp_path
):
    items = points.assign(band="R")
    plan_of(items, tmp_path / "later").bag()
    plans = [plan_of(items, tmp_path / name, concurrency=2) for name in ("one", "two", "three")]
    earth_engine.set_quotas(latency=0.5)
    try:
        threads = [
            threading.Thread(
                target=plan.run, kwargs={"progress": False, "max_eecu_hours": 1.5}, daemon=True
            )
            for plan in plans
        ]
        for thread in threads:
            thread.start()
        shows(page, "waiting", "running", "later", "one", "two", "three", "of at most 1.5 h")
        check_that_all_is_in_sight(page, tmp_path)
        for thread in threads:
            thread.join()
    finally:
        earth_engine.set_quotas(latency=0.0)
    page.wait(f"{TEXT}.split('40 of 40 done').length > 3")
    page.wait(f"/[0-9.]+ s\\s+of at most 1.5 h/.test({TEXT})")


@pytest.mark.slow
def test_a_run_with_a_number_in_each_column_fits_into_the_page(browser):
    run = RunState(Beginning("id", "chips", "/data/watch", "quota", 6000, max_eecu_s=7200.0))
    counts = asdict(RequestCounts(requests=500, nbytes=261_120, in_flight=2))
    run.hear({"partitions": [], "member": "one", "requests": counts, "compute": (3.05, 9, 9)})
    run.sample(Limits(4, 10))
    table = f"<style>{CSS}</style>{runs_table([run])}"
    browser.call("Page.navigate", url="about:blank")
    for width, height in SIZES.items():
        browser.size(width, height)
        browser.evaluate(
            "document.body.innerHTML = '<div></div>';"
            "document.querySelector('div').attachShadow({mode: 'open'}).innerHTML ="
            f"{json.dumps(table)}"
        )
        assert browser.evaluate(CUT) == 0


@pytest.mark.slow
def test_each_plot_also_stands_alone(earth_engine, page, points, cluster, tmp_path):
    plan_of(points.assign(band="R"), tmp_path).run(progress=False)
    home = page.evaluate("location.origin")
    plots = page.evaluate("fetch('individual-plots.json').then(answer => answer.json())")
    for url in (url for url in plots.values() if "earth-engine" in url):
        page.open(f"{home}{url}")
        page.picture(tmp_path / "one.png")
        assert pixels(tmp_path / "one.png").std() > 3, url
    page.open(f"{home}/earth%20engine")
    page.wait("location.pathname === '/eedask'")
