// Tables whose columns sort: by click, by keyboard, by the address (#sort=targets:desc).

/**
 * A column: key, title, value(row) to sort by, cell(row) -> {text, note, title, className} or text;
 * better: 'higher' or 'lower' marks the best; first: the order of the first click (asc, desc); header:
 * its cells head their rows. Without value it does not sort.
 */
function sortedRows(rows, column, descending) {
  const sign = descending ? -1 : 1;
  const rank = (value) => (value === null || value === undefined ? 1 : 0);
  return [...rows].sort((a, b) => {
    const [left, right] = [column.value(a), column.value(b)];
    if (rank(left) || rank(right)) return rank(left) - rank(right); // what is missing comes last
    if (typeof left === 'string') return sign * left.localeCompare(right, 'en', { numeric: true });
    return sign * (left - right);
  });
}

function readSort(stateKey, columns) {
  const [key, order] = (state.get(stateKey) || '').split(/:(?=[^:]*$)/);
  const column = columns.find((one) => one.key === key && one.value);
  return { column, descending: order === 'desc' };
}

function bestOf(column, rows) {
  if (!column.better) return null;
  const values = rows.map(column.value).filter(isNumber);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (!(low < high)) return null; // one value, or none that is better
  return column.better === 'lower' ? low : high;
}

function heading(column, sort, onSort) {
  const name = { scope: 'col', 'data-key': column.key, class: column.text ? 'text' : null };
  if (!column.value) return make('th', name, make('span', {}, column.title));
  if (sort.column === column) name['aria-sort'] = sort.descending ? 'descending' : 'ascending';
  return make(
    'th',
    name,
    make('button', { type: 'button', title: column.about, click: () => onSort(column) }, column.title),
  );
}

function tableCell(column, row, best) {
  let cell = column.cell(row);
  if (typeof cell === 'string') cell = { text: cell };
  const classes = [cell.className, column.text && 'text', cell.text === '–' && 'none'];
  if (best !== null && column.value(row) === best) classes.push('best');
  const attributes = { class: classes.filter(Boolean).join(' ') || null, style: cell.style, title: cell.title };
  const note = cell.note ? make('small', {}, ` ${cell.note}`) : null;
  if (column.header) return make('th', { ...attributes, scope: 'row' }, cell.icon, cell.text);
  return make('td', attributes, cell.text, note);
}

/** Draws a table into box; again when its order changes. */
function drawTable(box, stateKey, columns, rows) {
  const sort = readSort(stateKey, columns);
  const ordered = sort.column ? sortedRows(rows, sort.column, sort.descending) : rows;
  const onSort = (column) => {
    const first = column.first || (column.better === 'higher' ? 'desc' : 'asc');
    const other = first === 'asc' ? 'desc' : 'asc';
    const now = sort.column === column ? (sort.descending ? 'desc' : 'asc') : null;
    // best first, then worst first, then as it was asked for
    const next = now === null ? first : now === first ? other : null;
    state.set(stateKey, next && `${column.key}:${next}`);
    drawTable(box, stateKey, columns, rows);
    [...box.querySelectorAll('th[data-key] button')]
      .find((button) => button.parentElement.dataset.key === column.key)
      .focus({ preventScroll: true });
  };
  const best = columns.map((column) => bestOf(column, rows));
  const body = ordered.map((row) =>
    make('tr', {}, columns.map((column, i) => tableCell(column, row, best[i]))));
  const head = make('tr', {}, columns.map((column) => heading(column, sort, onSort)));
  const left = box.scrollLeft;
  box.replaceChildren(make('table', {}, make('thead', {}, head), make('tbody', {}, body)));
  box.scrollLeft = left;
}
