// Puts the page together, and again when something is chosen or the width changes.

function drawHead() {
  const main = columns[0];
  const mean = (results.mean_over_targets || {})[main];
  const own = (results.domains[results.source] || {})[main];
  const unit = unitOf(main) === '%' ? ' %' : '';
  const score = (value) => (isNumber(value) ? `${value.toFixed(decimals(unitOf(main)))}${unit}` : null);
  const facts = {
    [`${main} over targets`]: score(mean),
    [`${main} on ${results.source}`]: score(own),
    protocol: results.protocol,
    benchmark: results.benchmark,
    encoder: (results.encoder || {}).name,
    method: (results.method || {}).type,
    'trained parameters': results.parameters ? grouped(results.parameters.trainable) : null,
    iterations: isNumber(results.iterations) ? grouped(results.iterations) : null,
    seed: results.seed,
  };
  const there = Object.entries(facts).filter(([, value]) => value !== null && value !== undefined && value !== '');
  find('#facts').replaceChildren(...there.map(([name, value]) => make('div', { class: name.startsWith(`${main} o`) ? 'headline' : null }, make('dt', {}, name), make('dd', {}, `${value}`))));
  const notes = [];
  if ((results.changed || []).length) notes.push(`The protocol was changed: ${results.changed.join('; ')}`);
  if ((results.not_known || []).length) notes.push(`Not known of the protocol: ${results.not_known.join('; ')}`);
  if (results.selected) notes.push(`The scores are of iteration ${grouped(results.selected.iteration)}, chosen by ${results.selected.metric}`);
  if (!report.domains) notes.push('An earlier version made this run, so confusions, images and calibration are missing: evaluate its adapter again with rein-seg test');
  find('#notes').replaceChildren(...notes.map((note) => make('p', { class: 'note' }, make('b', {}, 'Note: '), `${note}.`)));
}

function minutes(seconds) {
  return seconds < 120 ? `${seconds.toFixed(1)} s` : `${(seconds / 60).toFixed(1)} min`;
}

function twoColumns(box, rows) {
  box.replaceChildren(make('table', {}, make('tbody', {}, rows.map(([name, value]) =>
    make('tr', {}, make('th', { scope: 'row' }, name), make('td', {}, value))))));
}

function drawCosts() {
  const { parameters, seconds = {}, adapter, inference } = results;
  const environment = results.environment || {};
  const counts = parameters && [
    ['parameters trained in the method', grouped(parameters.method)],
    ['parameters trained in neck and head', grouped(parameters.neck_and_head)],
    ['parameters frozen', grouped(parameters.frozen)],
  ];
  const rows = [
    ...(counts || []),
    adapter && ['adapter file', `${fileSize(adapter.bytes)}`],
    isNumber(seconds.total) && ['time, evaluation included', minutes(seconds.total)],
    isNumber(seconds.per_iteration) && ['time of an iteration', `${seconds.per_iteration.toFixed(3)} s`],
    isNumber(results.peak_memory_mib) && [environment.gpu ? 'peak memory of the GPU' : 'peak memory of the process', `${grouped(results.peak_memory_mib)} MiB`],
    results.processes > 1 && ['processes', `${results.processes}`],
    inference && isNumber(inference.ms_per_image) && ['forward time of an image', `${inference.ms_per_image.toFixed(1)} ms`],
    ['machine', environment.gpu || [environment.processor, environment.threads && `${environment.threads} threads`].filter(Boolean).join(', ') || '–'],
  ].filter(Boolean);
  twoColumns(find('#costs .scroll'), rows);
}

function drawAgain() {
  const { config, command } = results;
  find('#again pre').textContent = command || `rein-seg train ${config || 'CONFIG'}`;
  const link = config && make('a', { href: encodeURIComponent(config) }, config);
  find('#again .about').replaceChildren(
    ...(command ? [] : ['A program, not a command, made this run; so it is repeated. ']),
    ...(link ? ['All values are in ', link, ' beside this page; all numbers in '] : ['All numbers are in ']),
    make('a', { href: 'results.json' }, 'results.json'), '.');
  const { packages = {}, ...rest } = results.environment || {};
  const text = (value) => (Array.isArray(value) ? value.join(', ') : value === null || value === undefined ? '–' : `${value}`);
  twoColumns(find('#environment .scroll'), [...Object.entries(rest), ...Object.entries(packages)].map(([name, value]) => [name, text(value)]));
}

function drawContents() {
  const sections = [...document.querySelectorAll('main > section[id]')].filter((section) => !section.hidden);
  find('#contents').replaceChildren(...sections.map((section) => make('button', {
    type: 'button', click: () => { section.scrollIntoView(); section.querySelector('h2').setAttribute('tabindex', '-1'); section.querySelector('h2').focus({ preventScroll: true }); },
  }, section.querySelector('h2').textContent)));
}

function draw() {
  drawCurves();
  drawConfusions();
  drawImages();
}

drawHead();
drawScores();
drawClasses();
drawCalibration();
drawCosts();
drawAgain();
draw();
drawContents();
followTips();
addEventListener('hashchange', draw);
onNewWidth(drawCurves);
