"""A report as one HTML file: nothing is loaded, nothing runs, every text is escaped; to be read, and to be printed."""

from __future__ import annotations

from html import escape

from infosec.messages import Locale, Text
from infosec.reports.report import Report, moment

_STYLE = """
body { font: 14px/1.5 "Noto Sans SC", "Microsoft YaHei", "PingFang SC", "Helvetica Neue", Arial, sans-serif;
  color: #1a1a1a; background: #fff; margin: 2rem auto; max-width: 80rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; }
p { margin: .25rem 0; color: #444; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid #ddd; }
th { border-bottom: 2px solid #555; white-space: nowrap; background: #f5f5f5; }
td { overflow-wrap: anywhere; }
.n { text-align: right; }
.w { white-space: nowrap; overflow-wrap: normal; }
tr:nth-child(even) td { background: #fafafa; }
footer { font-size: .85rem; border-top: 1px solid #ddd; padding-top: .5rem; }
@page { size: A4 landscape; margin: 12mm; }
@media print {
  body { margin: 0; max-width: none; padding: 0; font-size: 9pt; }
  .wide { overflow: visible; }
  thead { display: table-header-group; }
  tr { break-inside: avoid; }
  th, tr:nth-child(even) td { background: none; }
}
"""
_NOTHING = Text("没有内容。", "Nothing.")
_PERIOD = Text("期间（承运商时间，止日不含）", "Period (carrier time, up to)")
_MADE = Text("生成时间", "Made")
_ROWS = Text("行数", "Rows")


def html(report: Report, locale: Locale) -> str:
    """The whole file, to be written as UTF-8."""
    title = escape(report.title.in_(locale))
    lines = [
        "<!doctype html>",
        f'<html lang="{locale.value}">',
        "<head>",
        '<meta charset="utf-8">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title>",
        f"<style>{_STYLE}</style>",
        "</head>",
        "<body>",
        f"<h1>{title}</h1>",
        *(f"<p>{line}</p>" for line in _about(report, locale)),
        '<div class="wide">',
        *_table(report, locale),
        "</div>",
        "<footer>",
        *(f"<p>{escape(note.in_(locale))}</p>" for note in report.notes),
        "</footer>",
        "</body>",
        "</html>",
    ]
    return "\n".join(lines) + "\n"


def _about(report: Report, locale: Locale) -> list[str]:
    facts = [(_PERIOD, report.period(locale)), (_MADE, moment(report.made_at) if report.made_at else "")]
    facts.append((_ROWS, str(len(report.rows))))
    joint = "：" if locale is Locale.ZH_CN else ": "
    return [f"{escape(name.in_(locale))}{joint}{escape(text)}" for name, text in facts if text]


def _table(report: Report, locale: Locale) -> list[str]:
    if not report.rows:
        return [f"<p>{escape(_NOTHING.in_(locale))}</p>"]
    rows = [report.cells(row, locale) for row in report.rows]
    numeric = [all(isinstance(row[at], int) for row in rows) for at in range(len(report.columns))]
    classes = [
        " ".join(filter(None, ("n" if number else "", "w" if column.is_whole else "")))
        for number, column in zip(numeric, report.columns, strict=True)
    ]
    marks = [f' class="{one}"' if one else "" for one in classes]
    head = "".join(
        f'<th scope="col"{mark}>{escape(heading)}</th>'
        for mark, heading in zip(marks, report.headings(locale), strict=True)
    )
    body = [
        "<tr>" + "".join(f"<td{mark}>{_text(cell)}</td>" for mark, cell in zip(marks, row, strict=True)) + "</tr>"
        for row in rows
    ]
    return ["<table>", f"<thead><tr>{head}</tr></thead>", "<tbody>", *body, "</tbody>", "</table>"]


def _text(cell: str | int) -> str:
    """Escaped, and without what steers a screen: control characters, and marks that turn the direction of writing."""
    return escape("".join(c if c.isprintable() else " " for c in str(cell)))
