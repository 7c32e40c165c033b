// Confusion matrix of a domain, or of all targets together, as a heat map and in words.
const ALL = 'all targets';
const SHOWN = 30; // classes: a larger matrix cannot be read

function matrixChoice() {
  const there = domains.filter((domain) => gathered(domain));
  const choices = report.over_targets ? [ALL, ...there] : there;
  const asked = state.get('confusion');
  const domain = choices.includes(asked) ? asked : choices[0];
  return { choices, domain, found: domain === ALL ? report.over_targets : gathered(domain) };
}

const percent = (share) => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;

function drawConfusions() {
  const { choices, domain, found } = domains.length ? matrixChoice() : {};
  find('#confusions').hidden = !found;
  if (!found) return;
  const { classes } = report;
  find('#confusions .row').replaceChildren(choices.length > 1 ? picker('domain', 'confusion', choices, domain) : '');
  const sums = found.confusion.map((row) => row.reduce((a, b) => a + b, 0));
  find('#confusions .worst').replaceChildren(...found.top_confusions.map((one) => make('li', {},
    make('b', {}, percent(one.share)), ` of the ${unit} of `, swatch(one.label), make('b', {}, classes[one.label]),
    ' are taken for ', swatch(one.pred), make('b', {}, classes[one.pred]), ` (${grouped(one.pixels)} ${unit})`)));
  const predicted = classes.map((_, j) => found.confusion.reduce((sum, row) => sum + row[j], 0));
  const there = classes.map((_, i) => i).filter((i) => sums[i] || predicted[i]);
  const shown = there.length <= SHOWN ? there
    : [...there].sort((a, b) => sums[b] - sums[a]).slice(0, SHOWN).sort((a, b) => a - b);
  const cell = (i, j) => {
    const pixels = found.confusion[i][j];
    if (!pixels) return { text: '', className: i === j ? 'right' : null };
    const share = pixels / sums[i];
    const about = `${classes[i]} taken for ${classes[j]}: ${percent(share)}, ${grouped(pixels)} ${unit}`;
    return {
      text: share < 0.005 ? '·' : `${Math.round(100 * share)}`, title: about,
      className: `heat${i === j ? ' right' : ' worse'}`, style: `--share:${(0.75 * share).toFixed(3)}`,
    };
  };
  const table = [
    { key: 'label', title: 'label ↓ prediction →', header: true, cell: (i) => ({ text: classes[i], icon: swatch(i) }) },
    ...shown.map((j) => ({ key: `p${j}`, title: classes[j], cell: (i) => cell(i, j) })),
  ];
  const cut = shown.length < there.length ? ` The ${SHOWN} classes with most ${unit} of ${there.length}.` : '';
  find('#confusions .about').textContent =
    `Listed: the confusions that cost most ${unit}. Matrix: each row is a label, in % of its ${unit}; framed: right; a dot: less than 0.5 %.${cut}`;
  drawTable(find('#confusions .scroll'), 'matrix', table, shown);
}
