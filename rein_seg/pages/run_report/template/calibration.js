// Reliability diagrams: how often predictions are right, by their confidence.
function reliability(domain, { pixels, right, confidence, error }) {
  const [width, height] = [290, 250];
  const area = { x0: 40, x1: width - 6, y0: 8, y1: 168 };
  const bins = pixels.length;
  const x = (share) => area.x0 + share * (area.x1 - area.x0);
  const y = (share) => area.y1 - share * (area.y1 - area.y0);
  const all = pixels.reduce((a, b) => a + b, 0);
  const most = Math.max(...pixels);
  const sum = (values) => values.reduce((a, b) => a + b, 0) / all;
  const [sure, hit] = [sum(confidence), sum(right)];
  const word = sure - hit > 0.005 ? 'too sure' : hit - sure > 0.005 ? 'not sure enough' : 'neither too sure nor too unsure';
  const ticks = [0, 0.25, 0.5, 0.75, 1];
  const grid = ticks.map((t) => [
    line(area.x0, y(t), area.x1, y(t), 'grid'),
    words(area.x0 - 5, y(t) + 4, `${100 * t}`, { 'text-anchor': 'end', class: 'tick' }),
    words(x(t), area.y1 + 62, `${100 * t}`, { 'text-anchor': 'middle', class: 'tick' }),
  ]);
  const bars = pixels.map((count, i) => {
    if (!count) return null;
    const [share, mean] = [right[i] / count, confidence[i] / count];
    const box = { x: x(i / bins) + 0.8, width: x(1 / bins) - x(0) - 1.6 };
    const tip = `confidence ${Math.round((100 * i) / bins)} to ${Math.round((100 * (i + 1)) / bins)} %: ${grouped(count)} ${unit} (${percent(count / all)})\n`
      + `mean confidence ${percent(mean)}, right ${percent(share)}`;
    return svg('g', { 'data-tip': tip },
      svg('rect', { ...box, y: y(share), height: Math.max(0.5, y(0) - y(share)), class: 'share' }),
      svg('rect', { ...box, y: y(Math.max(share, mean)), height: Math.max(0.5, Math.abs(y(share) - y(mean))), class: 'gap' }),
      svg('rect', { ...box, y: area.y1 + 48 - (40 * count) / most, height: Math.max(0.7, (40 * count) / most), class: 'count' }));
  });
  const drawing = fill(frame(width, height, `${domain}: ECE ${fixed(error, 2)} %, mean confidence ${percent(sure)}, right ${percent(hit)}`), {}, [
    grid, bars, line(x(0), y(0), x(1), y(1), 'diagonal'),
    words((area.x0 + area.x1) / 2, height - 4, 'confidence in %', { 'text-anchor': 'middle', class: 'axis-label' }),
    upward(area, 'right, in %'),
  ]);
  return make('figure', {},
    make('figcaption', {}, make('b', {}, `${domain}: ECE ${fixed(error, 2)} %`),
      make('span', {}, `Mean confidence ${percent(sure)}, right ${percent(hit)}: ${word}.`)),
    make('div', { class: 'chart' }, drawing));
}

function drawCalibration() {
  const there = domains.filter((domain) => gathered(domain) && gathered(domain).calibration && gathered(domain).calibration.pixels.some(Boolean));
  find('#calibration').hidden = !there.length;
  find('#calibration .about').textContent = `Blue: the share of right ${unit} among those with such a confidence (the probability of the predicted class); `
    + `framed red: its distance from the mean confidence; on the dashed line the two agree. Grey, below: how many ${unit}. ECE: the mean distance over all ${unit}.`;
  find('#calibration .many').replaceChildren(...there.map((domain) => reliability(domain, gathered(domain).calibration)));
}
