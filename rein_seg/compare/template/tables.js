// The tables of a comparison: scores, costs, runs.

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
