// Scores by class: a row for each class, a column for each variant, coloured by value.
const TARGETS = 'mean over targets';

/** Score, domain and reference that are chosen, each one that there is. */
function classChoice() {
  const scores = [...new Set(scored.flatMap((v) => Object.keys(v.classes)))];
  const score = scores.includes(state.get('score')) ? state.get('score') : scores[0];
  if (!score) return null;
  const domains = [...new Set(scored.flatMap((v) => Object.keys(v.classes[score] || {})))];
  const targets = (data.targets || []).filter((domain) => domains.includes(domain));
  const choices = targets.length > 1 ? [TARGETS, ...domains] : domains;
  const domain = choices.includes(state.get('domain')) ? state.get('domain') : choices[0];
  const names = scored.map((v) => v.name);
  const minus = names.includes(state.get('minus')) ? state.get('minus') : '';
  return { scores, score, choices, domain, targets, minus, names };
}

function classStatistic(variant, choice, name) {
  const table = variant.classes[choice.score] || {};
  if (choice.domain !== TARGETS) return (table[choice.domain] || {})[name] || null;
  const means = choice.targets.map((domain) => meanOf((table[domain] || {})[name])).filter(isNumber);
  if (!means.length) return null;
  return { mean: means.reduce((a, b) => a + b, 0) / means.length, std: null };
}

function drawClasses() {
  const choice = classChoice();
  find('#classes').hidden = choice === null;
  if (choice === null) return;
  const { scores, score, choices, domain, minus, names } = choice;
  const base = scored.find((v) => v.name === minus) || null;
  const rows = [...new Set(scored.flatMap((v) =>
    Object.values(v.classes[score] || {}).flatMap((table) => Object.keys(table))))];
  const value = (variant, name) => {
    const own = meanOf(classStatistic(variant, choice, name));
    if (base === null || own === null) return own;
    const other = meanOf(classStatistic(base, choice, name));
    return other === null ? null : own - other;
  };
  const all = scored.flatMap((v) => rows.map((name) => value(v, name))).filter(isNumber);
  const most = Math.max(1e-9, ...all.map(Math.abs));
  const unit = (data.metrics[`m${score}`] || data.metrics[score] || { unit: '%' }).unit;
  const digits = unit === '0..1' ? 3 : 1;
  const best = (name) => {
    const values = scored.map((v) => value(v, name)).filter(isNumber);
    return values.length > 1 && Math.max(...values) > Math.min(...values) ? Math.max(...values) : null;
  };
  const cell = (variant, name) => {
    const own = value(variant, name);
    if (own === null) return '–';
    const share = (0.6 * Math.abs(own)) / most;
    const sign = base !== null && own > 0 ? '+' : '';
    return {
      text: sign + own.toFixed(digits),
      className: `heat${own < 0 ? ' worse' : ''}${own === best(name) ? ' best' : ''}`,
      style: `--share:${share.toFixed(3)}`,
      title: `${variant.name}, ${name}: ${spread(classStatistic(variant, choice, name), digits)}`,
    };
  };
  const columns = [
    { key: 'class', title: 'class', header: true, value: (name) => name, cell: (name) => ((data.unseen || []).includes(name) ? `${name} (unseen)` : name) },
    ...scored.map((variant) => ({
      key: `variant.${variant.name}`, title: variant.name, first: 'desc',
      value: (name) => value(variant, name), cell: (name) => cell(variant, name),
    })),
  ];
  const absolute = { '': 'as it is' };
  names.forEach((name) => { absolute[name] = `minus ${name}`; });
  find('#classes .row').replaceChildren(
    scores.length > 1 ? picker('score', 'score', scores, score) : '',
    picker('domain', 'domain', choices, domain),
    picker('value', 'minus', ['', ...names], minus, absolute),
  );
  const ends = base === null ? ['0', most.toFixed(digits)] : [`-${most.toFixed(digits)}`, `+${most.toFixed(digits)}`];
  const ramp = make('span', { class: base === null ? 'ramp' : 'ramp both' });
  const over = domain === TARGETS ? 'mean over the targets that have the class' : `domain ${domain}`;
  find('#classes .about').replaceChildren(
    `${score} in ${unit}, mean over seeds, ${over}${base ? `, less that of ${minus}` : ''}; bold: the best of a class. `,
    make('span', { class: 'together' }, `${ends[0]} `, ramp, ` ${ends[1]}`));
  drawTable(find('#classes .scroll'), 'classes', columns, rows);
}
