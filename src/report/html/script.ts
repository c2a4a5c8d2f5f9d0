/** The page's script: finds, sorts, and shows a function's code when it is opened. Text goes into the page as text, never as HTML. */
export const SCRIPT = String.raw`
'use strict';
(() => {
  const byId = (id) => document.getElementById(id);
  const table = byId('functions');
  const rows = table ? [...table.tBodies[0].rows] : [];
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const search = byId('search');
  const shown = byId('shown');
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    rows.forEach((row, i) => {
      const hidden = !words.every((word) => texts[i].includes(word));
      if (row.hidden !== hidden) row.hidden = hidden;
      if (!hidden) count++;
    });
    shown.textContent = count + ' of ' + rows.length;
  };
  if (search) {
    search.addEventListener('input', filter);
    document.addEventListener('keydown', (event) => {
      if (event.key !== '/' || event.target === search || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      search.focus();
    });
  }
  for (const button of table ? table.querySelectorAll('th button') : [])
    button.addEventListener('click', () => {
      const head = button.closest('th');
      const down = head.getAttribute('aria-sort') === 'ascending';
      for (const other of table.querySelectorAll('th')) other.removeAttribute('aria-sort');
      head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
      const at = head.cellIndex;
      const key = (row) => row.cells[at].dataset.value ?? row.cells[at].textContent;
      const numeric = head.classList.contains('number');
      const keyed = [...table.tBodies[0].rows].map((row) => [key(row), row]);
      keyed.sort(([a], [b]) => (numeric ? a - b : a < b ? -1 : a > b ? 1 : 0) * (down ? -1 : 1));
      table.tBodies[0].append(...keyed.map(([, row]) => row));
    });

  const element = (name, text, className) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  };
  const MARKS = { inserted: '+', deleted: '-', replaced: '!', argument: '~', same: '', padding: '' };
  const side = (row, cell) => {
    row.append(element('td', cell ? cell[0].toString(16) : '', 'offset'));
    const text = element('td', cell ? cell[1] : '');
    for (const note of cell ? cell[2] : []) {
      text.append(element('br'), element('span', '^ ' + note, 'site'));
    }
    row.append(text);
  };
  const skipRow = (count) => {
    const row = element('tr', undefined, 'skip');
    const cell = element('td', '... ' + count + (count === 1 ? ' instruction' : ' instructions') + ' the same');
    cell.colSpan = 5;
    row.append(cell);
    return row;
  };
  let codes;
  const codeOf = (details) => {
    // Megabytes, which nobody may ask for.
    if (!codes) codes = byId('codes') ? JSON.parse(byId('codes').textContent) : {};
    return codes[details.dataset.code];
  };
  const list = (texts) => {
    const made = element('ul');
    for (const [text, className] of texts) {
      const item = element('li');
      item.append(element('code', text, className));
      made.append(item);
    }
    return made;
  };
  const about = (code, hunks) => {
    const parts = [];
    if (code.pulled.length) {
      const line = element('p', 'Pulled in by ');
      code.pulled.forEach((via, i) => line.append(i ? ' < ' : '', element('code', via)));
      parts.push(line);
    }
    if (code.references.length) parts.push(list(code.references.map((text) => [text])));
    if (hunks !== undefined) parts.push(element('p', 'Patch: ' + hunks));
    parts.push(element('p', code.paired, 'dim'));
    if (code.entries.length) {
      const box = element('details');
      const SIGNS = { gone: ['− ', 'deleted'], new: ['+ ', 'inserted'], same: ['', ''] };
      const summary = element('summary', code.entries.length + ' special-section ' + (code.entries.length === 1 ? 'entry' : 'entries'));
      box.append(summary, list(code.entries.map(([state, text]) => [SIGNS[state][0] + text, SIGNS[state][1]])));
      parts.push(box);
    }
    return parts;
  };
  const show = (details) => {
    const code = codeOf(details);
    if (!code || details.dataset.shown) return;
    details.dataset.shown = '1';
    const body = element('tbody');
    for (const [kind, skipped, orig, patched] of code.rows) {
      if (skipped) body.append(skipRow(skipped));
      const row = element('tr', undefined, kind);
      row.append(element('td', MARKS[kind], 'mark'));
      side(row, orig);
      side(row, patched);
      body.append(row);
    }
    if (code.skipped) body.append(skipRow(code.skipped));
    const made = element('table', undefined, 'code');
    const columns = element('colgroup');
    for (const name of ['mark', 'offset', 'text', 'offset', 'text']) columns.append(element('col', undefined, name));
    made.append(element('caption', details.dataset.name + ': ORIG left, PATCHED right', 'dim'), columns, body);
    details.querySelector('div').append(...about(code, details.dataset.hunks), made);
  };
  for (const details of document.querySelectorAll('details[data-code]'))
    details.addEventListener('toggle', () => details.open && show(details));
  const jump = () => {
    const target = byId(decodeURIComponent(location.hash.slice(1)));
    if (!target || target.tagName !== 'DETAILS') return;
    target.open = true;
    show(target);
    target.scrollIntoView();
    target.querySelector('summary').focus({ preventScroll: true });
  };
  addEventListener('hashchange', jump);
  if (location.hash) jump();
  const MOST_PRINTED = 300;
  addEventListener('beforeprint', () => {
    const all = [...document.querySelectorAll('details')];
    if (all.length <= MOST_PRINTED) for (const details of all) { details.open = true; show(details); }
  });
})();
`;
