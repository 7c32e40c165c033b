// Data, elements, numbers as text, and what the address says is shown.
const data = JSON.parse(document.getElementById('data').textContent);
const SVG = 'http://www.w3.org/2000/svg';

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

/** A choice that the address keeps; the page is drawn again, by its own draw(). */
function picker(title, key, choices, chosen, names = {}) {
  const id = `pick-${key}`;
  const options = choices.map((choice) =>
    make('option', { value: choice, selected: choice === chosen }, names[choice] || choice));
  const change = (event) => {
    state.set(key, event.target.value || null);
    draw();
  };
  return make('label', { for: id }, `${title} `, make('select', { id, change }, options));
}

/** Draws again when the page gets another width; a phone changes the height as it scrolls. */
function onNewWidth(draw) {
  let drawnWidth = document.documentElement.clientWidth;
  addEventListener('resize', () => {
    if (document.documentElement.clientWidth === drawnWidth) return;
    drawnWidth = document.documentElement.clientWidth;
    draw();
  });
}
