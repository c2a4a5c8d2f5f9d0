/** The page's style: light and dark, for screens and paper. */
export const STYLE = `
:root { color-scheme: light dark; --ink: #1b1f24; --dim: #57606a; --paper: #fff; --line: #d0d7de; --soft: #f6f8fa;
  --add: #dafbe1; --gone: #ffebe9; --change: #fff8c5; --good: #116329; --bad: #a40e26; --link: #0550ae; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --dim: #9198a1; --paper: #0d1117; --line: #3d444d; --soft: #151b23;
  --add: #12361f; --gone: #4a1a1c; --change: #3b3211; --good: #56d364; --bad: #ff7b72; --link: #79c0ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 100rem; padding: 1rem 1.5rem 4rem; background: var(--paper); color: var(--ink);
  font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; } h3 { font-size: 1rem; margin: 1rem 0 .25rem; }
a { color: var(--link); } nav a { margin-right: 1rem; }
code, pre, .code, td.name { font-family: ui-monospace, 'DejaVu Sans Mono', monospace; font-size: .88em; }
.dim { color: var(--dim); } .verdict { font-weight: 700; } .patchable { color: var(--good); } .refused { color: var(--bad); }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; vertical-align: top; padding: .2rem .6rem; border-bottom: 1px solid var(--line); }
th { background: var(--soft); position: sticky; top: 0; } td.number, th.number { text-align: right; white-space: nowrap; }
td.name { overflow-wrap: anywhere; } th button { all: unset; cursor: pointer; font-weight: 600; } th button:focus-visible, summary:focus-visible,
a:focus-visible, input:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
th[aria-sort=ascending] button::after { content: ' \\2191'; } th[aria-sort=descending] button::after { content: ' \\2193'; }
input[type=search] { font: inherit; padding: .3rem .5rem; width: min(30rem, 100%); border: 1px solid var(--line); border-radius: 4px; background: var(--soft); color: inherit; }
details { border: 1px solid var(--line); border-radius: 4px; margin: .4rem 0; } summary { cursor: pointer; padding: .35rem .6rem; background: var(--soft); overflow-wrap: anywhere; }
#functions, #functions thead, #functions tbody { display: block; } #functions thead { position: sticky; top: 0; }
#functions tr { display: grid; grid-template-columns: minmax(0, 3fr) minmax(0, 1.7fr) minmax(0, 1.5fr) minmax(0, 2.6fr) 8rem 7.5rem minmax(0, 3fr); }
#functions tbody tr { content-visibility: auto; contain-intrinsic-height: auto 2rem; } #functions tr[hidden] { display: none; } #functions td { overflow-wrap: anywhere; }
details[data-code] { content-visibility: auto; contain-intrinsic-height: auto 2.2rem; }
details > div { padding: .5rem .6rem; overflow-x: auto; }
.code { table-layout: fixed; min-width: 60rem; } .code td { border: 0; padding: 0 .4rem; white-space: pre-wrap; overflow-wrap: anywhere; }
.code col.mark { width: 1.8rem; } .code col.offset { width: 4.5rem; } .code td.offset { color: var(--dim); text-align: right; }
tr.inserted, code.inserted { background: var(--add); } tr.deleted, code.deleted { background: var(--gone); } tr.replaced, tr.argument { background: var(--change); } tr.skip td { color: var(--dim); }
.site { color: var(--dim); } .bar { display: block; height: .8rem; background: var(--link); min-width: 2px; border-radius: 2px; }
.diagnostic { border-left: 4px solid var(--line); padding: .1rem .8rem; margin: .6rem 0; } .diagnostic.refusal, .diagnostic.error { border-color: var(--bad); }
.tree ul { border-left: 1px solid var(--line); margin: 0 0 0 .4rem; padding-left: 1.1rem; } .tree li { margin: .1rem 0; }
.skip-link { position: absolute; left: -99rem; } .skip-link:focus { left: 1rem; }
@media print { details[data-code], #functions tbody tr { content-visibility: visible; } #functions thead { position: static; } nav, input, .skip-link, .hint { display: none; } body { max-width: none; padding: 0; font-size: 10pt; } th { position: static; } details, tr { break-inside: avoid; } }
`;
