// Scores by domain and by class, from results.json.
const { results, report } = data;
const unit = report.unit || 'pixels';
const domains = Object.keys(results.domains || {});
const targets = results.targets || [];
const columns = Object.keys(results.mean_over_targets || {});
const unitOf = (column) => ((results.fractions || []).includes(column) ? '0..1' : (results.units || {})[column] || '%');
const betterOf = (column) => (['MAE', 'BER'].includes(column) ? 'lower' : 'higher');
const gathered = (domain) => (report.domains || {})[domain] || null;
const roleOf = (domain) => (domain === results.source ? 'source' : targets.includes(domain) ? 'target' : 'other');

/** The domain that is looked at first: the worst target by the main score. */
function hardest() {
  const main = columns[0];
  const sign = betterOf(main) === 'lower' ? -1 : 1;
  const scored = (targets.length ? targets : domains).filter((d) => isNumber((results.domains[d] || {})[main]));
  return scored.sort((a, b) => sign * (results.domains[a][main] - results.domains[b][main]))[0] || domains[0];
}

function swatch(index) {
  const rgb = unit === 'pixels' ? (report.palette || [])[index] : null;
  return rgb ? make('span', { class: 'swatch', style: `background:rgb(${rgb.join(',')})` }) : null;
}

function drawScores() {
  const rows = domains.map((name) => ({ name, role: roleOf(name), ...results.domains[name] }));
  const images = targets.reduce((sum, name) => sum + ((results.domains[name] || {}).images || 0), 0);
  if (columns.some((column) => isNumber(results.mean_over_targets[column]))) {
    rows.push({ name: 'mean over targets', role: 'mean', images, ...results.mean_over_targets });
  }
  const error = (row) => { const g = gathered(row.name); return g && g.calibration ? g.calibration.error : null; };
  const table = [
    { key: 'domain', title: 'domain', header: true, cell: (row) => row.name },
    { key: 'role', title: 'role', cell: (row) => row.role },
    { key: 'images', title: 'images', cell: (row) => (isNumber(row.images) ? grouped(row.images) : '–') },
    ...columns.map((column) => ({ key: column, title: column, cell: (row) => fixed(row[column], decimals(unitOf(column))) })),
    rows.some((row) => error(row) !== null) && { key: 'ece', title: 'ECE', cell: (row) => fixed(error(row), 2) },
  ].filter(Boolean);
  const box = find('#scores .scroll');
  drawTable(box, 'scores', table, rows);
  [...box.querySelectorAll('tbody tr')].forEach((line, i) => { if (rows[i].role === 'mean') line.className = 'mean'; });
  const others = columns.filter((column) => unitOf(column) !== '%');
  find('#scores .about').textContent = `In %${others.map((column) => `, ${column} in ${unitOf(column)}`).join('')}. `
    + 'The source was trained on and is not part of the mean. ECE: expected calibration error, in %, lower is better.';
}

/** Names of scores that domains have by class, such as IoU. */
const classScores = () =>
  Object.keys(results.domains[domains[0]] || {}).filter((key) => results.domains[domains[0]][key] && typeof results.domains[domains[0]][key] === 'object');

function drawClasses() {
  const score = classScores()[0];
  find('#classes').hidden = !score;
  if (!score) return;
  const names = Object.keys(results.domains[domains[0]][score]);
  const value = (domain, name) => (results.domains[domain][score] || {})[name];
  const labelled = names.map((_, i) => domains.reduce((sum, domain) => {
    const g = gathered(domain);
    return g ? sum + g.confusion[i].reduce((a, b) => a + b, 0) : sum;
  }, 0));
  const all = labelled.reduce((a, b) => a + b, 0);
  const mean = (name) => {
    const there = targets.map((domain) => value(domain, name)).filter(isNumber);
    return there.length ? there.reduce((a, b) => a + b, 0) / there.length : null;
  };
  const shown = (own) => (isNumber(own)
    ? { text: own.toFixed(1), className: 'heat', style: `--share:${((0.6 * own) / 100).toFixed(3)}` } : '–');
  const table = [
    { key: 'class', title: 'class', header: true, value: (name) => name, cell: (name) => ({ text: (results.unseen || []).includes(name) ? `${name} (unseen)` : name, icon: swatch(names.indexOf(name)) }) },
    all > 0 && {
      key: 'share', title: unit, about: `share of the labelled ${unit} of all domains`, first: 'desc',
      value: (name) => labelled[names.indexOf(name)],
      cell: (name) => `${((100 * labelled[names.indexOf(name)]) / all).toFixed(1)} %`,
    },
    targets.length > 1 && { key: 'mean', title: 'mean over targets', first: 'asc', value: mean, cell: (name) => shown(mean(name)) },
    ...domains.map((domain) => ({
      key: `domain.${domain}`, title: domain, first: 'asc',
      value: (name) => (isNumber(value(domain, name)) ? value(domain, name) : null), cell: (name) => shown(value(domain, name)),
    })),
  ].filter(Boolean);
  find('#classes .about').textContent = `${score} in % by class and domain; a dash: the class is neither labelled nor predicted there. A click on a heading sorts.`;
  drawTable(find('#classes .scroll'), 'classes', table, names);
}
