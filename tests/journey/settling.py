"""Hands and eyes at the settling screen: rows, keys, what is written, what is signed."""

from __future__ import annotations

import json
import re
from typing import Any

from playwright.sync_api import expect

from tests.journey.room import SLOW_MS, ReadingRoom
from tests.stack import until


class Settler(ReadingRoom):
    """A reader or adjudicator in front of a consensus."""

    def enter(self, row: Any, word: str = "Settle|Label|Sign|Open|Consensus") -> None:
        """Open the consensus of a worklist row and wait until it can be worked on."""
        row.get_by_role("link", name=re.compile(f"^({word})$")).first.click()
        self.wait("window.__concordSettle?.ready && window.__concordStage?.ready")

    def settle(self, expression: str) -> Any:
        """Ask the screen's read-only hook."""
        return self.page.evaluate(f"window.__concordSettle.{expression}")

    def stage(self, expression: str) -> Any:
        """Ask the images' read-only hook."""
        return self.page.evaluate(f"window.__concordStage.{expression}")

    @property
    def consensus(self) -> str:
        found = re.search(r"consensus=([0-9a-f-]{36})", self.page.url)
        assert found
        return found.group(1)

    def consensus_detail(self) -> dict[str, Any]:
        """The consensus as the server tells it to this person."""
        with self.http() as client:
            answer = client.get(f"/api/consensus/{self.consensus}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def discrepancy(self, cluster: int) -> dict[str, Any]:
        """A row as this window has it."""
        rows: list[dict[str, Any]] = self.settle("discrepancies")
        (found,) = (row for row in rows if row["cluster"] == cluster)
        return found

    def choose(self, cluster: int) -> None:
        """Click a row; the images jump to it."""
        row = self.page.locator(f'[data-testid="settle-row"][data-cluster="{cluster}"]')
        row.click()
        self.wait(f"window.__concordStage.selected === {cluster}")
        self.wait("window.__concordStage.shownMs !== null")

    def begin(self, cluster: int, key: str, words: str = "") -> None:
        """Choose a row and a verb, and write why; nothing is sent yet."""
        self.choose(cluster)
        self.press(key)
        self.say(words)

    def say(self, words: str) -> None:
        """Write why, key by key, in the line that opened."""
        expect(self.page.get_by_test_id("say")).to_be_visible(timeout=SLOW_MS)
        if words:
            self.type_into(self.page.get_by_test_id("rationale"), words)

    def act(self, cluster: int, key: str, words: str = "") -> None:
        """One verb from the row to the server's answer."""
        self.begin(cluster, key, words)
        self.press("Enter")
        self.taken()

    def taken(self) -> None:
        """Until nothing is on its way."""
        self.wait("window.__concordSettle.outbox.waiting === 0")
        expect(self.page.get_by_test_id("save-state")).to_have_attribute(
            "data-state", "saved", timeout=SLOW_MS
        )

    def came_too_late(self) -> bool:
        """Whether this window says that what was sent was not taken."""
        said = self.page.get_by_test_id("settle-notice").inner_text()
        return "not recorded" in said or self.page.get_by_test_id("moved-on").is_visible()

    def hears(self, cluster: int, state: str) -> None:
        """Until this window knows, by itself, where a row stands."""
        self.wait(
            "window.__concordSettle.discrepancies.find(d => d.cluster === "
            f"{cluster})?.state === {json.dumps(state)}"
        )

    def meets(self, who: str, cluster: int) -> None:
        """Until this window knows, by itself, that somebody else looks at a row."""
        found = self.discrepancy(cluster)["id"]
        self.wait(
            f"window.__concordSettle.present.some(p => p.who === {json.dumps(who)}"
            f" && p.discrepancy === {json.dumps(found)})"
        )
        expect(self.page.get_by_test_id("present")).to_contain_text(f"looks at {cluster}")

    def agree(self, cluster: int) -> None:
        """Agree to what the other proposed, once it is here."""
        self.hears(cluster, "proposed")
        self.act(cluster, "a")

    def agrees_here(self, name: str) -> None:
        """The other reader, at this screen, to all that waits for them."""
        self.press("Shift+A")
        expect(self.page.get_by_test_id("here")).to_be_visible(timeout=SLOW_MS)
        self.type_into(self.page.get_by_test_id("here-user"), name)
        self.type_into(self.page.get_by_test_id("here-password"), self.stack.users[name])
        self.picture("consensus-5b-agrees-here")
        self.press("Enter")
        expect(self.page.get_by_test_id("here")).to_have_count(0, timeout=SLOW_MS)

    def redraw(self, cluster: int) -> None:
        """A shape of one's own: from X or Y, with a stroke beside it; not sent yet."""
        self.choose(cluster)
        self.press("r")
        self.wait("window.__concordSettle.choice === null")
        expect(self.page.get_by_test_id("redraw-brush")).to_be_visible(timeout=SLOW_MS)
        slice_, row, column = self.stage("focus")
        path = [(slice_, row, column + step) for step in (0.0, 3.0, 6.0)]
        points = [self.stage(f"canvasPoint('axial', {s}, {r}, {c})") for s, r, c in path]
        self.page.mouse.move(*points[0])
        self.page.mouse.down()
        for point in points[1:]:
            self.page.mouse.move(*point, steps=4)
        self.page.mouse.up()
        self.wait("window.__concordStage.shape?.slices.length > 0")
        self.press("Enter")

    def tab(self, name: str) -> None:
        """Go to a phase."""
        self.page.get_by_test_id(f"tab-{name}").click()
        self.wait(f"window.__concordSettle.tab === {json.dumps(name)}")

    def label(self, number: int) -> dict[str, Any] | None:
        """The label of an agreed node, as this window has it."""
        nodes: list[dict[str, Any]] = self.settle("nodes")
        (found,) = (node["label"] for node in nodes if node["number"] == number)
        return dict(found) if found else None

    def look_at(self, number: int) -> None:
        """Click an agreed node's row."""
        self.page.locator(f'[data-testid="agreed-row"][data-number="{number}"]').click()
        self.wait(f"window.__concordSettle.selected === {number}")

    def sign(self) -> None:
        """With one's own password, once the record on screen is the server's."""
        until(
            lambda: (
                self.settle("signing")["record_hash"]
                == self.consensus_detail()["signing"]["record_hash"]
            ),
            "the record that is to be signed",
            SLOW_MS / 1000,
            self.words,
        )
        self.type_into(self.page.get_by_test_id("sign-password"), self.stack.users[self.name])
        self.press("Enter")

    def cosign(self, name: str) -> None:
        """Another signer at this screen."""
        if not self.page.get_by_test_id("cosign-form").is_visible():
            self.page.get_by_test_id("cosign").locator("summary").click()
        self.type_into(self.page.get_by_test_id("cosign-user"), name)
        self.type_into(self.page.get_by_test_id("cosign-password"), self.stack.users[name])
        self.press("Enter")

    def signed(self, count: int) -> None:
        """Until so many signatures are given."""
        self.wait(
            "window.__concordSettle.signing?.required.filter(s => s.signed_at).length"
            f" === {count} || window.__concordSettle.state === 'published'"
        )

    def becomes(self, state: str) -> None:
        """Until the consensus has a state, here."""
        until(
            lambda: self.settle("state") == state,
            f"the consensus to be {state}",
            SLOW_MS / 1000,
            lambda: f"{self.settle('state')}{self.words()}",
        )
