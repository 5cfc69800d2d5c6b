"""One self-contained HTML page that says what was done, what came out, and what it can and cannot show.

`page` puts it together, `network_sections` and `cortex_sections` say what came out, `methods` and `references` how it
was made and after whom, `drawings` and `tables` are what a section shows, `tasks` what networks were trained on.
"""

from cortexsnn.report.page import write_report

__all__ = ["write_report"]
