// Puts the page together, and again when something is chosen or the width changes.

function drawHead() {
  const encoders = [...new Set(scored.map((v) => v.encoder && v.encoder.name).filter(Boolean))];
  const steps = [...new Set(scored.map((v) => v.iterations).filter(isNumber))].map(grouped);
  const finished = data.runs.filter((run) => run.state === 'finished').length;
  const facts = {
    protocol: data.protocol,
    source: data.source,
    'unseen targets': (data.targets || []).join(', '),
    classes: data.num_classes,
    encoder: encoders.join(', '),
    iterations: steps.join(', '),
    runs: `${finished} of ${data.runs.length} finished, ${data.variants.length} variants`,
  };
  const there = Object.entries(facts).filter(([, value]) => value !== null && value !== undefined && value !== '');
  find('#facts').replaceChildren(...there.map(([name, value]) =>
    make('div', {}, make('dt', {}, name), make('dd', {}, `${value}`))));
  const failed = data.runs.filter((run) => run.state === 'failed').map((run) => `${run.variant}, seed ${run.seed} failed`);
  find('#notes').replaceChildren(...data.notes.map((note) => {
    const bad = failed.some((start) => note.startsWith(start));
    return make('p', { class: bad ? 'note failed' : 'note' }, make('b', {}, bad ? 'Failed: ' : 'Note: '), `${note}.`);
  }));
}

function drawControls() {
  const metrics = Object.keys(data.metrics);
  const arrows = Object.fromEntries(metrics.map((name) => [name, `${name} ${data.metrics[name].better === 'higher' ? '↑' : '↓'}`]));
  const first = [...data.shown, ...metrics.filter((name) => !data.shown.includes(name))];
  const buttons = scored.map((variant) => make('button', {
    type: 'button', 'aria-pressed': `${!hidden.has(variant.name)}`, title: 'show or hide in the figures',
    'data-legend': variant.name, click: () => toggle(variant.name),
    mouseenter: () => pick(variant.name), mouseleave: () => pick(null),
    focus: () => pick(variant.name), blur: () => pick(null),
  }, icon(variant), variant.name));
  find('#controls').replaceChildren(
    metrics.length > 1 ? make('div', { class: 'row' }, picker('score', 'metric', first, shownMetric(), arrows)) : '',
    make('div', { class: 'legend', role: 'group', 'aria-label': 'variants in the figures' }, buttons),
  );
}

function toggle(name) {
  if (hidden.has(name)) hidden.delete(name);
  else if (visible().length > 1) hidden.add(name);
  state.set('hide', hidden.size ? [...hidden].join(',') : null);
  draw();
  [...document.querySelectorAll('[data-legend]')].find((b) => b.dataset.legend === name).focus();
}

/** Dims all but one variant in the figures. */
function pick(name) {
  for (const drawing of document.querySelectorAll('.chart svg')) {
    const own = [...drawing.querySelectorAll('[data-variant]')];
    own.forEach((one) => one.classList.toggle('picked', one.dataset.variant === name));
    drawing.classList.toggle('picking', own.some((one) => one.dataset.variant === name));
  }
}

function drawFigures() {
  const metric = shownMetric();
  if (!metric || !scored.length) return;
  const { unit } = data.metrics[metric];
  const about = { unit, digits: decimals(unit) };
  find('#figures').hidden = false;
  const targets = (data.targets || []).length > 0;
  find('#parameters').hidden = !targets;
  find('#domains-scatter').hidden = !targets || !data.source;
  if (targets) drawParameters(metric, about);
  if (targets && data.source) drawSources(metric, about);
  drawBars(metric, about);
}

function draw() {
  const metric = shownMetric();
  if (metric && scored.length) {
    drawControls();
    drawFigures();
    drawScores(metric);
    drawCosts();
    drawClasses();
  }
  drawRuns(metric && scored.length ? metric : null);
}

drawHead();
if (data.command) {
  find('#again').hidden = false;
  find('#again pre').textContent = data.command;
}
find('#runs').open = data.runs.some((run) => run.state !== 'finished');
draw();
followTips();
addEventListener('hashchange', draw);
onNewWidth(drawFigures);
