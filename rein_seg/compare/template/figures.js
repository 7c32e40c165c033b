// The three figures, drawn for the width they have.

/** Part of a figure that belongs to a variant: it tells its figures and can be picked. */
function part(variant, tip, ...children) {
  return svg('g', { 'data-variant': variant.name, 'data-tip': tip }, ...children);
}

function whiskers(point) {
  const { x, y, spanX, spanY } = point;
  const style = `stroke:${colour(point.variant)}`;
  const paths = [];
  if (spanY) paths.push(`M${x},${spanY[0]}V${spanY[1]}M${x - 4},${spanY[0]}h8M${x - 4},${spanY[1]}h8`);
  if (spanX) paths.push(`M${spanX[0]},${y}H${spanX[1]}M${spanX[0]},${y - 4}v8M${spanX[1]},${y - 4}v8`);
  return paths.map((d) => svg('path', { d, class: 'whisker', style }));
}

function obstacles(point) {
  const { x, y, spanX, spanY } = point;
  const boxes = [{ x0: x - 7, x1: x + 7, y0: y - 7, y1: y + 7 }];
  if (spanY) boxes.push({ x0: x - 5, x1: x + 5, y0: Math.min(...spanY), y1: Math.max(...spanY) });
  if (spanX) boxes.push({ x0: Math.min(...spanX), x1: Math.max(...spanX), y0: y - 5, y1: y + 5 });
  return boxes;
}

function drawPoints(points, area) {
  const labels = placeLabels(points, points.flatMap(obstacles), area);
  return points.map((point) => {
    const { box, distance, dx, dy } = labels.get(point);
    const leader = distance > 9
      ? line(point.x + 7 * dx, point.y + 7 * dy, point.x + distance * dx, point.y + (distance - 4) * dy, 'leader')
      : null;
    return part(
      point.variant, point.tip, leader, whiskers(point),
      mark(point.variant, 6, { transform: `translate(${point.x},${point.y})`, stroke: 'var(--back)' }),
      words((box.x0 + box.x1) / 2, box.y0 + 11, point.text, { 'text-anchor': 'middle', class: 'halo' }),
    );
  });
}

const ends = (statistic) =>
  (isNumber(statistic.std) ? [statistic.mean - statistic.std, statistic.mean + statistic.std] : [statistic.mean]);
const span = (scale, statistic) => (isNumber(statistic.std) ? ends(statistic).map(scale.place) : null);

const size = (id) => {
  const width = Math.max(260, find(`#${id} .chart`).clientWidth);
  return { width, height: Math.round(Math.min(430, Math.max(300, width * 0.7))) };
};

/** Mean target score over the trained parameters of the method. */
function drawParameters(metric, about) {
  const { width, height } = size('parameters');
  const area = { x0: 60, x1: width - 10, y0: 10, y1: height - 44 };
  const usable = visible().filter((v) => v.parameters && meanOf(v.scores[metric].mean_over_targets) !== null);
  const heads = [...new Set(scored.filter((v) => v.parameters).map((v) => v.parameters.neck_and_head))].sort((a, b) => a - b);
  const head = heads.map(short).filter((text, i, all) => i === 0 || i === all.length - 1).join(' to ');
  const most = data.metrics[metric].better === 'higher' ? 'up and to the left' : 'down and to the left';
  caption('parameters', `Mean target ${metric} against trained parameters`,
    `Parameters of the method, in the encoder; neck and head train ${head} more. Better: ${most}.`);
  if (!usable.length) return show('parameters', null);
  const scores = usable.map((v) => v.scores[metric].mean_over_targets);
  const x = countScale(usable.map((v) => v.parameters.method), area.x0, area.x1);
  const y = linearScale(scores.flatMap(ends), area.y1, area.y0, height / 60);
  const points = usable.map((variant, i) => ({
    variant, text: variant.name,
    x: x.place(variant.parameters.method), y: y.place(scores[i].mean), spanY: span(y, scores[i]),
    tip: `${variant.name}\n${grouped(variant.parameters.method)} parameters\n${metric} over targets ${spread(scores[i], about.digits)}`,
  }));
  const gap = x.gap === null ? [] : [
    svg('rect', { x: area.x0, y: area.y0, width: x.gap - area.x0 - 12, height: area.y1 - area.y0, class: 'band' }),
    svg('path', { d: `M${x.gap - 11},${area.y1 + 5}l5,-10M${x.gap - 5},${area.y1 + 5}l5,-10`, class: 'axis' }),
  ];
  const start = x.gap === null ? `M${area.x0},${area.y1}` : `M${area.x0},${area.y1}H${x.gap - 8}M${x.gap - 2},${area.y1}`;
  const drawing = frame(width, height, `Mean target ${metric} against trained parameters`);
  fill(drawing, {}, [
    gap, yAxis(y, area.x0, area.x1), xAxis(x, area.y0, area.y1, short),
    svg('path', { d: `${start}H${area.x1}`, class: 'axis' }),
    words((area.x0 + area.x1) / 2, height - 8, 'trained parameters of the method (logarithmic)', { 'text-anchor': 'middle', class: 'axis-label' }),
    upward(area, `${metric}, mean over targets (${about.unit})`),
    drawPoints(points, area),
  ]);
  show('parameters', drawing);
}

/** Target score over source score: how much of what is learned carries over. */
function drawSources(metric, about) {
  const { width, height } = size('domains-scatter');
  const area = { x0: 60, x1: width - 10, y0: 10, y1: height - 44 };
  const better = data.metrics[metric].better === 'higher' ? 'up and to the right' : 'down and to the left';
  caption('domains-scatter', `Source against mean target ${metric}`,
    `Whiskers: sample standard deviation over seeds. Better: ${better}, nearer to the dashed line of no gap.`);
  const usable = visible().filter((v) =>
    meanOf(v.scores[metric].source) !== null && meanOf(v.scores[metric].mean_over_targets) !== null);
  if (!usable.length) return show('domains-scatter', null);
  const [sources, targets] = ['source', 'mean_over_targets'].map((key) => usable.map((v) => v.scores[metric][key]));
  const x = linearScale(sources.flatMap(ends), area.x0, area.x1, width / 80);
  const y = linearScale(targets.flatMap(ends), area.y1, area.y0, height / 60);
  const points = usable.map((variant, i) => ({
    variant, text: variant.name,
    x: x.place(sources[i].mean), y: y.place(targets[i].mean),
    spanX: span(x, sources[i]), spanY: span(y, targets[i]),
    tip: `${variant.name}\nsource ${spread(sources[i], about.digits)}\ntargets ${spread(targets[i], about.digits)}\ngap ${spread(variant.scores[metric].gap, about.digits)}`,
  }));
  const [low, high] = [Math.max(x.low, y.low), Math.min(x.high, y.high)];
  const far = low >= high; // the line of no gap lies outside
  const drawing = frame(width, height, `Source against mean target ${metric}`);
  fill(drawing, {}, [
    yAxis(y, area.x0, area.x1), xAxis(x, area.y0, area.y1, String),
    far ? null : line(x.place(low), y.place(low), x.place(high), y.place(high), 'diagonal'),
    far ? words(area.x0 + 6, area.y0 + 12, 'the line of no gap lies outside', { class: 'tick' }) : null,
    svg('path', { d: `M${area.x0},${area.y1}H${area.x1}`, class: 'axis' }),
    words((area.x0 + area.x1) / 2, height - 8, `${metric} on the source, ${data.source} (${about.unit})`, { 'text-anchor': 'middle', class: 'axis-label' }),
    upward(area, `${metric}, mean over targets (${about.unit})`),
    drawPoints(points, area),
  ]);
  show('domains-scatter', drawing);
}

/** Groups of the bars: each domain, then the mean over targets. */
function barGroups(metric) {
  const role = (domain) => (domain === data.source ? 'source' : (data.targets || []).includes(domain) ? 'target' : '');
  const groups = domainsOf(metric).map((domain) => ({
    title: domain, role: role(domain), of: (v) => v.scores[metric].domains[domain],
  }));
  const many = (data.targets || []).length > 1;
  const mean = { title: 'targets', role: 'mean', of: (v) => v.scores[metric].mean_over_targets };
  return many ? [...groups, mean] : groups;
}

/** Where bars stand, side by side where there is room, or lie, one below the other. */
function barLayout(groups, variants, top) {
  const width = Math.max(260, find('#bars .chart').clientWidth);
  if (width >= 620) {
    const area = { x0: 46, x1: width - 4, y0: 8, y1: 300 };
    const length = (area.x1 - area.x0) / groups.length;
    const band = Math.min(26, length / (variants.length + 1.2));
    const along = (value) => area.y1 - (Math.max(0, value) / top) * (area.y1 - area.y0);
    return { upright: true, width, height: 340, area, length, band, along };
  }
  const names = Math.min(width * 0.3, Math.max(...variants.map((v) => textWidth(v.name, 11.5))));
  const [band, length] = [14, 14 * variants.length + 30];
  const area = { x0: names + 8, x1: width - 8, y0: 4, y1: length * groups.length + 14 };
  const along = (value) => area.x0 + (Math.max(0, value) / top) * (area.x1 - area.x0);
  return { upright: false, width, height: area.y1 + 26, area, length, band, along };
}

function barAxis({ upright, area, along }, ticks) {
  const base = upright ? [area.x0, area.y1, area.x1, area.y1] : [area.x0, area.y0, area.x0, area.y1];
  const grid = ticks.map((tick) => (upright
    ? [line(area.x0, along(tick), area.x1, along(tick), 'grid'), words(area.x0 - 7, along(tick) + 4, `${tick}`, { 'text-anchor': 'end', class: 'tick' })]
    : [line(along(tick), area.y0, along(tick), area.y1, 'grid'), words(along(tick), area.y1 + 17, `${tick}`, { 'text-anchor': 'middle', class: 'tick' })]));
  return { grid, base: line(...base, 'axis') };
}

function groupTitle({ upright, area, length }, group, from, role) {
  if (!upright) return [words(area.x0 + 4, from + 14, `${group.title} ${role}`, { class: 'halo', 'font-weight': 600 })];
  const middle = { 'text-anchor': 'middle' };
  const x = from + length / 2;
  return [words(x, area.y1 + 17, group.title, middle), words(x, area.y1 + 32, role, { ...middle, class: 'tick' })];
}

/** Bars by domain. */
function drawBars(metric, about) {
  caption('bars', `${metric} by domain`, `${about.unit}, ${data.metrics[metric].better} is better; bars: mean, whiskers: sample standard deviation over seeds.`);
  const variants = visible();
  const groups = barGroups(metric);
  const values = groups.flatMap((g) => variants.map(g.of)).filter((s) => meanOf(s) !== null);
  if (!values.length) return show('bars', null);
  const top = Math.max(...values.flatMap(ends)) * 1.04 || 1;
  const layout = barLayout(groups, variants, top);
  const { upright, area, length, band } = layout;
  const axis = barAxis(layout, ticksOf(0, top, upright ? 6 : 4));
  const drawing = frame(layout.width, layout.height, `${metric} by domain`);
  const parts = groups.map((group, g) => {
    const from = (upright ? area.x0 : area.y0) + g * length;
    const start = upright ? from + (length - band * variants.length) / 2 : from + 20;
    const role = group.role ? `(${group.role})` : '';
    const bars = variants.map((variant, i) => {
      const statistic = group.of(variant);
      if (meanOf(statistic) === null) return null;
      const tip = `${variant.name}, ${group.title} ${role}\n${metric} ${spread(statistic, about.digits)}`;
      const name = upright ? null : words(area.x0 - 5, start + (i + 0.78) * band, variant.name, { 'text-anchor': 'end', class: 'tick' });
      return part(variant, tip, name, bar(layout, start + i * band, statistic, colour(variant)));
    });
    return [groupTitle(layout, group, from, role), bars];
  });
  show('bars', fill(drawing, {}, [axis.grid, parts, axis.base]));
}

function bar({ upright, band, along }, at, statistic, fillColour) {
  const [zero, tip, thick] = [along(0), along(statistic.mean), band * 0.84];
  const box = upright
    ? { x: at + (band - thick) / 2, y: tip, width: thick, height: Math.max(0.5, zero - tip) }
    : { x: zero, y: at + (band - thick) / 2, width: Math.max(0.5, tip - zero), height: thick };
  const shape = svg('rect', { ...box, style: `fill:${fillColour}` });
  if (!isNumber(statistic.std)) return [shape];
  const [low, high] = ends(statistic).map(along);
  const [middle, wing] = [at + band / 2, Math.min(3, band / 4)];
  const d = upright
    ? `M${middle},${low}V${high}M${middle - wing},${low}h${2 * wing}M${middle - wing},${high}h${2 * wing}`
    : `M${low},${middle}H${high}M${low},${middle - wing}v${2 * wing}M${high},${middle - wing}v${2 * wing}`;
  return [shape, svg('path', { d, class: 'bar-whisker' })];
}
