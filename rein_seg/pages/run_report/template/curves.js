// Curves of the training: losses, rate, gradient norm, validation.
const DASHES = ['', '7 4', '2 3', '9 3 2 3', '1 4', '14 4', '5 2 5 6'];
const style = (i) => ({ style: `stroke:var(--c${(i % 11) + 1})`, 'stroke-dasharray': DASHES[i % DASHES.length] });
const curvesOf = (kind) => ((report.curves || {})[kind]) || {};

function number(value) {
  if (value === 0) return '0';
  const size = Math.abs(value);
  return size < 1e-3 || size >= 1e5 ? value.toExponential(2) : `${+value.toPrecision(4)}`;
}

/** Draws curves: [{name, points: [[iteration, value], ...]}]; one point is drawn as a dot. */
function lineChart(id, title, about, curves) {
  const there = curves.map((curve, i) => ({ ...curve, i, points: curve.points.filter(([, y]) => isNumber(y)) })).filter((c) => c.points.length);
  find(`#${id}`).hidden = !there.length;
  if (!there.length) return;
  caption(id, title, about);
  const width = Math.max(260, find(`#${id} .chart`).clientWidth);
  const height = Math.round(Math.min(280, Math.max(200, width * 0.5)));
  const area = { x0: 56, x1: width - 14, y0: 8, y1: height - 40 };
  const points = there.flatMap((curve) => curve.points);
  const x = linearScale([0, ...points.map(([step]) => step)], area.x0, area.x1, width / 90);
  const y = linearScale(points.map(([, value]) => value), area.y1, area.y0, height / 50);
  const drawing = frame(width, height, `${title}: ${there.map((c) => `${c.name} from ${number(c.points[0][1])} to ${number(c.points[c.points.length - 1][1])}`).join(', ')}`);
  const parts = there.map(({ name, i, points: own }) => {
    const place = ([step, value]) => `${x.place(step).toFixed(1)},${y.place(value).toFixed(1)}`;
    // parts of the line that the pointer can find, with the text of their end
    const dots = own.map((point) => svg('circle', {
      cx: x.place(point[0]), cy: y.place(point[1]), r: own.length < 30 ? 3 : 6, style: `fill:var(--c${(i % 11) + 1})`,
      'fill-opacity': own.length < 30 ? 1 : 0, 'data-tip': `${name}\niteration ${grouped(point[0])}: ${number(point[1])}`,
    }));
    return [svg('path', { d: `M${own.map(place).join('L')}`, class: 'curve', ...style(i) }), dots];
  });
  show(id, fill(drawing, {}, [
    yAxis({ ...y, ticks: y.ticks.map((t) => +t.toPrecision(6)) }, area.x0, area.x1), xAxis(x, area.y0, area.y1, short), parts,
    svg('path', { d: `M${area.x0},${area.y1}H${area.x1}`, class: 'axis' }),
    words((area.x0 + area.x1) / 2, height - 6, 'iterations', { 'text-anchor': 'middle', class: 'axis-label' }),
  ]));
}

function drawCurves() {
  const train = curvesOf('train');
  const validation = curvesOf('validation');
  const losses = Object.keys(train).filter((name) => name === 'loss' || /loss/.test(name));
  const others = Object.keys(train).filter((name) => !losses.includes(name) && !/^(base_)?lr$|^grad_norm$|^memory$/.test(name));
  const names = [...losses, ...others];
  const chosen = names.includes(state.get('curve')) ? state.get('curve') : names[0];
  find('#curves .row').replaceChildren(names.length > 1 ? picker('curve', 'curve', names, chosen) : '');
  lineChart('loss', chosen || 'loss', 'Mean of the iterations of a log line.', chosen ? [{ name: chosen, points: train[chosen] }] : []);
  lineChart('rate', 'Learning rate', 'Of the first group of parameters.', train.lr ? [{ name: 'lr', points: train.lr }] : []);
  lineChart('gradient', 'Gradient norm', 'Of all trained parameters, before clipping.', train.grad_norm ? [{ name: 'norm', points: train.grad_norm }] : []);
  const main = columns[0];
  const scored = [...domains, 'mean'].filter((domain) => validation[`${domain}/${main}`])
    .map((domain) => ({ name: domain, points: validation[`${domain}/${main}`] }));
  const several = scored.some((curve) => curve.points.length > 1);
  lineChart('validation', `Validation: ${main}`, several ? 'By domain.' : 'By domain; there was one validation, at the end.', scored);
  find('#validation .keys').replaceChildren(...scored.map((curve, i) => make('span', {},
    svg('svg', { viewBox: '0 0 34 12', 'aria-hidden': 'true' }, svg('path', { d: 'M1,6H33', class: 'curve', ...style(i) })), curve.name)));
  const missing = [];
  if (!losses.length) missing.push('the log of the training is not in this folder');
  else if (!scored.length) missing.push('the training had no validation');
  find('#curves .about').textContent = missing.length ? `No curves here: ${missing.join('; ')}.` : '';
  find('#curves').hidden = false;
}
