"""The style sheet of the HTML report: one column that fits a phone, light or dark as the system is, printable."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #f6f7f9; --card: #ffffff; --ink: #16202b; --muted: #5b6875; --line: #dfe4ea;
  --accent: #1c5fb8; --wide: #cfe0f6; --narrow: #8fb8ea; --good: #12713f; --bad: #b3261e; --warn: #8a5a00;
  --good-wash: #e2f4ea; --bad-wash: #fbe7e5; --warn-wash: #fcf1dc; --plain-wash: #e9edf2;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #10151b; --card: #19212a; --ink: #e8edf2; --muted: #9aa8b6; --line: #2c3743;
    --accent: #7fb2f5; --wide: #1f3550; --narrow: #31588a; --good: #6fd3a0; --bad: #ff9d94; --warn: #f0c46c;
    --good-wash: #12301f; --bad-wash: #3a1b19; --warn-wash: #33280f; --plain-wash: #232d38;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); overflow-wrap: anywhere;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 68rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0; letter-spacing: -0.01em; }
h2 { font-size: 1.1rem; margin: 0 0 0.75rem; }
h3 { font-size: 0.95rem; margin: 1rem 0 0.25rem; }
p { margin: 0.25rem 0 0.75rem; }
.muted, .note { color: var(--muted); font-size: 0.875rem; }
section, .verdict { background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  padding: 1.1rem 1.2rem; margin-top: 1rem; }
.verdict { border-left: 6px solid var(--muted); }
.verdict h2 { font-size: 1.5rem; margin: 0; }
.verdict ul { margin: 0.5rem 0 0; padding-left: 1.2rem; }
.verdict li { margin: 0.2rem 0; }
.verdict.ship { border-left-color: var(--good); } .verdict.ship h2 { color: var(--good); }
.verdict.stop_harm, .verdict.invalid { border-left-color: var(--bad); }
.verdict.stop_harm h2, .verdict.invalid h2 { color: var(--bad); }
.verdict.inconclusive { border-left-color: var(--warn); } .verdict.inconclusive h2 { color: var(--warn); }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: 0.5rem 1rem; margin: 0; }
.facts dt { color: var(--muted); font-size: 0.8rem; } .facts dd { margin: 0; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; position: relative; }
.scroll:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 0.9rem;
  overflow-wrap: normal; }
caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
th, td { text-align: right; padding: 0.45rem 0.6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
th:first-child, td:first-child { text-align: left; padding-left: 0; min-width: 7rem; }
thead th { color: var(--muted); font-weight: 600; font-size: 0.8rem; vertical-align: bottom; }
tbody th { font-weight: 600; } th .muted { font-weight: 400; }
td { white-space: nowrap; }
td.words { white-space: normal; min-width: 14rem; text-align: left; }
tr.improvement th, tr.improvement td { border-top: 2px solid var(--line); font-weight: 600; }
td small { display: block; color: var(--muted); font-weight: 400; }
td.good { color: var(--good); } td.bad { color: var(--bad); }
.pill { display: inline-block; border-radius: 999px; padding: 0.05rem 0.6rem; font-size: 0.8rem; font-weight: 600;
  background: var(--plain-wash); color: var(--muted); white-space: nowrap; }
.pill.pass { background: var(--good-wash); color: var(--good); }
.pill.fail { background: var(--bad-wash); color: var(--bad); }
.pill.undecided, .pill.unmeasured { background: var(--warn-wash); color: var(--warn); }
.legend { display: flex; flex-wrap: wrap; gap: 0.25rem 1.25rem; list-style: none; padding: 0; margin: 0 0 0.5rem;
  font-size: 0.85rem; color: var(--muted); }
.legend span { display: inline-block; width: 1.4em; height: 0.7em; border-radius: 2px; margin-right: 0.45em; }
.legend .anytime { background: var(--wide); } .legend .fixed { background: var(--narrow); }
.legend .line { background: var(--accent); height: 3px; vertical-align: middle; }
.legend .dash { height: 0; border-top: 2px dashed var(--bad); vertical-align: middle; border-radius: 0; }
.chart { display: block; width: 100%; height: auto; }
.wide-chart { min-width: 30rem; }
.glyph { width: 180px; }
.pair { margin-top: 1rem; display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: 1rem; }
figure { margin: 0; } figcaption { font-size: 0.875rem; color: var(--muted); }
.tick { font-size: 12px; fill: var(--muted); } .middle { text-anchor: middle; } .end { text-anchor: end; }
.grid { stroke: var(--line); } .zero { stroke: var(--muted); } .estimate { fill: none; stroke: var(--accent);
  stroke-width: 2.5; } .dot { fill: var(--accent); } .chance { stroke: var(--narrow); stroke-width: 7;
  stroke-linecap: round; opacity: 0.55; }
.band.anytime { fill: var(--wide); } .band.fixed { fill: var(--narrow); }
.accepted { stroke: var(--bad); stroke-dasharray: 5 4; }
.bar { stroke-width: 5; stroke: var(--muted); stroke-linecap: round; opacity: 0.5; }
.bar.pass { stroke: var(--good); } .bar.fail { stroke: var(--bad); } .bar.undecided { stroke: var(--warn); }
.dot.pass { fill: var(--good); } .dot.fail { fill: var(--bad); } .dot.undecided { fill: var(--warn); }
details { margin-top: 0.75rem; } summary { cursor: pointer; color: var(--accent); }
code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: 0.875em; }
@media print {
  :root { --paper: #fff; --card: #fff; } body { font-size: 11pt; } main { max-width: none; padding: 0; }
  section, .verdict { break-inside: avoid; border-radius: 0; } .wide-chart { min-width: 0; }
}
"""
