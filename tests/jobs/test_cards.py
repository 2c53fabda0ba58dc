"""A card is shown as it is meant, and runs nothing."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from backend.jobs.cards import card_html

CARD = """# The model 1.0

**For tests.** Uses `a < b` and [the paper](https://example.org/?a=1&b=2).

## Measured
| what | value |
|---|---:|
| recall | 0.9 |

- one
  goes on
- *two*

```
<b>code</b>
```
![curve](curve.png)
"""


def test_headings_lists_tables_code_links_and_pictures_are_shown() -> None:
    html = card_html(CARD, lambda name: f"/pictures/{name}")

    assert "The model 1.0" not in html  # The page's own title says it.
    assert "<p><strong>For tests.</strong> Uses <code>a &lt; b</code>" in html
    assert (
        '<a href="https://example.org/?a=1&amp;b=2" rel="noreferrer noopener">the paper</a>' in html
    )
    assert "<h3>Measured</h3>" in html
    assert '<th scope="col">what</th>' in html
    assert "<td>recall</td><td>0.9</td>" in html
    assert "<li>one goes on</li><li><em>two</em></li>" in html
    assert "<pre><code>&lt;b&gt;code&lt;/b&gt;</code></pre>" in html
    assert '<img src="/pictures/curve.png" alt="curve" loading="lazy">' in html


def test_a_line_that_is_a_comment_is_left_out_and_nothing_beside_one() -> None:
    html = card_html("words\n<!-- begin -->\n- item\n<!-- a --> shown <!-- b -->\n<!-- end -->")

    assert "begin" not in html
    assert "<!--" not in html
    assert "end" not in html
    assert "&lt;!-- a --&gt; shown &lt;!-- b --&gt;" in html
    assert html.startswith("<p>words</p>\n<ul>")


def test_what_would_run_is_only_words() -> None:
    html = card_html(
        '<script>x</script> <img src=x onerror=y> [go](javascript:x) ![a"b](x.png "on")\n'
        '[q](https://x/"onmouseover="y)'
    )

    assert "<script" not in html
    assert "<img" not in html
    assert "javascript:" not in html or "href" not in html.split("javascript:")[0][-8:]
    assert '"onmouseover' not in html


@given(st.text(alphabet="<>\"'&`*_[]()!#|-\n aj:/.", max_size=200))
def test_no_card_makes_a_tag_or_an_attribute_of_its_own(text: str) -> None:
    html = card_html(text, lambda name: None)

    tags = set(re.findall(r"</?([a-z0-9]+)", html))
    known = "h2 h3 h4 h5 h6 p ul ol li table thead tbody tr th td pre code blockquote hr a strong"
    assert tags <= {*known.split(), "em", "span"}
    for attributes in re.findall(r"<[a-z0-9]+ ([^>]*)>", html):
        assert re.fullmatch(
            r'(scope="col"|class="[a-z ]+"|href="https?://[^"<>]*" rel="noreferrer noopener")',
            attributes,
        )
