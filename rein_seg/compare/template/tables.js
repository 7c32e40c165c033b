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

function variantColumn() {
  return {
    key: 'variant', title: 'variant', header: true, value: (v) => v.name,
    cell: (v) => ({ text: v.name, icon: icon(v, 'key'), title: methodText(v) }),
  };
}

function icon(variant, className) {
  return svg('svg', { viewBox: '-8 -8 16 16', class: className, 'aria-hidden': 'true' }, mark(variant, 5.5));
}

function methodText(variant) {
  return variant.method ? JSON.stringify(variant.method) : '';
}

function runsColumn() {
  return {
    key: 'runs', title: 'runs', about: 'finished / asked for', value: (v) => v.finished,
    cell: (v) => {
      const text = `${v.finished}/${v.runs}`;
      return v.failed ? { text: `${text} ✗`, className: 'state-failed', title: `${v.failed} failed` } : text;
    },
  };
}

function parameterColumn(key, title, about) {
  const count = (v) => (v.parameters ? v.parameters[key] : null);
  return { key: title, title, about, value: count, cell: (v) => (count(v) === null ? '–' : grouped(count(v))) };
}

function statisticColumn(key, title, pick, better, digits, about) {
  return {
    key, title, better, about,
    value: (v) => meanOf(pick(v)),
    cell: (v) => {
      const [text, note] = spread(pick(v), digits).split(/ (?=±)/);
      return { text, note };
    },
  };
}

function drawScores(metric) {
  const { unit, better } = data.metrics[metric];
  const digits = decimals(unit);
  const of = (v) => v.scores[metric] || { domains: {} };
  const columns = [
    variantColumn(),
    runsColumn(),
    parameterColumn('method', 'method', 'trained parameters of the method, in the encoder'),
    statisticColumn('targets', 'targets', (v) => of(v).mean_over_targets, better, digits, 'mean over targets'),
    data.source && statisticColumn('source', `source: ${data.source}`, (v) => of(v).source, better, digits),
    // not marked as best: who learns nothing loses nothing
    statisticColumn('gap', 'gap', (v) => of(v).gap, null, digits, 'what is lost from source to targets'),
    ...domainsOf(metric).filter((domain) => domain !== data.source).map((domain) =>
      statisticColumn(`domain.${domain}`, domain, (v) => of(v).domains[domain], better, digits)),
    parameterColumn('neck_and_head', 'head', 'trained parameters of neck and head'),
  ];
  find('#scores').hidden = false;
  find('#scores .about').textContent =
    `${metric} in ${unit}, ${better} is better: mean ± sample standard deviation over seeds; bold: the `
    + 'best mean; ✗: a run failed. Targets: mean over all targets; gap: what is lost from source to targets. method, '
    + 'head: trained parameters in the encoder, and in neck and head. A click on a heading sorts.';
  drawTable(find('#scores .scroll'), 'sort', columns.filter(Boolean), data.variants);
}

const COSTS = [
  ['seconds_per_iteration', 's / iteration', 'of training', (x) => x.toFixed(3)],
  ['wall_seconds', 'min / run', 'start and evaluation included', (x) => (x / 60).toFixed(1)],
  ['peak_memory_mib', 'peak MiB', 'of the GPU where there is one, else of the process', (x) => x.toFixed(0)],
  ['adapter_bytes', 'adapter', 'size of adapter.safetensors', fileSize],
  ['inference_ms', 'ms / image', 'forward time of one image, as trained', (x) => x.toFixed(1)],
  ['inference_ms_merged', 'ms merged', 'with the method merged into weights', (x) => x.toFixed(1)],
  ['encoder_ratio', 'encoder', "encoder and method over the frozen encoder's time", (x) => `${x.toFixed(2)}×`],
  ['encoder_ratio_merged', 'encoder merged', 'the same, with the method folded', (x) => `${x.toFixed(2)}×`],
];

function costCell(variant, key, text) {
  const statistic = variant.costs[key];
  const mean = meanOf(statistic);
  if (mean === null) {
    const not = MERGED[key] && variant.not_mergeable;
    return not ? { text: 'not mergeable', className: 'none', title: variant.not_mergeable } : '–';
  }
  const std = isNumber(statistic.std) ? ` ± ${text(statistic.std)}` : '';
  return { text: text(mean), title: `${text(mean)}${std}, n = ${statistic.n}` };
}

function drawCosts() {
  const there = ([key]) => scored.some((v) => meanOf(v.costs[key]) !== null || (MERGED[key] && v.not_mergeable));
  const columns = COSTS.filter(there).map(([key, title, about, text]) => ({
    key, title, about,
    value: (v) => meanOf(v.costs[key]),
    cell: (v) => costCell(v, key, text),
  }));
  const parameters = parameterColumn('trainable', 'trainable', 'trained parameters, head included');
  find('#costs').hidden = false;
  const size = (scored.find((v) => v.inference_size) || {}).inference_size;
  const inference = size
    ? ` ms / image: forward time of one image or window of ${size[0]} × ${size[1]} pixels; encoder: time of `
      + "encoder and method over the frozen encoder's alone, the fastest calls in one process, so steadier "
      + 'than the times; merged: with the method merged into weights.'
    : '';
  find('#costs .about').textContent = `Means over seeds; a cell tells its deviation.${inference}`;
  drawTable(find('#costs .scroll'), 'costs', [variantColumn(), runsColumn(), parameters, ...columns], data.variants);
  const notes = scored.filter((v) => v.not_mergeable).map((v) => make('li', {}, `${v.name}: ${v.not_mergeable}`));
  find('#costs .footnotes').replaceChildren(...notes);
}

function drawRuns(metric) {
  const score = (run, key) => (run.scores && metric ? run.scores[metric][key] : null);
  const digits = metric ? decimals(data.metrics[metric].unit) : 2;
  const single = (key, title) => ({
    key, title: `${metric} ${title}`, value: (r) => score(r, key), cell: (r) => fixed(score(r, key), digits),
  });
  const columns = [
    { key: 'run', title: 'run', header: true, value: (r) => `${r.variant} ${r.seed}`, cell: (r) => `${r.variant}, seed ${r.seed}` },
    { key: 'state', title: 'state', value: (r) => r.state, cell: (r) => ({ text: r.state, className: `state-${r.state}` }) },
    ...(metric ? [single('source', 'source'), single('mean_over_targets', 'targets')] : []),
    { key: 'iterations', title: 'iterations', value: (r) => r.iterations, cell: (r) => (isNumber(r.iterations) ? grouped(r.iterations) : '–') },
    { key: 'wall', title: 'min', value: (r) => r.wall_seconds, cell: (r) => fixed(isNumber(r.wall_seconds) ? r.wall_seconds / 60 : null, 1) },
    { key: 'where', title: 'results, or what went wrong', text: true, cell: (r) => ({ text: r.results || r.error || '–', className: 'wrap' }) },
  ];
  drawTable(find('#runs .scroll'), 'runs', columns, data.runs);
}
