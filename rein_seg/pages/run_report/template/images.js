// The worst and the best images of a domain, with truth, prediction and errors.
const PANELS = [['image', 'image'], ['truth', 'truth'], ['prediction', 'prediction'], ['errors', 'errors: dark red is wrong, grey is not labelled']];

/** A segmented image: four panels. */
function drawMaps(one) {
  const score = isNumber(one.score) ? `${one.score.toFixed(1)} %` : 'no labelled pixel';
  const [width, height] = one.size;
  return make('div', { class: 'picture' },
    make('p', {}, make('b', {}, `${one.kind}: ${score}`), ` ${one.name}`),
    make('div', { class: 'four' }, PANELS.map(([key, title]) => make('figure', {},
      make('img', { src: one[key], width, height, alt: `${title} of ${one.name}`, loading: 'lazy' }),
      make('figcaption', {}, title)))));
}

/** A classified image: its class, and the prediction where it is another. */
function drawWhole(one) {
  const [label, pred] = [report.classes[one.label], report.classes[one.pred]];
  const [width, height] = one.size;
  return make('figure', { class: 'whole' },
    make('img', { src: one.image, width, height, alt: `${one.name}: ${label}`, loading: 'lazy' }),
    make('figcaption', {}, make('b', {}, `${one.kind}: ${one.score.toFixed(1)} %`), ` ${label}`,
      one.label === one.pred ? ', right' : [', taken for ', make('b', {}, pred)], make('br'), one.name));
}

function drawImages() {
  const there = domains.filter((domain) => gathered(domain) && gathered(domain).pictures.length);
  find('#images').hidden = !there.length;
  if (!there.length) return;
  const asked = state.get('images');
  const first = there.includes(hardest()) ? hardest() : there[0];
  const domain = there.includes(asked) ? asked : first;
  const { pictures, image_scores: spread } = gathered(domain);
  find('#images .row').replaceChildren(there.length > 1 ? picker('domain', 'images', there, domain) : '');
  const quarters = spread ? ` All images: ${spread.map((s) => s.toFixed(1)).join(', ')} (minimum, quartiles, maximum).` : '';
  find('#images .about').textContent = `By ${report.image_score} of an image, in %.${quarters}`;
  const whole = unit === 'images';
  find('#images .pictures').classList.toggle('wholes', whole);
  find('#images .pictures').replaceChildren(...pictures.map(whole ? drawWhole : drawMaps));
  find('#images .classes').replaceChildren(...(whole ? [] : report.classes || []).map((name, i) => make('li', {}, swatch(i), name)));
}
