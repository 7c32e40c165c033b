// Parts that figures share.

function frame(width, height, label) {
  return svg('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': label });
}

const line = (x1, y1, x2, y2, name) => svg('line', { x1, y1, x2, y2, class: name });
const words = (x, y, text, attributes) => svg('text', { x, y, ...attributes }, text);

/** The name of the vertical axis, along it. */
const upward = (area, text) =>
  words(0, 0, text, {
    transform: `translate(11,${(area.y0 + area.y1) / 2}) rotate(-90)`, 'text-anchor': 'middle', class: 'axis-label',
  });

function yAxis(scale, left, right) {
  return scale.ticks.map((value) => [
    line(left, scale.place(value), right, scale.place(value), 'grid'),
    words(left - 7, scale.place(value) + 4, `${value}`, { 'text-anchor': 'end', class: 'tick' }),
  ]);
}

function xAxis(scale, top, bottom, written) {
  return scale.ticks.map((value) => [
    value === 0 && scale.gap ? null : line(scale.place(value), top, scale.place(value), bottom, 'grid'),
    words(scale.place(value), bottom + 17, written(value), { 'text-anchor': 'middle', class: 'tick' }),
  ]);
}

function caption(id, title, about) {
  find(`#${id} figcaption`).replaceChildren(make('b', {}, title), make('span', {}, about));
}

/** Puts a figure in its place, or says why there is none. */
function show(id, drawing) {
  find(`#${id} .chart`).replaceChildren(drawing || make('p', { class: 'empty' }, 'Nothing to draw yet.'));
}
