// Scales, ticks and labels of the figures.

/** Round numbers from low to high, about as many as asked. */
function ticksOf(low, high, about) {
  const rough = (high - low || 1) / Math.max(1, about);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= rough * 0.999);
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i += 1) {
    ticks.push(+(i * step).toPrecision(12));
  }
  return ticks;
}

/** A linear scale with some room around the values. */
function linearScale(values, from, to, about) {
  let [low, high] = [Math.min(...values), Math.max(...values)];
  const room = (high - low) * 0.08 || Math.abs(high) * 0.1 || 1;
  [low, high] = [low - (low >= 0 && low - room < 0 ? low : room), high + room];
  const place = (value) => from + ((value - low) / (high - low)) * (to - from);
  return { place, low, high, ticks: ticksOf(low, high, about) };
}

/**
 * A logarithmic scale of counts. Zero has no logarithm: it gets a place of its own before the
 * axis, behind a gap.
 */
function countScale(values, from, to) {
  const some = values.filter((value) => value > 0);
  const zero = some.length < values.length;
  const start = zero ? from + Math.min(64, (to - from) * 0.16) : from;
  const logs = (some.length ? some : [1]).map(Math.log10);
  let [low, high] = [Math.min(...logs), Math.max(...logs)];
  const room = Math.max(0.12, (high - low) * 0.07);
  [low, high] = [low - room, high + room];
  const place = (value) =>
    (value > 0 ? start + ((Math.log10(value) - low) / (high - low)) * (to - start) : from + (start - from) * 0.38);
  const ticks = [];
  const steps = high - low > 1.6 ? [1] : [1, 2, 5];
  for (let power = Math.floor(low); power <= high; power += 1) {
    for (const step of steps) {
      const value = step * 10 ** power;
      if (Math.log10(value) >= low && Math.log10(value) <= high) ticks.push(value);
    }
  }
  return { place, ticks: zero ? [0, ...ticks] : ticks, gap: zero ? start : null };
}

const canvas = document.createElement('canvas').getContext('2d');
function textWidth(text, size = 12) {
  canvas.font = `${size}px system-ui, sans-serif`;
  return canvas.measureText(text).width;
}

const overlap = (a, b) =>
  Math.max(0, Math.min(a.x1, b.x1) - Math.max(a.x0, b.x0))
  * Math.max(0, Math.min(a.y1, b.y1) - Math.max(a.y0, b.y0));

/**
 * Places a label near each point where it covers least of points, whiskers and other labels.
 * points: [{x, y, text}]; taken: boxes to keep clear of; area: the box to stay in.
 */
function placeLabels(points, taken, area) {
  const boxes = [...taken];
  const placed = new Map();
  // crowded ones first: they have the least choice
  const crowd = (p) => points.reduce((sum, q) => sum + 1 / (20 + Math.hypot(p.x - q.x, p.y - q.y)), 0);
  for (const point of [...points].sort((a, b) => crowd(b) - crowd(a))) {
    const width = textWidth(point.text) + 3;
    let best = null;
    for (const distance of [9, 18, 30, 44]) {
      for (const angle of [0, 180, 300, 60, 240, 120, 270, 90, 330, 30, 210, 150]) {
        const [dx, dy] = [Math.cos((angle * Math.PI) / 180), Math.sin((angle * Math.PI) / 180)];
        const x0 = point.x + dx * distance + (dx < -0.1 ? -width : dx > 0.1 ? 0 : -width / 2);
        const middle = point.y + dy * (distance + 2);
        const box = { x0, x1: x0 + width, y0: middle - 7, y1: middle + 7 };
        const covered = boxes.reduce((sum, other) => sum + overlap(box, other), 0);
        const outside = width * 14 - overlap(box, area);
        const cost = covered + 6 * outside + distance * 2.2 + (angle === 0 ? 0 : 4);
        if (best === null || cost < best.cost) best = { cost, box, distance, dx, dy };
      }
    }
    boxes.push(best.box);
    placed.set(point, best);
  }
  return placed;
}
