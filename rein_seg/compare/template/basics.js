// Data, elements, numbers as text, and what the address says is shown.
const data = JSON.parse(document.getElementById('data').textContent);
const SVG = 'http://www.w3.org/2000/svg';
const MERGED = { inference_ms_merged: true, encoder_ratio_merged: true };

/** Makes an element; text and attributes never go through an HTML parser. */
function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? '' : value);
    }
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

const find = (selector) => document.querySelector(selector);
const isNumber = (value) => typeof value === 'number' && Number.isFinite(value);
const meanOf = (statistic) => (statistic && isNumber(statistic.mean) ? statistic.mean : null);
const decimals = (unit) => (unit === '0..1' ? 4 : 2);
const grouped = (count) => Math.round(count).toLocaleString('en-US');

function fixed(value, digits) {
  return isNumber(value) ? value.toFixed(digits) : '–';
}

/** 12.34 ± 0.56, as text. */
function spread(statistic, digits) {
  if (meanOf(statistic) === null) return '–';
  const std = isNumber(statistic.std) ? ` ± ${statistic.std.toFixed(digits)}` : '';
  return statistic.mean.toFixed(digits) + std;
}

/** A count in three digits: 1.23M. */
function short(count) {
  for (const [size, unit] of [[1e9, 'B'], [1e6, 'M'], [1e3, 'k']]) {
    if (count >= size) return `${+(count / size).toPrecision(3)}${unit}`;
  }
  return `${count}`;
}

function fileSize(bytes) {
  if (!isNumber(bytes)) return '–';
  let left = bytes;
  for (const unit of ['B', 'KiB', 'MiB']) {
    if (left < 1024) return unit === 'B' ? `${left.toFixed(0)} B` : `${left.toFixed(1)} ${unit}`;
    left /= 1024;
  }
  return `${left.toFixed(2)} GiB`;
}

/** What is shown, as the part of the address behind '#': metric, sort, costs, classes, ... */
const state = {
  get(key) {
    return new URLSearchParams(location.hash.slice(1)).get(key);
  },
  set(key, value) {
    const all = new URLSearchParams(location.hash.slice(1));
    if (value === null) all.delete(key);
    else all.set(key, value);
    // no entry in the history for each click
    history.replaceState(null, '', `#${all}`);
  },
};

const hidden = new Set((state.get('hide') || '').split(',').filter(Boolean));
const scored = data.variants.filter((variant) => variant.finished > 0);
const indexOf = new Map(data.variants.map((variant, index) => [variant.name, index]));
const colour = (variant) => `var(--c${indexOf.get(variant.name) % 12})`;
const visible = () => scored.filter((variant) => !hidden.has(variant.name));

function shownMetric() {
  const asked = state.get('metric');
  return asked && asked in data.metrics ? asked : data.shown[0];
}

/** Source first, then targets, then what is neither. */
function domainsOf(metric) {
  const all = new Set();
  for (const variant of scored) Object.keys(variant.scores[metric].domains).forEach((d) => all.add(d));
  const first = [data.source, ...(data.targets || [])].filter((domain) => all.has(domain));
  return [...first, ...[...all].filter((domain) => !first.includes(domain))];
}

const PATHS = [
  (r) => `M${-r},0a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0`,
  (r) => `M${-r * 0.9},${-r * 0.9}h${1.8 * r}v${1.8 * r}h${-1.8 * r}z`,
  (r) => `M0,${-1.2 * r}L${1.15 * r},${0.85 * r}H${-1.15 * r}z`,
  (r) => `M0,${-1.3 * r}L${1.3 * r},0L0,${1.3 * r}L${-1.3 * r},0z`,
  (r) => `M0,${1.2 * r}L${1.15 * r},${-0.85 * r}H${-1.15 * r}z`,
];

/** The mark of a variant: its colour, and a shape for who cannot tell that. */
function mark(variant, radius, attributes = {}) {
  const path = PATHS[indexOf.get(variant.name) % PATHS.length](radius);
  return svg('path', { d: path, style: `fill:${colour(variant)}`, ...attributes });
}
